"""How the pictures of a study look: colours that colour-blind readers tell apart, words for names, and files that do not change."""

from __future__ import annotations

import io
import math
import re
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal, NamedTuple

import torch
from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from scipy.special import stdtrit
from torch import Tensor

from cocoa_pl.study.results import RANDOMISED
from cocoa_pl.study.writing import words_of

WIDTH = 7.2
"""Of a figure on paper, in inches: a text column of A4 or letter."""
SETTING_WORDS = {"same": "explicands of the corpus' class", "different": "explicands of other classes than the corpus'"}
PROBABILITIES = ("corpus_majority", "explicand_probability")
"""Measures within [0, 1]; their gaps are within [-1, 1]."""
_MARGIN = 0.03
"""Beyond what is possible, so that what lies at its end is seen whole."""
_STYLE: dict[str, object] = {
    "font.size": 8, "axes.titlesize": 8.5, "axes.labelsize": 8, "xtick.labelsize": 8, "ytick.labelsize": 8, "legend.fontsize": 8,
    "figure.titlesize": 10, "figure.titleweight": "bold", "axes.titleweight": "bold", "axes.spines.top": False, "axes.spines.right": False,
    "axes.edgecolor": "#666666", "axes.linewidth": 0.6, "xtick.major.width": 0.6, "ytick.major.width": 0.6, "xtick.color": "#333333",
    "ytick.color": "#333333", "xtick.major.size": 2.5, "ytick.major.size": 2.5, "axes.grid": True, "grid.color": "#e6e6e6",
    "grid.linewidth": 0.6, "axes.axisbelow": True, "legend.frameon": False, "legend.handlelength": 2.8, "text.parse_math": False,
    "savefig.dpi": 200, "svg.fonttype": "path", "svg.hashsalt": "cocoa_pl", "pdf.fonttype": 42,
}  # fmt: skip
_METADATA: Mapping[str, dict[str, str | None]] = {"png": {"Software": None}, "svg": {"Date": None}, "pdf": {"CreationDate": None}}


@dataclass(frozen=True)
class Look:
    """How a line or a dot is drawn; each differs from the others without its colour too.

    Attributes:
        words: its name for people.
        colour: as #rrggbb.
        marker: of matplotlib.
        dashes: line style, of matplotlib.
        width: of the line, in points.
        layer: what is drawn above what; higher is nearer.
    """

    words: str
    colour: str
    marker: str
    dashes: str | tuple[float, tuple[float, ...]] = "-"
    width: float = 1.3
    layer: float = 3


_DOTTED, _LONG, _SPARSE = (0, (1, 1.2)), (0, (6, 1.5)), (0, (1, 2.5))
_LOOKS = {
    "cocoa": Look(words_of("cocoa"), "#d55e00", "o", "-", 2.2, 6),
    "corpus": Look(words_of("corpus"), "#0072b2", "s", "--", layer=5),
    "contrastive_label_free": Look(words_of("contrastive_label_free"), "#009e73", "^", "-.", layer=5),
    "label_free": Look(words_of("label_free"), "#cc79a7", "D", _DOTTED, layer=5),
    RANDOMISED: Look(words_of(RANDOMISED), "#4d4d4d", "X", _LONG, 1.0, 4),
    "random": Look(words_of("random"), "#8c8c8c", "P", "-", 0.9),
    "smooth_random": Look(words_of("smooth_random"), "#8c8c8c", "v", "--", 0.9),
    "centre_bias": Look(words_of("centre_bias"), "#8c8c8c", "*", _SPARSE, 0.9),
}
_SERIES = (
    Look("", "#0072b2", "o", "-"), Look("", "#e69f00", "s", "--"), Look("", "#009e73", "^", "-."), Look("", "#cc79a7", "D", _DOTTED),
    Look("", "#000000", "v", _LONG), Look("", "#56b4e9", "P", (0, (4, 1, 1, 1, 1, 1))),
)  # fmt: skip


def drawing() -> AbstractContextManager[None]:
    """The style of the figures while they are made or rendered; whatever the user has set is back afterwards."""
    return style.context(_STYLE, after_reset=True)


def new_figure(*, height: float, title: str, width: float = WIDTH) -> Figure:
    """A figure in inches that keeps its texts apart; the title is wrapped to the width."""
    figure = Figure(figsize=(width, height), layout="constrained")
    figure.get_layout_engine().set(w_pad=0.06, h_pad=0.05, wspace=0.02, hspace=0.02)  # type: ignore[union-attr,call-arg]
    figure.suptitle(wrapped(title, int(width * 12)))
    return figure


def rendered(figure: Figure, kind: Literal["png", "svg", "pdf"]) -> bytes:
    """A file's content, the same for the same results: without dates and with fixed names in SVG.

    Raises:
        ValueError: another kind, from matplotlib.

    Example:
        >>> rendered(Figure(figsize=(1, 1)), "png")[1:4]
        b'PNG'
    """
    out = io.BytesIO()
    with drawing():
        figure.savefig(out, format=kind, metadata=_METADATA.get(kind))
    return out.getvalue()


