"""Blocks from which sheets and strips are stacked: header, colour bar, legend, lines of text.

Every size but margins is a multiple of the page's unit, and a page is 680 units wide: shown 340 pixels wide, as TensorBoard does until
one clicks, a font of 20 units is 10 pixels high whatever the picture's own size.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from cocoa_pl.viz.colour import signed_colours
from cocoa_pl.viz.text import load_font, plain, shorten, signed_number, wrap

Colour = tuple[int, int, int]
PAPER: Colour = (255, 255, 255)
INK: Colour = (28, 32, 38)
MUTED: Colour = (92, 99, 110)
RULE: Colour = (205, 210, 217)
WARNING: Colour = (146, 84, 0)
WARNING_PAPER: Colour = (255, 232, 184)
UNITS = 680
MARGIN, GAP = 10, 8  # in pixels, so that the width of a page is exact
WORDS = ("away from corpus", "towards corpus")


@dataclass(frozen=True)
class Page:
    """A page of a given width in pixels; ``px`` turns units into pixels."""

    width: int

    def px(self, units: float) -> int:
        """Units to whole pixels."""
        return round(units * self.width / UNITS)

    def blank(self, height: int, *, width: int | None = None) -> tuple[Image.Image, ImageDraw.ImageDraw]:
        """An empty block and the pen that draws on it; sizes in pixels, as wide as the page unless told otherwise."""
        block = Image.new("RGB", (width or self.width, height), PAPER)
        return block, ImageDraw.Draw(block)

    def write(
        self,
        pen: ImageDraw.ImageDraw,
        at: tuple[float, float],
        text: str,
        *,
        size: float,
        room: float,
        anchor: str = "lm",
        colour: Colour = INK,
        bold: bool = False,
    ) -> float:
        """Write one line, at most ``room`` pixels wide, and return the width it took; ``size`` in units, ``anchor`` as Pillow has it."""
        font = load_font(max(6, self.px(size)))
        short = shorten(plain(text), font, width=room)
        for shift in (0, max(1, self.px(1.0))) if bold else (0,):
            pen.text((at[0] + shift, at[1]), short, fill=colour, font=font, anchor=anchor)
        return font.getlength(short)

    def header(self, title: str, subtitle: str = "") -> Image.Image:
        """The title, in up to two lines, and a subtitle, in up to two."""
        room = self.width - 2 * MARGIN
        lines = [(line, 30.0, INK) for line in wrap(plain(title), load_font(self.px(30)), width=room - self.px(2), max_lines=2)]
        lines += [(line, 22.0, MUTED) for line in wrap(plain(subtitle), load_font(self.px(22)), width=room, max_lines=2)]
        block, pen = self.blank(MARGIN + sum(self.px(1.25 * size) for _, size, _ in lines))
        top = MARGIN
        for line, size, colour in lines:
            height = self.px(1.25 * size)
            self.write(pen, (MARGIN, top + height / 2), line, size=size, room=room, colour=colour, bold=size == 30.0)
            top += height
        return block

    def colour_bar(self, *, scale: float | None, words: tuple[str, str] = WORDS) -> Image.Image:
        """The colours from -scale to +scale with numbers and words; None where rows have scales of their own and say so themselves."""
        block, pen = self.blank(self.px(62))
        left, right = MARGIN, self.width - MARGIN
        top, bottom = self.px(8), self.px(30)
        ramp = signed_colours(np.linspace(-1.0, 1.0, right - left)[None], scale=0.0 if scale == 0.0 else 1.0)
        block.paste(Image.fromarray(ramp.repeat(bottom - top, axis=0)), (left, top))
        pen.rectangle((left, top, right - 1, bottom - 1), outline=RULE)
        middle = (left + right) // 2
        pen.line((middle, top, middle, bottom + self.px(4)), fill=INK, width=max(1, self.px(2)))
        if scale == 0.0:
            low, high = "", ""
        elif scale is None:
            low, high = "-scale", "+scale"
        else:
            low, high = signed_number(-scale), signed_number(scale)
        room, line = (right - left) * 0.46, self.px(46)
        self.write(pen, (left, line), f"{low} {words[0]}".strip(), size=21, room=room, colour=MUTED)
        self.write(pen, (middle, line), "0", size=21, room=room, anchor="mm", colour=MUTED)
        self.write(pen, (right, line), f"{words[1]} {high}".strip(), size=21, room=room, anchor="rm", colour=MUTED)
        return block

    def score_line(self, score: float | None, flag: str, *, width: int) -> Image.Image:
        """The score at the left of a line ``width`` pixels wide and the flag at its right, cut short where there is no room for both."""
        block, pen = self.blank(self.px(34), width=width)
        taken = 0.0
        if score is not None:
            taken = self.write(pen, (0, self.px(16)), signed_number(score), size=24, room=width, bold=True) + self.px(8)
        self.chip(pen, (width, self.px(16)), flag, room=width - taken, anchor="rm")
        return block

    def chip(self, pen: ImageDraw.ImageDraw, at: tuple[float, float], text: str, *, room: float, anchor: str) -> None:
        """A short warning on a coloured ground, ending at ``at`` (anchor ``rm``) or centred on it (``mm``)."""
        edge, font = self.px(5), load_font(max(6, self.px(20)))
        size = font.getlength(shorten(plain(text), font, width=room - 2 * edge))
        if not size:
            return
        right = at[0] if anchor == "rm" else at[0] + size / 2 + edge
        pen.rectangle((right - size - 2 * edge, at[1] - self.px(13), right - 1, at[1] + self.px(13)), fill=WARNING_PAPER)
        self.write(pen, (right - edge, at[1]), text, size=20, room=room - 2 * edge, anchor="rm", colour=WARNING)


def stack(blocks: Sequence[Image.Image]) -> Image.Image:
    """Blocks one beneath another, as wide as the widest."""
    sheet = Image.new("RGB", (max(block.width for block in blocks), sum(block.height for block in blocks)), PAPER)
    top = 0
    for block in blocks:
        sheet.paste(block, (0, top))
        top += block.height
    return sheet
