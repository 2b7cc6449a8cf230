"""A film strip: one explicand, epochs in columns, a row for each method or target; how an explanation grew while the encoder learned."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from PIL import Image

from cocoa_pl.viz.box import Box, draw_box
from cocoa_pl.viz.colour import Floats, Pixels, overlay
from cocoa_pl.viz.page import GAP, INK, MARGIN, MUTED, RULE, UNITS, WORDS, Page, stack
from cocoa_pl.viz.panel import Panel, resize, tile_width
from cocoa_pl.viz.text import signed_number


@dataclass(frozen=True, eq=False)
class StripRow:
    """One method or target over E epochs."""

    label: str
    """Name of the method or target, such as ``IG``."""
    attributions: Floats
    """(E, H, W), signed."""
    scale: float
    """The |value| that gets the full colour, the same for all epochs of the row."""
    scores: Sequence[float] = ()
    """E scalars explained, or none."""
    flags: Sequence[str] = ()
    """E short warnings such as ``flat``, empty where there is nothing to say, or none at all."""
    boxes: Sequence[Box | None] = ()
    """E boxes in pixels of the image, None where there is none, or none at all."""


def film_strip(
    image: Pixels,
    rows: Sequence[StripRow],
    *,
    epochs: Sequence[int],
    title: str,
    subtitle: str = "",
    max_columns: int = 6,
    words: tuple[str, str] = WORDS,
) -> Image.Image:
    """Draw the picture at the left and, at its right, the maps of one explicand epoch by epoch.

    Rows may have different scales, for methods have different units; then each row names its own.

    Args:
        image: (H, W, 3) uint8, the explicand.
        rows: at least one method or target.
        epochs: E epoch numbers, rising.
        title: up to two lines are shown.
        subtitle: a smaller line or two beneath.
        max_columns: of more epochs than this the first, the last and evenly spaced ones between are shown, and the strip says so.
        words: what the negative and the positive end of the colour bar mean.

    Returns:
        An RGB picture about 680 pixels wide, wider where the image is.

    Raises:
        ValueError: nothing to draw, lengths or shapes that differ, epochs that do not rise, or ``max_columns`` below 2.

    Example:
        >>> picture = np.zeros((32, 32, 3), dtype=np.uint8)
        >>> row = StripRow("IG", np.zeros((9, 32, 32)), scale=1.0)
        >>> film_strip(picture, [row], epochs=range(9), title="explicand 5").width
        740
    """
    _check(image, rows, epochs=epochs)
    shown = spaced(len(epochs), at_most=max_columns)
    across = len(shown) + 1
    tile = tile_width(image.shape[1], room=(UNITS - 2 * MARGIN - (across - 1) * GAP) / across)
    page = Page(across * tile + (across - 1) * GAP + 2 * MARGIN)
    common = rows[0].scale if len({row.scale for row in rows}) == 1 else None
    note = f"{len(shown)} of {len(epochs)} epochs" if len(shown) < len(epochs) else ""
    blocks = [page.header(title, " \u00b7 ".join(filter(None, (subtitle, note)))), page.colour_bar(scale=common, words=words)]
    blocks.append(_epoch_line(page, [epochs[index] for index in shown], tile=tile))
    for row in rows:
        blocks.append(_label_line(page, row, show_scale=common is None))
        blocks.append(_row(page, image, row, shown, tile=tile))
    return stack(blocks)


def spaced(count: int, *, at_most: int) -> list[int]:
    """Indices of at most so many of ``count`` things: the first, the last and evenly spaced ones between.

    Example:
        >>> spaced(21, at_most=6), spaced(3, at_most=6)
        ([0, 4, 8, 12, 16, 20], [0, 1, 2])
    """
    if at_most < 2:
        raise ValueError(f"max_columns must be at least 2, to hold the first and the last epoch, got {at_most}")
    return [round(place) for place in np.linspace(0, count - 1, min(count, at_most))]


def _check(image: Pixels, rows: Sequence[StripRow], *, epochs: Sequence[int]) -> None:
    if not rows or not epochs:
        raise ValueError(f"a film strip needs at least one row and one epoch, got {len(rows)} and {len(epochs)}")
    if any(later <= earlier for earlier, later in pairwise(epochs)):
        raise ValueError(f"epochs must rise, got {list(epochs)}")
    for row in rows:
        for what in ("attributions", "scores", "flags", "boxes"):
            length = len(getattr(row, what))
            if length != len(epochs) and (length or what == "attributions"):
                raise ValueError(f"row {row.label!r}: expected {len(epochs)} {what}, one for each epoch, got {length}")
        Panel(image, row.attributions[0])  # checks the shapes


def _left(column: int, tile: int) -> int:
    return MARGIN + column * (tile + GAP)


def _epoch_line(page: Page, epochs: Sequence[int], *, tile: int) -> Image.Image:
    """The word ``epoch`` above the picture, a number above every other column."""
    block, pen = page.blank(page.px(30))
    middle = block.height / 2
    page.write(pen, (_left(0, tile), middle), "epoch", size=22, room=tile, colour=MUTED)
    for column, epoch in enumerate(epochs, start=1):
        page.write(pen, (_left(column, tile) + tile / 2, middle), str(epoch), size=24, room=tile, anchor="mm", bold=True)
    return block


def _label_line(page: Page, row: StripRow, *, show_scale: bool) -> Image.Image:
    """The row's name at the left and, where rows differ in it, its scale at the right."""
    block, pen = page.blank(page.px(34))
    left, right = MARGIN, page.width - MARGIN
    pen.line((left, page.px(2), right, page.px(2)), fill=RULE, width=max(1, page.px(2)))
    scale = f"scale \u00b1{signed_number(row.scale).lstrip('+')}" if show_scale else ""
    taken = page.write(pen, (right, page.px(19)), scale, size=21, room=right - left, anchor="rm", colour=MUTED)
    page.write(pen, (left, page.px(19)), row.label, size=24, room=right - left - taken - page.px(12), colour=INK)
    return block


def _row(page: Page, image: Pixels, row: StripRow, shown: Sequence[int], *, tile: int) -> Image.Image:
    """The picture, then the maps; centred beneath each its score and, where any epoch has one, its flag."""
    picture = resize(image, width=tile)
    # without the plus: in narrow columns, shrunk by a browser, it is read as a minus
    scores = [signed_number(row.scores[index]).lstrip("+") if row.scores else "" for index in shown]
    flags = [row.flags[index] if row.flags else "" for index in shown]
    line = page.px(32)
    block, pen = page.blank(picture.height + line * (any(scores) + any(flags)) + page.px(4))
    block.paste(picture, (_left(0, tile), 0))
    for column, (index, score, flag) in enumerate(zip(shown, scores, flags, strict=True), start=1):
        left, top = _left(column, tile), picture.height
        drawn = resize(overlay(image, row.attributions[index], scale=row.scale), width=tile)
        box = row.boxes[index] if row.boxes else None
        if box is not None:
            draw_box(drawn, box, native=image.shape[1], line=max(1, page.px(1)))
        block.paste(drawn, (left, 0))
        page.write(pen, (left + tile / 2, top + line / 2), score, size=22, room=tile, anchor="mm")
        page.chip(pen, (left + tile / 2, top + line * (0.5 + any(scores))), flag, room=tile, anchor="mm")
    return block
