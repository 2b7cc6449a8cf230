"""A study in pictures: curves, gaps of the whole grid, and how they move with the factors of the sensitivity study."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import product

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from cocoa_pl.study.plot_factors import factor_figures
from cocoa_pl.study.plot_style import (
    PROBABILITIES,
    SETTING_WORDS,
    WIDTH,
    clip_axis,
    drawing,
    handle,
    line_with_band,
    look_of,
    marker_of,
    means,
    means_of,
    method_words,
    new_figure,
    rendered,
    stems,
    wrapped,
)
from cocoa_pl.study.results import CONTROL, MEASURES, RANDOMISED, SETTINGS, TARGETS, Cell, Results
from cocoa_pl.study.writing import words_of

__all__ = ["plots", "rendered"]
_ORDER = (*reversed(TARGETS), RANDOMISED)
_PANELS = 4  # side by side
_ROW = 0.165  # inches that a row of dots takes
_AIR = 0.3  # rows left free above a heading
_BANDS = ("cocoa", "random")  # of the curves that have their intervals drawn; with all of them nothing could be told apart
_Group = tuple[str, list[tuple[str, str]]]  # a heading, and (method, target) below it


def plots(results: Results) -> dict[str, Figure]:
    """Stem of a file's name to figure, for whatever the results hold; :func:`rendered` makes a file of one.

    ``gaps_<setting>`` is the overview; ``curves_<encoder>_<setting>``; ``measures_<encoder>`` where more than one measure was followed;
    ``sensitivity_<factor>``; ``cascade``. Intervals are Student's over seeds; with one seed there are none.

    Example:
        >>> plots(Results())
        {}
    """
    encoders = list(dict.fromkeys(cell.encoder for cell in results.grid))
    made: dict[str, Figure] = {}
    with drawing():
        for setting in SETTINGS:
            there = [encoder for encoder in encoders if _measures(results, encoder=encoder, setting=setting)]
            if there:
                made[f"gaps_{setting}"] = _gaps(results, there, setting)
        for encoder, stem in stems(encoders).items():
            for setting in SETTINGS:
                if results.methods(encoder) and _measures(results, encoder=encoder, setting=setting):
                    made[f"curves_{stem}_{setting}"] = _curves(results, encoder, setting)
            if len(_measures(results, encoder=encoder)) > 1:
                made[f"measures_{stem}"] = _by_measure(results, encoder)
        made |= factor_figures(results)
    return made


def _measures(results: Results, *, encoder: str, setting: str | None = None) -> list[str]:
    """That the encoder's grid has, main one first."""
    there = {cell.measure for cell in results.grid if cell.encoder == encoder and setting in (None, cell.setting)}
    return [measure for measure in MEASURES if measure in there]


# ---- gaps ------------------------------------------------------------------------------------------------------------------------------


