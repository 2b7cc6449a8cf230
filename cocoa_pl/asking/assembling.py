"""From parts to findings: the numbers of all pictures in memory, their pixels and maps read again block by block."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cocoa_pl.asking.agreeing import WITH_ABSENT, WITH_NONSENSE, WITH_PRESENT
from cocoa_pl.asking.parts import Parts
from cocoa_pl.asking.separation import is_unreliable
from cocoa_pl.metrics.drift import Change, NoisyMaps, change
from cocoa_pl.metrics.prompts import TOO_ALIKE
from cocoa_pl.monitor.alerts import has_collapsed
from cocoa_pl.monitor.look import suffix_of
from cocoa_pl.monitor.noise import noisy_maps
from cocoa_pl.monitor.reading import FLAT, NOISY, VISIBLE
from cocoa_pl.types import Rows
from cocoa_pl.viz import robust_scale

OF_TRACE = ("reliability", "standard_error", "insertion_auc", "deletion_auc", "gap", "mask_share")
OF_TARGET = ("score", "score_error", "auroc", "auroc_error", "gap_random")
OF_TEXT = ("rank", WITH_NONSENSE)
BOX = ("box_left", "box_top", "box_right", "box_bottom")
DRIFT = {
    "drift": "drift", "drift_corrected": "corrected", "drift_low": "low", "drift_high": "high", "drift_noise": "noise",
    "drift_flagged": "flagged",
}  # fmt: skip
_PIXELS_COMPARED = 2**22  # at once: as many maps as fit, for the share of their noise is found from all of them
_PIXELS_OF_SCALE = 2**22
_OF_WARNINGS = ("missing", WITH_ABSENT, WITH_PRESENT)  # told in words alone


@dataclass(frozen=True)
class Layout:
    """What the parts hold.

    Attributes:
        parts: where they are.
        num_frames, num_pictures, num_views: F, E, V.
        traces: T keys.
        health: for each frame collapse level and effective rank of its representations; NaN where nothing is known.
    """

    parts: Parts
    num_frames: int
    num_pictures: int
    num_views: int
    traces: tuple[str, ...]
    health: tuple[tuple[float, float], ...]

    @cached_property
    def blocks(self) -> list[int]:
        """The blocks that are done in every frame, in order."""
        return sorted(set.intersection(*(self.parts.answered(frame) for frame in range(self.num_frames))))


@dataclass(frozen=True)
class Numbers:
    """Everything but pixels: see ``report.findings``."""

    columns: dict[str, NDArray[np.float64]]  # (F, T, E, V)
    flags: NDArray[np.str_]  # (F, T, E, V)
    scales: dict[str, float]
    finished: NDArray[np.bool_]  # (E,)
    labels: NDArray[np.int64]  # (F, T, E, V), which concept a target is; -1 where the target says it
    words: dict[str, NDArray[np.float64]]  # trace to (F, E, V, W)
    alike: dict[str, NDArray[np.float64]]  # (F, T, E, V), agreement with maps of other texts
    is_there: NDArray[np.bool_]  # (F, T, E, V), unless what a text names is probably not in the picture


def gather_numbers(layout: Layout) -> Numbers:
    """Read every part once, and once more where frames are compared."""
    shape = (layout.num_frames, len(layout.traces), layout.num_pictures, layout.num_views)
    names = [*OF_TARGET, *OF_TRACE, *BOX, *OF_TEXT, *_OF_WARNINGS, *(DRIFT if layout.num_frames > 1 else [])]
    columns = {name: np.full(shape, np.nan) for name in names}
    labels, words = np.full(shape, -1), dict[str, NDArray[np.float64]]()
    flat, finished = np.zeros(shape, dtype=bool), np.zeros(layout.num_pictures, dtype=bool)
    samples: dict[str, list[NDArray[np.float32]]] = {trace: [] for trace in layout.traces}
    for frame in range(layout.num_frames):
        for block in layout.blocks:
            rows = layout.parts.read(frame, block)
            where = rows["picture"].numpy(), rows["view"].numpy()
            finished[where[0]] = True
            for t, trace in enumerate(layout.traces):
                _fill({name: column[frame, t] for name, column in columns.items()}, where, rows, trace)
                maps = rows[f"map/{trace}"]
                flat[frame, t][where] = (maps.flatten(1).abs().amax(1) <= FLAT).numpy()
                suffix = suffix_of(trace)
                if f"label/{suffix}" in rows:
                    labels[frame, t][where] = rows[f"label/{suffix}"].numpy()
                if (own := rows.get(f"words/{suffix}")) is not None:
                    words.setdefault(trace, np.full((shape[0], *shape[2:], own.shape[1]), np.nan))[frame][where] = own.numpy()
                samples[trace].append(maps.flatten()[:: _stride(layout, maps)].numpy())
    if layout.num_frames > 1 and layout.blocks:
        _compare(layout, columns)
        other = labels != np.roll(labels, 1, axis=0)
        for name in DRIFT:
            columns[name][other] = np.nan  # maps of different concepts have not changed into each other
    scales = {trace: robust_scale(np.concatenate(own)) if own else 0.0 for trace, own in samples.items()}
    flags, told = _flags(layout, columns, flat), {name: columns.pop(name) for name in _OF_WARNINGS}
    alike = {WITH_NONSENSE: columns[WITH_NONSENSE], **{name: told[name] for name in (WITH_ABSENT, WITH_PRESENT)}}
    known = {name: column for name, column in columns.items() if name not in OF_TEXT or not np.isnan(column).all()}
    return Numbers(known, flags, scales, finished, labels, words, alike, told["missing"] != 1)


def _fill(columns: dict[str, NDArray[np.float64]], where: tuple[NDArray[np.int64], NDArray[np.int64]], rows: Rows, trace: str) -> None:
    """A trace's numbers of one block into columns (E, V)."""
    for name in OF_TRACE:
        columns[name][where] = rows[f"{name}/{trace}"].numpy()
    for name in OF_TARGET:
        columns[name][where] = rows[f"{name}/{suffix_of(trace)}"].numpy()
    for name in (*OF_TEXT, *_OF_WARNINGS):
        for key in (f"{name}/{trace}", f"{name}/{suffix_of(trace)}"):
            if key in rows:
                columns[name][where] = rows[key].numpy()
    for side, values in zip(BOX, rows[f"box/{trace}"].T, strict=True):
        columns[side][where] = values.numpy()