def look_of(target: str) -> Look:
    """Of a target, the randomised network or a control; one that is not known is grey."""
    return _LOOKS.get(target) or Look(target.replace("_", " "), "#8c8c8c", "h", "-", 0.9)


def looks_of(names: Sequence[str]) -> list[Look]:
    """One for each encoder, in order; after six they begin anew."""
    return [replace(_SERIES[n % len(_SERIES)], words=name) for n, name in enumerate(names)]


def method_words(method: str) -> str:
    """Name of an attribution for people, with a capital, as it stands above a panel.

    Example:
        >>> method_words("gradient_shap")
        'GradientSHAP'
    """
    words = words_of(method)
    return words[:1].upper() + words[1:]


def wrapped(text: str, width: int) -> str:
    """As few lines of at most that many characters as will do, of about the same length; broken at blanks only.

    Example:
        >>> print(wrapped("contrastive corpus similarity", 22))
        contrastive
        corpus similarity
    """
    own = partial(textwrap.wrap, text, break_long_words=False, break_on_hyphens=False)
    fewest = len(own(width))
    return "\n".join(next((lines for most in range(1, width) if len(lines := own(most)) <= fewest), own(width)))


def stems(titles: Iterable[str]) -> dict[str, str]:
    """Each title's part of a file name, no two alike.

    Example:
        >>> stems(["SimCLR (ResNet-18)", "SimCLR, ResNet 18"])
        {'SimCLR (ResNet-18)': 'simclr_resnet_18', 'SimCLR, ResNet 18': 'simclr_resnet_18_2'}
    """
    made: dict[str, str] = {}
    for title in titles:
        own = first = re.sub(r"[^a-z0-9]+", "_", title.lower()).strip("_") or "encoder"
        n = 1
        while own in made.values():
            n += 1
            own = f"{first}_{n}"
        made[title] = own
    return made


def means_of(num_seeds: int) -> str:
    """What dots, bars and bands show, in words."""
    return f"mean over {num_seeds} seeds with 95 % t-interval" if num_seeds > 1 else "one seed, so no intervals"


class Means(NamedTuple):
    """Means over seeds and the ends of Student's 95 % intervals, each (K,); ends are NaN where fewer than two values are known."""

    mean: Tensor
    low: Tensor
    high: Tensor


def means(values: Tensor) -> Means:
    """(S, K) to K intervals at once, as :func:`~cocoa_pl.metrics.intervals.t_interval` makes one; NaN is left out.

    Example:
        >>> low, high = means(torch.tensor([[0.1], [0.2], [0.3]]))[1:]
        >>> print(f"{low.item():.3f} {high.item():.3f}")
        -0.048 0.448
    """
    values = values.detach().double().cpu()
    num = (~values.isnan()).sum(dim=0)
    mean = values.nanmean(dim=0)
    deviation = ((values - mean).square().nansum(dim=0) / (num - 1).clamp_min(1)).sqrt()
    quantile = torch.from_numpy(stdtrit((num - 1).clamp_min(1).numpy(), 0.975))
    half = torch.where(num > 1, quantile * deviation / num.sqrt(), math.nan)
    return Means(mean, mean - half, mean + half)


def marker_of(look: Look, size: float) -> dict[str, Any]:
    """Options of a marker: a thin white edge keeps it apart from what lies below."""
    return {"marker": look.marker, "ms": size, "mec": "white", "mew": 0.5}


def handle(look: Look, *, line: bool = True) -> Line2D:
    """What stands for it in a legend."""
    dashes, words = look.dashes if line else "", wrapped(look.words, 90)
    return Line2D([], [], color=look.colour, ls=dashes, lw=look.width, label=words, **marker_of(look, 5.5))


def clip_axis(axes: Axes, which: Literal["x", "y"], low: float, high: float) -> None:
    """Limits no wider than what is possible and a margin; narrower ones stay. Called when everything is drawn.

    Example:
        >>> axes = Figure().subplots()
        >>> _ = axes.plot([0, 1], [0.5, 3.0])
        >>> clip_axis(axes, "y", 0, 1)
        >>> print(f"{axes.get_ylim()[0]:.3f} {axes.get_ylim()[1]:.3f}")
        0.375 1.030
    """
    now, limit = (axes.get_xlim(), axes.set_xlim) if which == "x" else (axes.get_ylim(), axes.set_ylim)
    limit(max(min(now), low - _MARGIN), min(max(now), high + _MARGIN))


def line_with_band(
    axes: Axes, x: Tensor, own: Means, look: Look, *, markers: int = 5, shift: int = 0, band: bool = True
) -> None:  # fmt: skip
    """Means as a line with a few markers, intervals as a band where wanted and known; shift moves the markers along the line."""
    every = max(1, round(len(x) / markers))
    axes.plot(
        x.tolist(), own.mean.tolist(), color=look.colour, ls=look.dashes, lw=look.width, markevery=(shift % every, every),
        label=look.words, zorder=look.layer, **marker_of(look, 5),
    )  # fmt: skip
    if band and bool(own.low.isfinite().any()):
        ends = own.low.tolist(), own.high.tolist()
        axes.fill_between(x.tolist(), *ends, color=look.colour, alpha=0.14, lw=0, zorder=look.layer - 2, label=f"_{look.words}")