def _gaps(results: Results, encoders: Sequence[str], setting: str) -> Figure:
    """One panel an encoder, on one scale; by the main measure."""
    measure = min((m for e in encoders for m in _measures(results, encoder=e, setting=setting)), key=MEASURES.index)
    groups = _groups(results, encoders)
    columns = min(_PANELS, len(encoders))
    rows = -(-len(encoders) // columns)
    figure = new_figure(height=0.95 + rows * (0.4 + _ROW * _length(groups)), title=f"Gap of {words_of(measure)}: {SETTING_WORDS[setting]}")
    panels = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    for n, axes in enumerate(panels.flat):
        if n < len(encoders):
            axes.set_title(wrapped(encoders[n], 70 // columns))
            _dots(axes, results, groups, Cell(encoders[n], setting, measure, "", ""))
            axes.tick_params(labelbottom=n + columns >= len(encoders))
            axes.locator_params(axis="x", nbins=16 // (columns + 1))
        else:
            axes.remove()
    if measure in PROBABILITIES:
        clip_axis(panels[0, 0], "x", -1, 1)
    _label_rows(panels[:, 0].tolist(), groups)
    figure.supxlabel(f"gap: insertion \N{MINUS SIGN} deletion (higher is better)\n{means_of(len(results.seeds))}", fontsize=8)
    return figure


def _by_measure(results: Results, encoder: str) -> Figure:
    """One column a measure, whose units differ; one row a setting."""
    measures, groups = _measures(results, encoder=encoder), _groups(results, [encoder])
    settings = [setting for setting in SETTINGS if _measures(results, encoder=encoder, setting=setting)]
    figure = new_figure(height=1.1 + len(settings) * (0.2 + _ROW * _length(groups)), title=f"Gap by every measure: {encoder}")
    panels = figure.subplots(len(settings), len(measures), sharex="col", sharey=True, squeeze=False)
    for (row, setting), (column, measure) in product(enumerate(settings), enumerate(measures)):
        _dots(panels[row, column], results, groups, Cell(encoder, setting, measure, "", ""))
        panels[row, column].locator_params(axis="x", nbins=4)
        if row == 0:
            panels[row, column].set_title(wrapped(words_of(measure), 18))
        if column == 0:
            panels[row, column].set_ylabel(SETTING_WORDS[setting], fontweight="bold")
    for column, measure in enumerate(measures):
        if measure in PROBABILITIES:
            clip_axis(panels[0, column], "x", -1, 1)
    _label_rows(panels[:, 0].tolist(), groups)
    figure.supxlabel(
        f"gap: insertion \N{MINUS SIGN} deletion (higher is better for every measure)\n{means_of(len(results.seeds))}", fontsize=8
    )
    return figure


def _groups(results: Results, encoders: Sequence[str]) -> list[_Group]:
    """Rows of dots: COCOA first under each attribution, controls last."""
    rows = list(dict.fromkeys(row for encoder in encoders for row in results.rows(encoder)))
    methods = sorted(dict.fromkeys(method for method, _ in rows), key=lambda method: method == CONTROL)
    groups = []
    for method in methods:
        own = [(other, target) for other, target in rows if other == method]
        own.sort(key=lambda row: _ORDER.index(row[1]) if row[1] in _ORDER else len(_ORDER))
        groups.append(("Controls" if method == CONTROL else method_words(method), own))
    return groups


def _length(groups: Sequence[_Group]) -> float:
    return sum(len(rows) + 1 + _AIR for _, rows in groups)


def _places(groups: Sequence[_Group]) -> list[tuple[float, str, tuple[str, str] | None]]:
    """From the top down: (height, words, row), of a heading without a row; 0 is the first line."""
    lines: list[tuple[float, str, tuple[str, str] | None]] = []
    for heading, rows in groups:
        y = lines[-1][0] + 1 + _AIR if lines else 0.0
        lines += [(y, heading, None), *((y + n, look_of(target).words, (method, target)) for n, (method, target) in enumerate(rows, 1))]
    return lines


def _dots(axes: Axes, results: Results, groups: Sequence[_Group], of: Cell) -> None:
    """A dot and its interval for every row that is there."""
    axes.axvline(0, color="#333333", lw=0.8, zorder=2)
    axes.grid(visible=False, axis="y")
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    for y, _, row in _places(groups):
        if row is None:
            continue
        look = look_of(row[1])
        if row[1] == "cocoa":
            axes.axhspan(y - 0.5, y + 0.5, color=look.colour, alpha=0.09, lw=0, zorder=0)
        areas = results.grid.get(of._replace(method=row[0], target=row[1]))
        if areas is not None:
            mean, low, high = (own.item() for own in means(areas.by_seed("gap")[:, None]))
            axes.plot([low, high], [y, y], color=look.colour, lw=1.5, solid_capstyle="butt", label=f"_{look.words}", zorder=3)
            axes.plot([mean], [y], color=look.colour, label=look.words, zorder=4, **marker_of(look, 6 if row[1] == "cocoa" else 5))


def _label_rows(panels: Iterable[Axes], groups: Sequence[_Group]) -> None:
    """Words beside the first panel of each line; panels share their heights."""
    places = _places(groups)
    for axes in panels:
        axes.set_yticks([y for y, _, _ in places], [words for _, words, _ in places])
        axes.set_ylim(places[-1][0] + 0.6, -0.6)
        for label, (_, _, row) in zip(axes.get_yticklabels(), places, strict=True):
            label.set_fontweight("bold" if row is None or row[1] == "cocoa" else "normal")
            label.set_color("#000000" if row is None else look_of(row[1]).colour if row[1] == "cocoa" else "#333333")


# ---- curves ----------------------------------------------------------------------------------------------------------------------------


def _curves(results: Results, encoder: str, setting: str) -> Figure:
    """One column an attribution; insertion above deletion, all on one scale."""
    measure = _measures(results, encoder=encoder, setting=setting)[0]
    groups = {rows[0][0]: rows for _, rows in _groups(results, [encoder])}
    controls, methods = groups.pop(CONTROL, []), list(groups)
    figure = new_figure(height=5.0, width=max(WIDTH, 2.2 * len(methods)), title=f"{encoder}: {SETTING_WORDS[setting]}")
    panels = figure.subplots(2, len(methods), sharex=True, sharey=True, squeeze=False)
    for (column, method), (row, kind) in product(enumerate(methods), enumerate(("insertion", "deletion"))):
        axes = panels[row, column]
        for n, (own, target) in enumerate([*controls, *reversed(groups[method])]):
            areas = results.grid.get(Cell(encoder, setting, measure, own, target))
            if areas is not None:
                curves = areas.insertion_curve if kind == "insertion" else areas.deletion_curve
                x = torch.linspace(0, 1, curves.shape[1])
                line_with_band(axes, x, means(curves), look_of(target), shift=n, band=target in _BANDS)
        if row == 0:
            axes.set_title(method_words(method))
        axes.tick_params(labelbottom=True)
        axes.set_xlabel(f"share of pixels {'inserted' if kind == 'insertion' else 'deleted'}")
    for axes, words in zip(panels[:, 0], ("insertion (higher is better)", "deletion (lower is better)"), strict=True):
        axes.set_ylabel(words_of(measure) + f"\n{words}")
    panels[0, 0].set_xlim(0, 1)
    if measure in PROBABILITIES:
        clip_axis(panels[0, 0], "y", 0, 1)
    there = list(dict.fromkeys(target for rows in (*groups.values(), controls) for _, target in rows))
    banded = " and ".join(words_of(target) for target in _BANDS if target in there)
    title = means_of(len(results.seeds)) + (f" ({banded})" if banded and len(results.seeds) > 1 else "")
    figure.legend(
        handles=[handle(look_of(target)) for target in there], loc="outside lower center", ncols=min(4, len(there)),
        title=title, title_fontsize=8,
    )  # fmt: skip
    return figure
