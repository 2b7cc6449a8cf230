"""Pictures of a study: what is drawn equals means and intervals by scipy, files are the same again, and missing parts are left out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import cast

import matplotlib
import numpy as np
import pytest
import torch
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from scipy import stats
from torch import Tensor

from cocoa_pl.metrics.intervals import t_interval
from cocoa_pl.study import plot_style
from cocoa_pl.study.plots import plots, rendered
from cocoa_pl.study.results import CONTROL, RANDOMISED, Areas, Cell, Factor, Level, Results

MAIN, SHIFT = "corpus_majority", "representation_shift"
TITLE = "SimCLR, $k$ = 2"
ROWS = (("rise", "corpus"), ("rise", "cocoa"), ("rise", RANDOMISED), (CONTROL, "random"))


def made(
    *, encoders: Sequence[str] = (TITLE,), measures: Sequence[str] = (MAIN,), settings: Sequence[str] = ("same",), seeds: int = 5
) -> Results:
    draw = torch.Generator().manual_seed(1)
    results = Results(seeds=tuple(range(seeds)))
    for encoder in encoders:
        for setting in settings:
            for measure in measures:
                for method, target in ROWS:
                    first, second = torch.rand(2, seeds, 3, generator=draw)
                    curves = torch.rand(2, seeds, 5, generator=draw)
                    results.grid[Cell(encoder, setting, measure, method, target)] = Areas(first, second, curves[0], curves[1])
    return results


def factor(name: str, levels: Sequence[str], *, reference: str = "", encoder: str = TITLE, seeds: int = 5) -> Factor:
    draw = torch.Generator().manual_seed(len(encoder))
    values = [torch.rand(2, seeds, 3, generator=draw) for _ in levels]
    return Factor(
        encoder, name, "rise", reference, tuple(Level(own, {MAIN: gap}, agree) for own, (gap, agree) in zip(levels, values, strict=True))
    )


def interval(values: Tensor) -> tuple[float, float, float]:
    """(S,) to mean and ends by scipy."""
    known = values.double().numpy()
    known = known[~np.isnan(known)]
    low, high = stats.t.interval(0.95, len(known) - 1, loc=known.mean(), scale=stats.sem(known))
    return known.mean(), low, high


def lines(axes: Axes, words: str) -> list[Line2D]:
    return [line for line in axes.get_lines() if line.get_label() == words]


def all_inside(figure: Figure) -> bool:
    """Whether every panel's and legend's texts lie on the page, and legends below the panels."""
    figure.draw_without_rendering()
    boxes = [axes.get_tightbbox() for axes in figure.axes] + [legend.get_window_extent() for legend in figure.legends]
    page = figure.bbox
    inside = all(box is not None and box.x0 >= -1 and box.y0 >= -1 and box.x1 <= page.x1 + 1 and box.y1 <= page.y1 + 1 for box in boxes)
    apart = all(legend.get_window_extent().y1 <= min(box.y0 for box in boxes[: len(figure.axes)] if box) for legend in figure.legends)
    return inside and apart


def test_a_figure_for_whatever_is_there() -> None:
    results = made(measures=(MAIN, SHIFT))
    del results.grid[Cell(TITLE, "same", SHIFT, "rise", "cocoa")]
    results.factors = [factor("foil_size", ["10"]), factor("cascade", [""])]
    assert list(plots(results)) == ["gaps_same", "curves_simclr_k_2_same", "measures_simclr_k_2", "sensitivity_foil_size", "cascade"]
    assert plots(Results()) == {}


def test_dots_and_curves_are_means_over_seeds_with_t_intervals() -> None:
    results = made()
    cell = Cell(TITLE, "same", MAIN, "rise", "cocoa")
    results.grid[cell].insertion[0, 1] = math.nan
    results.grid[cell].insertion[3] = math.nan
    figures = plots(results)
    (axes,) = figures["gaps_same"].axes
    dots, bars = lines(axes, "COCOA"), lines(axes, "_COCOA")
    gap = (results.grid[cell].insertion - results.grid[cell].deletion).nanmean(dim=1)
    assert [*cast(Tensor, dots[0].get_xdata()), *cast(Tensor, bars[0].get_xdata())] == pytest.approx(interval(gap))
    names = [label.get_text() for label in axes.get_yticklabels()]
    assert names == ["RISE", "COCOA", "corpus", "randomised network", "Controls", "random order"]
    assert [label.get_position()[1] for label in axes.get_yticklabels()][1] == cast(Tensor, dots[0].get_ydata())[0]

    upper, lower = figures["curves_simclr_k_2_same"].axes
    for panel, curves in ((upper, results.grid[cell].insertion_curve), (lower, results.grid[cell].deletion_curve)):
        truth = np.array([interval(step) for step in curves.unbind(1)])
        (line,) = lines(panel, "COCOA")
        assert np.allclose(line.get_xydata(), np.stack([np.linspace(0, 1, 5), truth[:, 0]], axis=1))
        (band,) = (own for own in panel.collections if isinstance(own, PolyCollection) and own.get_label() == "_COCOA")
        drawn = np.asarray(band.get_paths()[0].vertices)
        for n, (_, low, high) in enumerate(truth):
            column = drawn[np.isclose(drawn[:, 0], n / 4), 1]
            assert (column.min(), column.max()) == pytest.approx((low, high))
    assert len(lines(upper, "random order")) == 1
    assert all(all_inside(figure) for figure in figures.values())


def test_bands_are_of_cocoa_and_the_random_order_alone_and_axes_end_where_values_do() -> None:
    results = made(seeds=2)  # bands beyond all bounds
    results.factors = [factor("foil_size", ["10", "20"], reference="10", seeds=2), factor("removal", ["blur", "mean"], seeds=2)]
    assert max(interval(level.agreement.mean(dim=1))[2] for own in results.factors for level in own.levels) > 1.1
    figures = plots(results)
    curves = figures["curves_simclr_k_2_same"]
    for panel in curves.axes:
        assert {own.get_label() for own in panel.collections} == {"_COCOA", "_random order"}
        assert panel.get_ylim() == pytest.approx((-0.03, 1.03))
    assert "(COCOA and random order)" in curves.legends[0].get_title().get_text()
    assert figures["gaps_same"].axes[0].get_xlim() == pytest.approx((-1.03, 1.03))
    limits = [axes.get_ylim() for axes in figures["sensitivity_foil_size"].axes]
    limits += [axes.get_xlim() for axes in figures["sensitivity_removal"].axes]
    assert all(-1.031 < low < high < 1.031 for low, high in limits)


def test_means_equal_those_of_the_house() -> None:
    values = torch.rand(6, 4, generator=torch.Generator().manual_seed(0))
    values[0, 1] = values[1:, 2] = values[:, 3] = math.nan
    for column, *own in zip(values.unbind(1), *plot_style.means(values), strict=True):
        known = t_interval(column)
        assert [float(value) for value in own] == pytest.approx([known.mean, known.low, known.high], nan_ok=True)


def test_a_factor_of_numbers_stands_on_a_log_scale_and_words_in_rows() -> None:
    results = made()
    sizes = factor("corpus_size", ["1", "20", "200"], reference="20")
    sizes.levels[1].gaps.clear()
    results.factors = [sizes, factor("removal", ["blur", "random_image"], reference="blur"), factor("cascade", ["", "b", "a"])]
    figures = plots(results)
    gaps, agreement = figures["sensitivity_corpus_size"].axes
    assert gaps.get_xscale() == "log"
    assert [label.get_text() for label in agreement.get_xticklabels()] == ["1", "20", "200"]
    truth = [interval(level.agreement.mean(dim=1)) for level in sizes.levels]
    (line,) = lines(agreement, TITLE)
    assert np.allclose(line.get_xydata(), [(x, own[0]) for x, own in zip((1, 20, 200), truth, strict=True)])
    (bars,) = (own for own in agreement.collections if isinstance(own, LineCollection))
    assert np.allclose(bars.get_segments(), [[(x, own[1]), (x, own[2])] for x, own in zip((1, 20, 200), truth, strict=True)])
    assert agreement.get_ylim()[1] >= max(own[2] for own in truth)
    assert np.isnan(lines(gaps, TITLE)[0].get_ydata()).tolist() == [False, True, False]

    gaps, _ = figures["sensitivity_removal"].axes
    assert [label.get_text() for label in gaps.get_yticklabels()] == ["blur", "random image"]
    means = [float(level.gaps[MAIN].mean()) for level in results.factors[1].levels]
    assert np.allclose(lines(gaps, TITLE)[0].get_xydata(), [(means[0], 0), (means[1], 1)])
    assert np.allclose(lines(figures["cascade"].axes[0], TITLE)[0].get_xdata(), [0, 0.5, 1])
    assert all_inside(figures["sensitivity_removal"])
    assert all_inside(figures["sensitivity_corpus_size"])


def test_names_of_levels_do_not_run_into_each_other_and_the_reference_is_named() -> None:
    results = Results(seeds=range(5), factors=[factor("foil_size", ["100", "1400", "1500", "1600", "5000"], reference="1500")])
    axes = plots(results)["sensitivity_foil_size"].axes[0]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["100", "", "1500", "", "5000"]


def test_files_are_the_same_again_and_no_setting_is_left_behind() -> None:
    results = Results(seeds=range(5), factors=[factor("foil_size", ["10", "20"], reference="10")])
    with matplotlib.rc_context({"font.size": 20, "svg.hashsalt": None}):
        before = dict(matplotlib.rcParams)
        first, second = (rendered(plots(results)["sensitivity_foil_size"], "svg") for _ in range(2))
        assert dict(matplotlib.rcParams) == before
    assert first == second
    assert b"<dc:date>" not in first
    small = [rendered(plot_style.new_figure(height=1, width=1, title="COCOA"), "pdf") for _ in range(2)]
    assert small[0] == small[1]
    assert b"CreationDate" not in small[0]
    assert rendered(Figure(figsize=(1, 1)), "png").startswith(b"\x89PNG")


def test_one_seed_has_no_bands_and_controls_alone_no_curves() -> None:
    results = made(seeds=1)
    figures = plots(results)
    assert not figures["curves_simclr_k_2_same"].axes[0].collections
    assert "no intervals" in figures["gaps_same"].get_supxlabel()
    assert all_inside(figures["gaps_same"])
    results.grid = {cell: own for cell, own in results.grid.items() if cell.method == CONTROL}
    assert list(plots(results)) == ["gaps_same"]


def test_lines_differ_without_colour_too() -> None:
    rows = ("cocoa", "corpus", "label_free", "contrastive_label_free", RANDOMISED, "random", "smooth_random", "centre_bias")
    for looks in ([plot_style.look_of(row) for row in rows], plot_style.looks_of([str(n) for n in range(6)])):
        assert len({look.marker for look in looks}) == len(looks)
        assert len({look.words for look in looks}) == len(looks)
