"""A report's PNGs: a sheet for every picture, the masks that its maps draw, and film strips of a run over time."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from itertools import groupby
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cocoa_pl.files import fresh_folder, write_png
from cocoa_pl.report.findings import At, Block, Findings, Floats
from cocoa_pl.viz import Panel, StripRow, contact_sheet, film_strip
from cocoa_pl.viz.box import Box

MaskOf = Callable[[Floats], NDArray[np.bool_]]
"""Maps (n, H, W) to masks."""
_FEWEST_IN_A_STRIP = 3  # frames


def write_pictures(folder: Path, findings: Findings, *, mask_of: MaskOf, max_pictures: int) -> int:
    """``heatmaps/<number>-<name>.png``, ``masks/<number>-<name>-<trace>.png``; ``strips/`` of three frames or more. The first pictures.

    What earlier reports left in these folders is gone.

    Returns:
        How many pictures.

    Raises:
        OutputError: the folder cannot be written to.
    """
    named, num = _distinct([_plain(trace.key) for trace in findings.traces]), 0
    with ExitStack() as stack:
        heatmaps, masks, strips = (stack.enter_context(fresh_folder(folder / name)) for name in ("heatmaps", "masks", "strips"))
        for block, picture, rows in _by_picture(findings, max_pictures):
            num += 1
            stem = f"{picture:05d}-{_plain(Path(findings.pictures[picture]).stem)}"
            write_png(heatmaps / f"{stem}.png", picture_sheet(findings, block, rows))
            if len(findings.frames) >= _FEWEST_IN_A_STRIP:
                write_png(strips / f"{stem}.png", picture_strip(findings, block, int(rows[0])))
            for f in range(len(findings.frames)):
                for name, trace in zip(named, findings.traces, strict=True):
                    for row, mask in zip(rows, mask_of(block.maps[f][trace.key][rows]), strict=True):
                        more = [findings.views[block.views[row]]] if len(findings.views) > 1 else []
                        more += [str(f)] if len(findings.frames) > 1 else []
                        write_png(masks / f"{'-'.join([stem, name, *more])}.png", Image.fromarray(mask))
    if len(findings.frames) < _FEWEST_IN_A_STRIP:
        (folder / "strips").rmdir()
    return num


def _by_picture(findings: Findings, most: int) -> Iterator[tuple[Block, int, NDArray[np.intp]]]:
    num = 0
    for block in findings.blocks():
        for picture in np.unique(block.pictures).tolist():
            if num == most:
                return
            num += 1
            yield block, picture, np.flatnonzero(block.pictures == picture)


def picture_sheet(findings: Findings, block: Block, rows: NDArray[np.intp]) -> Image.Image:
    """One picture: methods side by side, or its views where it has several; a line for each target and frame."""
    picture = int(block.pictures[rows[0]])
    seen = block.views[rows].tolist()
    by_view = len(findings.views) > 1
    targets = list(dict.fromkeys(trace.target for trace in findings.traces))
    lines: list[list[Panel]] = []
    labels: list[str] = []
    for f, frame in enumerate(findings.frames):
        title = [frame.title] if len(findings.frames) > 1 else []
        for target in targets:
            own = [t for t, trace in enumerate(findings.traces) if trace.target == target]
            for some in ([t] for t in own) if by_view else [own]:
                lines.append([_panel(findings, block, row, f, t, by_view=by_view) for t in some for row in rows])
                method = [findings.traces[some[0]].method] if by_view else []
                named = _named(target, [findings.label((f, t, picture, view)) for t in some for view in seen])
                labels.append(", ".join([*title, *method, f"towards {named}"]))
    subtitle = "each method on its own scale, the same for all pictures"
    return contact_sheet(lines, scale=1.0, title=findings.pictures[picture], subtitle=subtitle, row_labels=labels, legend=by_view)


def picture_strip(findings: Findings, block: Block, row: int) -> Image.Image:
    """The original view of a picture over frames, a line for each trace."""
    picture = int(block.pictures[row])
    epochs = [frame.encoder.get("epoch") for frame in findings.frames]
    rising = all(isinstance(epoch, int) for epoch in epochs) and epochs == sorted(set(epochs))  # type: ignore[type-var]
    rows = [
        StripRow(
            f"{trace.method} towards {_named(trace.target, [findings.label((f, t, picture, 0)) for f in range(len(epochs))])}",
            np.stack([maps[trace.key][row] for maps in block.maps]), scale=trace.scale,
            scores=[float(score) for score in findings.columns["score"][:, t, picture, 0]],
            flags=[str(flag).partition(",")[0] for flag in findings.flags[:, t, picture, 0]],
            boxes=[_box(findings, (f, t, picture, 0)) for f in range(len(epochs))],
        )
        for t, trace in enumerate(findings.traces)
    ]  # fmt: skip
    numbers = [int(epoch) for epoch in epochs if epoch is not None] if rising else list(range(len(epochs)))
    return film_strip(block.images[row], rows, epochs=numbers, title=findings.pictures[picture])


def _panel(findings: Findings, block: Block, row: int, f: int, t: int, *, by_view: bool) -> Panel:
    trace, view, picture = findings.traces[t], int(block.views[row]), int(block.pictures[row])
    return Panel(
        block.images[row], block.maps[f][trace.key][row] / (trace.scale or 1.0),
        caption=findings.views[view].replace("_", " + ") if by_view else trace.method,
        score=float(findings.columns["score"][f, t, picture, view]), flag=str(findings.flags[f, t, picture, view]),
        held_out=by_view and findings.held_out[view], box=_box(findings, (f, t, picture, view)),
    )  # fmt: skip


def _box(findings: Findings, at: At) -> Box | None:
    """The box of an answer to a question, which alone says how boxes are made; a run's own sheets are as they were while it went on."""
    return findings.box(at) if "box" in findings.settings else None


def _named(target: str, labels: Sequence[str]) -> str:
    """A target with what it is in the maps of a line, one after another where it changes.

    Example:
        >>> _named("concept 1", ["tabby cat"] * 3), _named("concept 1", ["cat", "", "cat", "dog"]), _named("dog", ["", ""])
        ('concept 1: tabby cat', 'concept 1: cat, then dog', 'dog')
    """
    changing = ", then ".join(label for label, _ in groupby(filter(None, labels)))
    return f"{target}: {changing}" if changing else target


def _plain(name: str) -> str:
    """A name that every file system takes."""
    return re.sub(r"[^\w.-]+", "_", name).strip("._")[:80] or "picture"


def _distinct(names: list[str]) -> list[str]:
    """Names of which no two are the same: those that occur again are numbered."""
    return [name if names.count(name) == 1 else f"{name}-{number}" for number, name in enumerate(names)]
