"""A report's PNGs: a sheet for every picture, and the masks that its maps draw."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cocoa_pl.files import write_png
from cocoa_pl.report.findings import Block, Findings, Floats
from cocoa_pl.viz import Panel, contact_sheet

MaskOf = Callable[[Floats], NDArray[np.bool_]]
"""Maps (n, H, W) to masks."""


def write_pictures(folder: Path, findings: Findings, *, mask_of: MaskOf, max_pictures: int) -> int:
    """``heatmaps/<number>-<name>.png`` and ``masks/<number>-<name>-<trace>.png`` of the first pictures; returns of how many.

    Raises:
        OutputError: the folder cannot be written to.
    """
    num = 0
    for block in findings.blocks():
        for picture in np.unique(block.pictures).tolist():
            if num == max_pictures:
                return num
            rows = np.flatnonzero(block.pictures == picture)
            stem = f"{picture:05d}-{_plain(findings.pictures[picture])}"
            write_png(folder / "heatmaps" / f"{stem}.png", picture_sheet(findings, block, rows))
            for f in range(len(findings.frames)):
                for trace in findings.traces:
                    masks = mask_of(block.maps[f][trace.key][rows])
                    for row, mask in zip(rows, masks, strict=True):
                        more = [findings.views[block.views[row]]] if len(findings.views) > 1 else []
                        more += [str(f)] if len(findings.frames) > 1 else []
                        write_png(folder / "masks" / f"{'-'.join([stem, _plain(trace.key), *more])}.png", Image.fromarray(mask))
            num += 1
    return num


def picture_sheet(findings: Findings, block: Block, rows: NDArray[np.int64]) -> Image.Image:
    """One picture: methods side by side, or its views where it has several; a line for each target and frame."""
    picture = int(block.pictures[rows[0]])
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
                labels.append(", ".join([*title, *method, f"towards {target}"]))
    subtitle = "each method on its own scale, the same for all pictures"
    return contact_sheet(lines, scale=1.0, title=findings.pictures[picture], subtitle=subtitle, row_labels=labels, legend=by_view)


def _panel(findings: Findings, block: Block, row: int, f: int, t: int, *, by_view: bool) -> Panel:
    trace, view, picture = findings.traces[t], int(block.views[row]), int(block.pictures[row])
    return Panel(
        block.images[row], block.maps[f][trace.key][row] / (trace.scale or 1.0),
        caption=findings.views[view].replace("_", " + ") if by_view else trace.method,
        score=float(findings.columns["score"][f, t, picture, view]), flag=str(findings.flags[f, t, picture, view]),
        held_out=by_view and findings.held_out[view],
    )  # fmt: skip


def _plain(name: str) -> str:
    """A name that every file system takes."""
    return re.sub(r"[^\w.-]+", "_", name).strip("._")[:80] or "picture"
