"""Words and numbers for pictures: the font inside Pillow, so that no machine font is needed, and text made to fit.

That font holds ASCII and little more. Accents are dropped and what it cannot draw becomes ``?``, instead of an empty box.
"""

from __future__ import annotations

import math
import unicodedata
from bisect import bisect_right
from functools import lru_cache

from PIL import ImageFont

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont
_ELLIPSIS = "..."
_NEAREST = str.maketrans("\u2010\u2013\u2014\u2212\u00d7\u2018\u2019\u201c\u201d", "----x''\"\"")  # dashes, minus, times, quotation marks


@lru_cache(maxsize=64)
def load_font(size: int) -> Font:
    """The font inside Pillow at a height in pixels."""
    return ImageFont.load_default(size=size)


def plain(text: str) -> str:
    """Only characters the font can draw.

    Example:
        >>> plain("caf\\u00e9 \\u2192 \\u22125")
        'cafe ? -5'
    """
    decomposed = unicodedata.normalize("NFKD", " ".join(text.split()).translate(_NEAREST))
    letters = (char for char in decomposed if not unicodedata.combining(char))
    return "".join(char if char in "\u00b1\u00b7" or " " <= char <= "~" else "?" for char in letters)


def shorten(text: str, font: Font, *, width: float) -> str:
    """The text itself where it fits into a width in pixels, otherwise its beginning and an ellipsis; empty where not even that fits."""
    if font.getlength(text) <= width:
        return text
    length = bisect_right(range(len(text)), width, key=lambda count: font.getlength(text[:count] + _ELLIPSIS)) - 1
    return text[:length].rstrip() + _ELLIPSIS if length > 0 else ""


def wrap(text: str, font: Font, *, width: float, max_lines: int) -> list[str]:
    """Break the text between words into at most ``max_lines`` lines of a width in pixels; what is left over ends in an ellipsis."""
    words = text.split()
    lines: list[str] = []
    while words and len(lines) < max_lines - 1:
        count = 1
        while count < len(words) and font.getlength(" ".join(words[: count + 1])) <= width:
            count += 1
        lines.append(shorten(" ".join(words[:count]), font, width=width))
        words = words[count:]
    return [*lines, shorten(" ".join(words), font, width=width)] if words else lines


def signed_number(value: float) -> str:
    """A number with its sign, short enough to stand under a panel.

    Example:
        >>> [signed_number(value) for value in (0.4249, -0.05, 0.0031, 0.0, 1234.0, float("nan"))]
        ['+0.42', '-0.05', '+3.1e-3', '0', '+1.2e+3', 'nan']
    """
    if not math.isfinite(value):
        return str(value)
    if value == 0.0:
        return "0"
    if 0.00995 <= abs(value) < 99.95:
        return f"{value:+.2f}"
    if 99.95 <= abs(value) < 999.5:
        return f"{value:+.0f}"
    mantissa, exponent = f"{value:+.1e}".split("e")
    return f"{mantissa}e{int(exponent):+d}"
