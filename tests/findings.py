"""Findings for tests of reports: real photographs with smooth maps made up for them, every number that a report may have."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from skimage import data

from cocoa_pl.report.findings import COLUMNS, Block, Findings, Frame, Trace
from cocoa_pl.viz.page import WORDS

PHOTOGRAPHS = ("chelsea", "astronaut", "coffee", "rocket")
TRACES = (
    Trace("rise-cat", "RISE", "cat", 0.021),
    Trace("integrated_gradients-cat", "Integrated gradients", "cat", 0.0043),
    Trace("rise-portrait", "RISE", "portrait", 0.017),
    Trace("integrated_gradients-portrait", "Integrated gradients", "portrait", 0.0039),
)
At = tuple[int, int, int, int]  # f, t, e, v
VIEWS, HELD_OUT = ("original", "flip", "rotate90"), (False, False, True)
FACTS = (
    "What makes these pictures more like cats, and like portraits, to resnet50-dino.pth than random photographs are?",
    "cat: likeness to 40 pictures (pictures/cats; 20 more measure insertion and deletion), beyond that to 120 others (the folder foil).",
    "portrait: likeness to 36 pictures (pictures/portraits), beyond that to 120 others (the folder foil).",
    "Methods: RISE (2048 masks), integrated gradients (50 steps). Absent pixels are replaced by a blurred picture.",
)

SETTINGS = {"seed": 0, "versions": {"cocoa_pl": "0.1.0", "torch": "2.7.1"}, "config": {"explain": {"num_masks": 2048, "views": []}}}


def make_findings(
    *, num: int = 4, size: int | tuple[int, int] = 224, views: int = 1, traces: int = 2, frames: int = 1, names: Sequence[str] = (),
    scale: float | None = None, noise: float = 0.05, finished: Sequence[bool] = (), flags: Mapping[At, str] | None = None,
    columns: Sequence[str] | None = None, warnings: Sequence[str] = (), rows_a_block: int = 5, labels: Sequence[str] = (),
    words: Sequence[str] = (),
) -> Findings:  # fmt: skip
    """Findings that look like those of a real question.

    Args:
        num: E pictures: four photographs, then parts of them.
        size: of the pictures, a side or height and width.
        views: V, up to 3.
        traces: T, up to 4.
        frames: F; three or more are epochs of a run.
        names: of the pictures, as far as they shall be others.
        scale: of every trace, instead of their own.
        noise: share of noise in the maps; 1 is nothing else.
        finished: E flags; all where left out.
        flags: position (f, t, e, v) to warnings; some where left out.
        columns: names of the numbers; all where left out, without drift for one frame.
        warnings: of the last frame.
        rows_a_block: rows of a block, which need not be whole pictures.
        labels: what targets are in the pictures, in turn; None where left out.
        words: of every trace's prompt, with values.
    """
    chosen = [replace(each, scale=each.scale if scale is None else scale, words=tuple(words)) for each in TRACES[:traces]]
    shape, done = (frames, traces, num, views), np.array(finished or [True] * num)
    drifts = [name for name in COLUMNS if name.startswith("drift")]
    height, width = (size, size) if isinstance(size, int) else size
    measured = columns or [name for name in COLUMNS if frames > 1 or name not in drifts]
    numbers = {name: _numbers(name, shape, (height, width)) for name in measured}
    for values in numbers.values():
        values[:, :, ~done] = np.nan
    if flags is None:
        flags = {(f, t, e, 0): "noisy" for f in range(frames) for t in range(traces) for e in range(num) if (e + t) % 5 == 1 and done[e]}
    marks = np.full(shape, "", dtype="<U64")
    for at, mark in flags.items():
        marks[at] = mark
    stock = [f"{PHOTOGRAPHS[e % 4]}{'' if e < 4 else f' {e // 4}'}.jpg" for e in range(num)]
    called = [*names, *stock[len(names) :]]
    named = np.array([labels[(e + t // 2) % len(labels)] for t in range(traces) for e in range(num)]) if labels else None
    of_words = 0.01 * np.random.default_rng(3).normal(size=(traces, frames, num, views, len(words)))

    def blocks(*, traces: Sequence[str] | None = None, frames: Sequence[int] | None = None) -> Iterator[Block]:
        rows = [(e, v) for e in range(num) if done[e] for v in range(views)]
        for start in range(0, len(rows), rows_a_block):
            some = rows[start : start + rows_a_block]
            yield Block(
                np.array([e for e, _ in some]),
                np.array([v for _, v in some]),
                np.stack([picture(e, v, height, width) for e, v in some]),
                tuple(
                    {
                        trace.key: np.stack([map_of(f, t, e, v, height, width, noise=noise) * TRACES[t].scale for e, v in some])
                        for t, trace in enumerate(chosen)
                    }
                    for f in range(shape[0])
                ),
            )

    return Findings(
        "What a cat and a portrait are to resnet50-dino.pth", tuple(called), tuple(f"/data/pictures/{name}" for name in called),
        VIEWS[:views], HELD_OUT[:views], tuple(chosen), _frames(frames, chosen, numbers, warnings), numbers, marks, WORDS, FACTS,
        SETTINGS, blocks, done, labels=None if named is None else np.broadcast_to(named.reshape(1, traces, num, 1), shape),
        word_values={trace.key: of_words[t] for t, trace in enumerate(chosen)} if words else {},
    )  # fmt: skip


@lru_cache(maxsize=16)
def picture(e: int, view: int, height: int, width: int) -> NDArray[np.uint8]:
    """A photograph, or a part of it, under a view."""
    whole = Image.fromarray(getattr(data, PHOTOGRAPHS[e % 4])()[..., :3])
    side, rng = min(whole.size), np.random.default_rng(e)
    part = side if e < 4 else int(side * rng.uniform(0.4, 0.9))
    left, top = (int(rng.uniform(0, each - part)) if e >= 4 else (each - part) // 2 for each in whole.size)
    pixels = np.array(whole.crop((left, top, left + part, top + part)).resize((width, height), Image.Resampling.BICUBIC))
    turned = (pixels, pixels[:, ::-1], np.rot90(pixels) if height == width else pixels[::-1])[view]
    return np.ascontiguousarray(turned)


def map_of(f: int, t: int, e: int, v: int, height: int, width: int, *, noise: float) -> NDArray[np.float32]:
    """A signed map, mostly within -1 to 1: a few blobs that grow over frames, and noise."""
    rng = np.random.default_rng((t, e, v))
    blobs = rng.standard_normal((5, 5)).astype(np.float32)
    blobs[1:4, 1:4] += 0.9
    other = rng.standard_normal((5, 5)).astype(np.float32)
    mixed = blobs * min(1.0, 0.4 + 0.2 * f) + 0.5 * other / (1 + f)
    smooth = np.array(Image.fromarray(mixed).resize((width, height), Image.Resampling.BICUBIC))
    rough = np.random.default_rng((f, t, e, v)).standard_normal((height, width)).astype(np.float32)
    return (0.6 * ((1 - noise) * smooth + noise * rough)).astype(np.float32)


def _numbers(name: str, shape: tuple[int, int, int, int], size: tuple[int, int]) -> NDArray[np.float64]:
    frames, traces = shape[:2]
    rng = np.random.default_rng(len(name))
    values = rng.uniform(0.0, 1.0, shape)
    step = np.arange(frames).reshape(-1, 1, 1, 1) / max(1, frames - 1)
    target = (np.arange(traces) // 2).reshape(1, -1, 1, 1)
    if name == "score":
        values = (0.6 * values[:, :1] - 0.15) * (0.6 + 0.4 * step) - 0.1 * target
    elif name in ("score_error", "auroc_error"):
        values = 0.012 + 0.01 * (values if name == "score_error" else target + np.zeros(shape))
    elif name == "auroc":
        values = 0.72 + 0.22 * step - 0.17 * target + np.zeros(shape)
    elif name == "reliability":
        values = 0.5 + 0.3 * step + 0.19 * values
    elif name in ("gap", "gap_random"):
        values = 0.02 * values if name == "gap_random" else (0.05 + 0.2 * values) * (0.5 + 0.5 * step)
    elif name.startswith("drift"):
        share = {"drift": 0.5, "drift_corrected": 0.4, "drift_low": 0.4, "drift_high": 0.6, "drift_noise": 0.12}.get(name, 1.0)
        same = np.random.default_rng(5).uniform(0.1, 0.9, shape) / (0.5 + step)
        values = (same > 0.35).astype(float) if name == "drift_flagged" else share * (same if name != "drift_noise" else 1.0 + 0 * same)
        values[0] = np.nan
    elif name.startswith("box"):
        side = size[name in ("box_left", "box_right")]
        values = np.rint(side * (0.45 * values if name in ("box_left", "box_top") else 0.55 + 0.45 * values))
    elif name == "rank":
        values = np.minimum(1.0, np.rint(120 * values) / 100)
    if name == "gap_random":
        values[..., 1:] = np.nan
    return values.copy()


def _frames(
    frames: int, traces: Sequence[Trace], numbers: Mapping[str, NDArray[np.float64]], warnings: Sequence[str]
) -> tuple[Frame, ...]:  # fmt: skip
    """One encoder, two of different origin, or epochs of a run with scalars."""
    titles = (
        ["resnet50-dino.pth"]
        if frames == 1
        else ["untrained", "resnet50-dino.pth"]
        if frames == 2
        else [f"epoch {2 * f}" for f in range(frames)]
    )
    made = []
    for f, title in enumerate(titles):
        scalars = {"explain/collapse_level": 0.6 / (1 + f), "explain/effective_rank": 9.0 + 3 * f}
        for t, trace in enumerate(traces):
            for name, tag in (
                ("score", "score/original"),
                ("gap", "gap"),
                ("gap_random", "gap_random"),
                ("drift_corrected", "drift_previous_corrected"),
            ):
                known = numbers[name][f, t, :, 0] if name in numbers else np.array([])
                if np.isfinite(known).any():
                    scalars[f"explain/{trace.key}/{tag}"] = float(np.nanmean(known))
            scalars[f"explain/{trace.key}/two_object_accuracy"] = 0.5 + 0.08 * f - 0.03 * t
        encoder = {"name": "resnet50", "file": f"/models/{title}", "sha256": "3fa91c" + "0" * 58, "epoch": 2 * f}
        made.append(Frame(title, encoder, scalars, tuple(warnings) if f == frames - 1 else ()))
    return tuple(made)