def _stride(layout: Layout, maps: Tensor) -> int:
    """Every so-manieth pixel tells the scale."""
    total = layout.num_frames * layout.num_pictures * layout.num_views * maps[0].numel()
    return -(-total // _PIXELS_OF_SCALE) if total > _PIXELS_OF_SCALE else 1


def _compare(layout: Layout, columns: dict[str, NDArray[np.float64]]) -> None:
    """How each frame's maps changed since the frame before, into the columns."""
    for t, trace in enumerate(layout.traces):
        spreads = [_spread(layout, frame, trace) for frame in range(layout.num_frames)]
        for blocks in _groups(layout):
            before: NoisyMaps | None = None
            for frame in range(layout.num_frames):
                where, now = _noisy(layout, frame, blocks, trace, spreads[frame])
                if before is not None:
                    _put({name: column[frame, t] for name, column in columns.items()}, where, change(now, before))
                before = now


def _put(columns: dict[str, NDArray[np.float64]], where: tuple[NDArray[np.int64], ...], made: Change) -> None:
    for name, part in DRIFT.items():
        columns[name][where] = getattr(made, part).numpy()


def _spread(layout: Layout, frame: int, trace: str) -> Tensor:
    """How contrasts spread, summed over all rows, (1, 2)."""
    name = f"spread/{trace}"
    return torch.stack([layout.parts.read(frame, block, [name])[name].double().sum(0) for block in layout.blocks]).sum(0, keepdim=True)


def _noisy(
    layout: Layout, frame: int, blocks: Sequence[int], trace: str, spread: Tensor
) -> tuple[tuple[NDArray[np.int64], ...], NoisyMaps]:  # fmt: skip
    names = [f"{name}/{trace}" for name in ("map", "draw", "monte_carlo", "references")]
    method = trace.partition("-")[0]
    read = [layout.parts.read(frame, block, ["picture", "view", *names, f"dims/{method}", f"num_samples/{method}"]) for block in blocks]
    maps, draw, monte_carlo, references = (torch.cat([rows[name] for rows in read]) for name in names)
    dims, num = read[0].get(f"dims/{method}"), read[0].get(f"num_samples/{method}")
    where = tuple(torch.cat([rows[name] for rows in read]).numpy() for name in ("picture", "view"))
    return where, noisy_maps(
        maps, draw, monte_carlo=monte_carlo, references=references, spread=spread, dims=None if dims is None else float(dims),
        num_samples=None if num is None else int(num),
    )  # fmt: skip


def _groups(layout: Layout) -> Iterator[list[int]]:
    """Blocks in groups of bounded size."""
    blocks = layout.blocks
    if not blocks:
        return
    image = layout.parts.read(0, blocks[0], ["image"])["image"]
    size = max(1, _PIXELS_COMPARED // (image[..., 0].numel()))
    for start in range(0, len(blocks), size):
        yield blocks[start : start + size]


def _flags(layout: Layout, columns: dict[str, NDArray[np.float64]], flat: NDArray[np.bool_]) -> NDArray[np.str_]:
    """Short warnings of every map, the gravest first."""
    collapsed = np.array([has_collapsed(*each) for each in layout.health])[:, None, None, None] & np.ones_like(flat)
    with np.errstate(invalid="ignore"):
        found = {
            "collapsed": collapsed,
            "flat": flat,
            "unreliable target": is_unreliable(columns["auroc"], columns["auroc_error"]),
            "not in the picture?": columns["missing"] == 1,
            "same for any text": columns[WITH_NONSENSE] > TOO_ALIKE,
            "noisy": columns["reliability"] < NOISY,
        }
        if layout.num_frames > 2:  # of two encoders a difference is the answer, not a warning
            found["moved"] = (columns["drift_flagged"] == 1) & (columns["drift_low"] >= VISIBLE)
    flags = np.full(flat.shape, "", dtype="<U64")
    for word, holds in found.items():
        joined = np.where(flags == "", word, np.char.add(np.char.add(flags, ", "), word))
        flags = np.where(holds & (flags != "collapsed"), joined, flags).astype("<U64")
    return flags
