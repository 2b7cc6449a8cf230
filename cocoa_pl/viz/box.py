"""A box on a picture: a dark line around a light one, so that it is seen on any ground."""

from __future__ import annotations

from PIL import Image, ImageDraw

Box = tuple[float, float, float, float]
"""Left, top, right and bottom in pixels, right and bottom exclusive."""
_DARK, _LIGHT = (17, 17, 17), (255, 255, 255)


def draw_box(tile: Image.Image, box: Box, *, native: int, line: int) -> None:
    """Draw a box onto an enlarged or reduced picture, both lines inside the box, so that neither covers what lies around it.

    Args:
        tile: the picture as it is shown; changed in place.
        box: in pixels of the picture as it was explained.
        native: width of that picture.
        line: thickness of either line, in pixels of the tile.

    Example:
        >>> tile = Image.new("L", (8, 4), 128).convert("RGB")
        >>> draw_box(tile, (1.0, 0.0, 3.0, 2.0), native=4, line=1)
        >>> [[tile.getpixel((x, y))[0] for x in range(8)] for y in (0, 1)]
        [[128, 128, 17, 17, 17, 17, 128, 128], [128, 128, 17, 255, 255, 17, 128, 128]]
    """
    factor, pen = tile.width / native, ImageDraw.Draw(tile)
    left, top, right, bottom = (round(edge * factor) for edge in box)
    for step in range(2 * line):
        if right - left - 2 * step > 0 and bottom - top - 2 * step > 0:
            colour = _DARK if step < line else _LIGHT
            pen.rectangle((left + step, top + step, right - 1 - step, bottom - 1 - step), outline=colour)
