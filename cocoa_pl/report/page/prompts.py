"""The words of a prompt, each on the colour of its attribution: as opaque as a map's pixel, none at zero."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from cocoa_pl.report.page.markup import number, text
from cocoa_pl.report.page.tiles import OPACITY_POWER
from cocoa_pl.viz import signed_colours

DEEP = 0.79  # share of the scale beyond which dark letters could not be read on it


def prompt(words: Sequence[str], values: NDArray[np.float64], *, scale: float) -> str:
    """A prompt as a line of words, the value of each where the pointer rests on it; words without a value stand as they are.

    Args:
        words: W of them.
        values: (W,) signed, NaN where not known.
        scale: the |value| that gets the full colour; zero colours nothing.

    Example:
        >>> prompt(["<i>", "b"], np.array([0.5, np.nan]), scale=0.5)
        '<p class="prompt"><span class=deep style="background:rgb(141 21 12/1)" title="+0.50">&lt;i&gt;</span> b</p>'
    """
    return f'<p class="prompt">{" ".join(_word(word, value, scale) for word, value in zip(words, values.tolist(), strict=True))}</p>'


def ground(ratio: float) -> tuple[tuple[int, int, int], float]:
    """Colour and opacity behind a word of this share of the scale, in [-1, 1].

    Example:
        >>> ground(-1.0), ground(0.0)[1]
        (((0, 69, 149), 1.0), 0.0)
    """
    red, green, blue = signed_colours(np.array([[ratio]]), scale=1.0)[0, 0].tolist()
    return (red, green, blue), round(min(1.0, abs(ratio)) ** OPACITY_POWER, 3)


def _word(word: str, value: float, scale: float) -> str:
    if not np.isfinite(value):
        return text(word)
    ratio = value / scale if scale > 0 else 0.0
    (red, green, blue), opacity = ground(ratio)
    colour = f' style="background:rgb({red} {green} {blue}/{opacity:g})"' if opacity else ""
    deep = " class=deep" if abs(ratio) > DEEP else ""
    return f'<span{deep}{colour} title="{number(value, signed=True)}">{text(word)}</span>'
