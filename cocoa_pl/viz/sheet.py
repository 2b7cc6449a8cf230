"""A contact sheet: explicands in rows, views in columns, one colour scale, readable at the 340 pixels TensorBoard gives a picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image

from cocoa_pl.viz.box import draw_box
from cocoa_pl.viz.colour import overlay
from cocoa_pl.viz.page import GAP, INK, MARGIN, MUTED, PAPER, RULE, UNITS, WORDS, Colour, Page, stack
from cocoa_pl.viz.panel import Panel, resize, tile_width

_SEEN: tuple[Colour, Colour] = ((224, 228, 234), INK)  # background, text
_HELD_OUT: tuple[Colour, Colour] = ((84, 56, 138), PAPER)
_CAPTION, _LABEL, _LEGEND = 32.0, 34.0, 34.0  # heights in units


@dataclass(frozen=True)
class _Grid:
    """Where panels go: sizes in pixels, counts in panels."""

    per_line: int  # explicands side by side
    views: int  # panels of each of them in a line
    beside: bool  # the map stands beside its picture instead of beneath it
    tile: tuple[int, int]  # width and height of a picture

    @property
    def cell(self) -> int:
        return self.tile[0] * (2 if self.beside else 1)

    def left(self, explicand: int, view: int) -> int:
        return MARGIN + explicand * (self.views * (self.cell + GAP) + self.apart) + view * (self.cell + GAP)

    @property
    def apart(self) -> int:
        """Extra space between explicands, needed only where each has several views."""
        return 2 * GAP if self.views > 1 else 0

    @property
    def width(self) -> int:
        return self.left(self.per_line, 0) - self.apart - GAP + MARGIN


def contact_sheet(
    panels: Sequence[Sequence[Panel]],
    *,
    scale: float,
    title: str,
    subtitle: str = "",
    row_labels: Sequence[str] = (),
    columns: int = 4,
    words: tuple[str, str] = WORDS,
    legend: bool = True,
) -> Image.Image:
    """Draw panels, each a picture, its map laid over the grey picture, a caption and a score; views of training and held-out ones differ.

    An explicand with more views than columns takes several lines of about the same length; explicands with few views stand side by side.

    Args:
        panels: explicands, each with its views; at least one panel.
        scale: the |value| that gets the full colour, the same for all panels, usually fixed for a run.
        title: up to two lines are shown.
        subtitle: a smaller line or two beneath, such as method, epoch and number of masks.
        row_labels: a line of text above each explicand, or none at all.
        columns: the most panels side by side.
        words: what the negative and the positive end of the colour bar mean.
        legend: explain the colours of captions, which tell views of training from held-out ones.

    Returns:
        An RGB picture about 680 pixels wide, wider where the images are.

    Raises:
        ValueError: no panels, not one label an explicand, or fewer columns than one.

    Example:
        >>> import numpy as np
        >>> panel = Panel(np.zeros((32, 32, 3), dtype=np.uint8), np.eye(32), caption="original", score=0.42)
        >>> contact_sheet([[panel] * 4], scale=1.0, title="IG, epoch 3").width
        684
    """
    if not any(panels):
        raise ValueError("a contact sheet needs at least one panel")
    if row_labels and len(row_labels) != len(panels):
        raise ValueError(f"expected {len(panels)} row labels, one for each explicand, got {len(row_labels)}")
    if columns < 1:
        raise ValueError(f"columns must be at least 1, got {columns}")
    grid = _plan(panels, columns=columns)
    page = Page(grid.width)
    blocks = [page.header(title, subtitle), page.colour_bar(scale=scale, words=words), *([_legend(page, panels)] if legend else [])]
    for start in range(0, len(panels), grid.per_line):
        group = panels[start : start + grid.per_line]
        blocks.append(_labels(page, grid, group, row_labels[start : start + grid.per_line]))
        for first in range(0, max(map(len, group)), grid.views):
            views = [explicand[first : first + grid.views] for explicand in group]
            blocks.append(_line(page, grid, views, scale=scale))
    return stack(blocks)


def _plan(panels: Sequence[Sequence[Panel]], *, columns: int) -> _Grid:
    """Fill the width: balanced lines where views are many, explicands side by side where they are few."""
    most = max(map(len, panels))
    lines = -(-most // columns)
    per_line = min(max(1, columns // most), len(panels))
    views = -(-most // lines)
    used = per_line * views
    images = [panel.image for explicand in panels for panel in explicand]
    beside = used == 1 or all(image.shape[0] >= 1.5 * image.shape[1] for image in images)
    room = (UNITS - 2 * MARGIN - (used - 1) * GAP) / used / (2 if beside else 1)
    width = max(tile_width(image.shape[1], room=room) for image in images)
    height = max(resize(image, width=width).height for image in images)
    return _Grid(per_line=per_line, views=views, beside=beside, tile=(width, height))


def _legend(page: Page, panels: Sequence[Sequence[Panel]]) -> Image.Image:
    """Which caption colour stands for which kind of view; only kinds that occur."""
    kinds = {panel.held_out for explicand in panels for panel in explicand}
    block, pen = page.blank(page.px(_LEGEND))
    left, middle, side = float(MARGIN), block.height / 2, page.px(20)
    for held_out, (colour, _), words in ((False, _SEEN, "view seen in training"), (True, _HELD_OUT, "held-out view")):
        if held_out in kinds:
            pen.rectangle((left, middle - side / 2, left + side, middle + side / 2), fill=colour, outline=colour if held_out else MUTED)
            left += side + page.px(8)
            left += page.write(pen, (left, middle), words, size=21, room=page.width - left, colour=MUTED) + page.px(28)
    return block


def _labels(page: Page, grid: _Grid, group: Sequence[Sequence[Panel]], labels: Sequence[str]) -> Image.Image:
    """A rule above every explicand of the group and, where there are labels, its label."""
    block, pen = page.blank(page.px(_LABEL if labels else 12))
    for index in range(len(group)):
        left, right = grid.left(index, 0), grid.left(index, grid.views) - GAP
        pen.line((left, page.px(4), right, page.px(4)), fill=RULE, width=max(1, page.px(2)))
        if labels:
            page.write(pen, (left, page.px(19)), labels[index], size=21, room=right - left)
    return block


def _line(page: Page, grid: _Grid, group: Sequence[Sequence[Panel]], *, scale: float) -> Image.Image:
    """One line of panels: all explicands of the group, each beginning at its own column."""
    cells = [[_cell(page, grid, panel, scale=scale) for panel in views] for views in group]
    block, _ = page.blank(max(cell.height for views in cells for cell in views))
    for explicand, views in enumerate(cells):
        for view, cell in enumerate(views):
            block.paste(cell, (grid.left(explicand, view), 0))
    return block


def _cell(page: Page, grid: _Grid, panel: Panel, *, scale: float) -> Image.Image:
    """Caption, picture, map, score and flag of one panel."""
    width, height = grid.tile
    caption, score = page.px(_CAPTION), page.score_line(panel.score, panel.flag, width=grid.cell)
    block, pen = page.blank(caption + height * (1 if grid.beside else 2) + score.height, width=grid.cell)
    background, ink = _HELD_OUT if panel.held_out else _SEEN
    pen.rectangle((0, 0, grid.cell, caption - 1), fill=background)
    page.write(pen, (grid.cell / 2, caption / 2), panel.caption, size=21, room=grid.cell - page.px(6), anchor="mm", colour=ink)
    for index, pixels in enumerate((panel.image, overlay(panel.image, panel.attribution, scale=scale))):
        tile = resize(pixels, width=width)
        if index == 1 and panel.box is not None:
            draw_box(tile, panel.box, native=panel.image.shape[1], line=max(1, page.px(1.5)))
        left, top = (index * width, caption) if grid.beside else (0, caption + index * height)
        block.paste(tile, (left + (width - tile.width) // 2, top + (height - tile.height) // 2))
    block.paste(score, (0, block.height - score.height))
    return block
