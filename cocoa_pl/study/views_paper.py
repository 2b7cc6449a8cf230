"""A page of a PDF that is drawn on: words that fit, pictures at their places.

Places and lengths are in inches from the upper left corner of a page, sizes of letters in points.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, get_font
from PIL import ImageFont

from cocoa_pl.viz.colour import Pixels
from cocoa_pl.viz.page import INK, RULE, WARNING, WARNING_PAPER, Colour
from cocoa_pl.viz.panel import resize
from cocoa_pl.viz.text import shorten, wrap

WIDTH, HEIGHT, MARGIN = 11.69, 8.27, 0.45  # A4, lying
SMALL, LINE = 7.0, 0.125  # the smallest letters, and what a line of them takes
GAP = 0.05  # between tiles
_PIXELS = 112  # of a tile
_MEASURED = 100  # points at which letters are measured


class Paper:
    """A page that is drawn on."""

    def __init__(self) -> None:
        self.figure = Figure(figsize=(WIDTH, HEIGHT))
        self._axes: Axes = self.figure.add_axes((0, 0, 1, 1))
        self._axes.set_axis_off()
        self._settle()

    def _settle(self) -> None:
        self._axes.set(xlim=(0, WIDTH), ylim=(HEIGHT, 0))

    def write(
        self, at: tuple[float, float], words: str, *, size: float = SMALL, room: float, align: str = "left", colour: Colour = INK,
        bold: bool = False, marked: bool = False, turned: bool = False,
    ) -> None:  # fmt: skip
        """One line of text, its middle at the height given, cut short where it is wider than ``room``."""
        said = shorten(_printable(words), _font(bold), width=room * 72 / size * _MEASURED)
        box = {"boxstyle": "square,pad=0.12", "fc": _rgb(WARNING_PAPER), "ec": _rgb(WARNING), "lw": 0.4} if marked else None
        self._axes.text(
            *at, said, size=size, color=_rgb(WARNING if marked else colour), weight="bold" if bold else "normal", ha=align,
            va="center" if turned else "center_baseline", rotation=90 if turned else 0, bbox=box,
        )  # fmt: skip

    def paragraph(self, top: float, words: str, *, size: float = 9, room: float, colour: Colour = INK) -> float:
        """Text of several lines, and where it ends."""
        step = size * 1.45 / 72
        lines = wrap(_printable(words), _font(False), width=room * 72 / size * _MEASURED, max_lines=9)
        for line in lines:
            self.write((MARGIN, top + step / 2), line, size=size, room=2 * room, colour=colour)
            top += step
        return top

    def picture(self, pixels: Pixels, at: tuple[float, float], size: tuple[float, float]) -> None:
        """Pixels (H, W, 3) at a place (left, top)."""
        (left, top), (width, height) = at, size
        self._axes.imshow(pixels, extent=(left, left + width, top + height, top), aspect="auto", interpolation="none")
        self._settle()

    def tiles(self, pictures: Sequence[Pixels], at: tuple[float, float], tile: tuple[float, float]) -> None:
        """Pictures side by side, the first at a place (left, top), as one image: that a page has few of them saves seconds."""
        drawn = [np.asarray(resize(picture, width=_PIXELS)) for picture in pictures]
        across, gap = drawn[0].shape[1], max(1, round(drawn[0].shape[1] * GAP / tile[0]))
        size = (len(drawn) * tile[0] + (len(drawn) - 1) * gap * tile[0] / across, tile[1])
        strip = np.full((drawn[0].shape[0], len(drawn) * (across + gap) - gap, 3), 255, dtype=np.uint8)
        for k, each in enumerate(drawn):
            strip[:, k * (across + gap) : k * (across + gap) + across] = each
        self.picture(strip, at, size)

    def turned(self, at: tuple[float, float], words: str, *, room: float) -> None:
        """Words that are read upwards, in up to two lines around a place."""
        lines = wrap(_printable(words), _font(False), width=room * 72 / SMALL * _MEASURED, max_lines=2)
        for line, each in enumerate(lines):
            self.write((at[0] + (line - (len(lines) - 1) / 2) * 0.11, at[1]), each, room=room, align="center", turned=True)

    def rule(self, top: float, *, left: float = MARGIN, right: float = WIDTH - MARGIN, colour: Colour = RULE) -> None:
        """A line across."""
        self._axes.plot((left, right), (top, top), color=_rgb(colour), lw=0.6)


def _printable(words: str) -> str:
    """What the font cannot draw becomes a question mark."""
    return "".join(letter if ord(letter) in _letters() else "?" for letter in " ".join(words.split()))


@lru_cache(maxsize=1)
def _letters() -> frozenset[int]:
    return frozenset(get_font(_file(False)).get_charmap())


@lru_cache(maxsize=2)
def _font(bold: bool) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(_file(bold), _MEASURED)


def _file(bold: bool) -> str:
    return str(findfont(FontProperties(family="DejaVu Sans", weight="bold" if bold else "normal")))


def _rgb(colour: Colour) -> tuple[float, float, float]:
    red, green, blue = colour
    return red / 255, green / 255, blue / 255
