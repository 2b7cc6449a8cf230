"""How gap and maps move with a factor of the sensitivity study, or with every layer more that an encoder loses."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.transforms import ScaledTranslation

from cocoa_pl.study.plot_style import (
    PROBABILITIES,
    SETTING_WORDS,
    WIDTH,
    Look,
    Means,
    clip_axis,
    handle,
    line_with_band,
    looks_of,
    marker_of,
    means,
    means_of,
    method_words,
    new_figure,
    wrapped,
)
from cocoa_pl.study.results import MEASURES, Factor, Results
from cocoa_pl.study.writing import CASCADE, words_of

_AGREEMENT = "agreement"
_TITLES = {
    "corpus_size": "Corpus size", "foil_size": "Foil size", "num_masks": "Number of masks", "removal": "Removal",
    "blur_sigma": "Blur strength", CASCADE: "Layers lost one by one",
}  # fmt: skip
_AXES = {
    "corpus_size": "images in the corpus", "foil_size": "images in the foil", "num_masks": "masks",
    "blur_sigma": "sigma of the blur, in pixels", CASCADE: "share of layers redrawn",
}  # fmt: skip
_REFERENCE = Line2D([], [], color="#999999", lw=4, alpha=0.5, label="as in the grid")
_DODGE = 0.17  # of a row, between encoders
_LETTER = 0.0707  # width of a digit at 8 points, in inches


@dataclass(frozen=True)
class _Scale:
    """Where levels stand on the axis."""

    places: dict[str, float]  # of every level's name
    words: bool = False  # levels are words and have no order
    log: bool = False


def factor_figures(results: Results) -> dict[str, Figure]:
    """``sensitivity_<factor>`` for every factor, and ``cascade``; made within :func:`drawing`."""
    made = {}
    for name in dict.fromkeys(factor.name for factor in results.factors):
        factors = [factor for factor in results.factors if factor.name == name and factor.levels]
        if factors:
            made[CASCADE if name == CASCADE else f"sensitivity_{name}"] = _figure(name, factors, num_seeds=len(results.seeds))
    return made


def _figure(name: str, factors: Sequence[Factor], *, num_seeds: int) -> Figure:
    """A panel for the gap of every measure, then one for the agreement; a line an encoder."""
    measures = [m for m in MEASURES if any(m in level.gaps for factor in factors for level in factor.levels)]
    methods = list(dict.fromkeys(factor.method for factor in factors))
    looks = looks_of([f.encoder if len(methods) == 1 else f"{f.encoder}, {method_words(f.method)}" for f in factors])
    shown, scale = [*measures, _AGREEMENT], _scale(name, factors)
    columns = min(3, len(shown))
    rows = -(-len(shown) // columns)
    high = 0.5 + len(scale.places) * (0.12 + 0.075 * len(factors)) if scale.words else 1.9
    by = f" by {method_words(methods[0])}" if len(methods) == 1 else ""
    figure = new_figure(height=0.9 + rows * high, title=f"{_TITLES.get(name, name.replace('_', ' '))}: COCOA{by}, {SETTING_WORDS['same']}")
    panels = figure.subplots(rows, columns, sharex=not scale.words, sharey=scale.words, squeeze=False)
    for n, axes in enumerate(panels.flat):
        if n >= len(shown):
            axes.remove()
            continue
        for k, (factor, look) in enumerate(zip(factors, looks, strict=True)):
            _draw(figure, axes, factor, shown[n], look, scale, k - (len(factors) - 1) / 2)
        _dress(axes, name, factors, shown[n], scale, below=n + columns >= len(shown), width=(WIDTH - 0.4) / columns - 0.48)
    handles = [handle(look, line=not scale.words) for look in looks]
    handles += [] if name == CASCADE else [_REFERENCE]
    most = max(len(own.get_label()) for own in handles)  # type: ignore[arg-type]
    ncols = max(1, min(len(handles), int(WIDTH / (_LETTER * most + 0.7))))
    figure.legend(handles=handles, loc="outside lower center", ncols=ncols, title=means_of(num_seeds), title_fontsize=8)
    return figure


def _scale(name: str, factors: Sequence[Factor]) -> _Scale:
    """Share of the layers for the cascade; numbers where all levels are, on a log scale where they span much; words otherwise."""
    names = list(dict.fromkeys(level.name for factor in factors for level in factor.levels))
    if name == CASCADE:
        return _Scale({})
    try:
        numbers = [float(own) for own in names]
    except ValueError:
        return _Scale({own: float(n) for n, own in enumerate(names)}, words=True)
    return _Scale(dict(zip(names, numbers, strict=True)), log=min(numbers) > 0 and max(numbers) >= 8 * min(numbers))


def _means(factor: Factor, shown: str) -> Means:
    """One for every level, NaN where it was not measured."""
    values = [level.agreement if shown == _AGREEMENT else level.gaps.get(shown) for level in factor.levels]
    nothing = torch.full_like(factor.levels[0].agreement, math.nan)
    return means(torch.stack([(nothing if own is None else own).nanmean(dim=1) for own in values], dim=1))


def _draw(figure: Figure, axes: Axes, factor: Factor, shown: str, look: Look, scale: _Scale, dodge: float) -> None:
    """One encoder; dodge moves it a little, so that intervals do not hide each other."""
    own = _means(factor, shown)
    if not scale.places:
        return line_with_band(axes, torch.linspace(0, 1, len(own.mean)), own, look, markers=8)
    mean, low, high = (values.tolist() for values in own)
    places = [scale.places[level.name] for level in factor.levels]
    dot: dict[str, Any] = {"color": look.colour, "zorder": look.layer, "label": look.words, **marker_of(look, 4.5)}
    bar: dict[str, Any] = {"color": look.colour, "zorder": look.layer, "label": f"_{look.words}", "lw": 1.3}
    if scale.words:
        y = [place + dodge * _DODGE for place in places]
        axes.hlines(y, low, high, **bar)
        axes.plot(mean, y, ls="", **dot)
        return None
    moved = axes.transData + ScaledTranslation(dodge * 2.2 / 72, 0, figure.dpi_scale_trans)
    axes.vlines(places, low, high, transform=moved, **bar)
    axes.plot(places, mean, ls=look.dashes, lw=look.width, transform=moved, **dot)
    ends = [(x, y) for values in own for x, y in zip(places, values.tolist(), strict=True) if math.isfinite(y)]
    if ends:  # what is moved by points on paper does not count for the limits by itself
        axes.update_datalim(ends)
        axes.autoscale_view()
    return None


def _dress(axes: Axes, name: str, factors: Sequence[Factor], shown: str, scale: _Scale, *, below: bool, width: float) -> None:
    """Titles, ticks, a line at 0 and a bar behind the grid's own value; width is the panel's in inches."""
    better = "rank correlation of maps" if shown == _AGREEMENT else f"gap of {words_of(shown)}"
    axes.set_title(wrapped(better, 30))
    (axes.axvline if scale.words else axes.axhline)(0, color="#333333", lw=0.8, zorder=1)
    if shown == _AGREEMENT or shown in PROBABILITIES:
        clip_axis(axes, "x" if scale.words else "y", -1, 1)
    references = list(dict.fromkeys(factor.reference for factor in factors if factor.reference in scale.places))
    for place in (scale.places[own] for own in references):
        if scale.words:
            axes.axhspan(place - 0.42, place + 0.42, color="#999999", alpha=0.2, lw=0, zorder=0)
        else:
            axes.axvline(place, color="#999999", alpha=0.3, lw=5, zorder=0)
    if scale.words:
        axes.set_yticks(list(scale.places.values()), [own.replace("_", " ") for own in scale.places])
        axes.set_ylim(len(scale.places) - 0.5, -0.5)
        axes.grid(visible=False, axis="y")
        axes.locator_params(axis="x", nbins=4)
        return
    if scale.places:
        _number_axis(axes, scale, references, width)
    axes.tick_params(labelbottom=below)
    if below:
        axes.set_xlabel(_AXES.get(name, name.replace("_", " ")))


def _number_axis(axes: Axes, scale: _Scale, references: Sequence[str], width: float) -> None:
    """A tick at every level, named where there is room; the reference is named first."""
    if scale.log:
        axes.set_xscale("log")
    place = math.log10 if scale.log else float
    low, high = place(min(scale.places.values())), place(max(scale.places.values()))
    inches = {own: (place(value) - low) / ((high - low) or 1.0) * width for own, value in scale.places.items()}
    named: list[str] = []
    for own in [*references, *scale.places]:
        if all(abs(inches[own] - inches[other]) > _LETTER * ((len(own) + len(other)) / 2 + 0.25) for other in named):
            named.append(own)
    axes.set_xticks(list(scale.places.values()), [own if own in named else "" for own in scale.places])
    axes.minorticks_off()
    room = 0.06 * ((high - low) or 1.0)
    ends = (low - room, high + room)
    axes.set_xlim(*((10 ** ends[0], 10 ** ends[1]) if scale.log else ends))
