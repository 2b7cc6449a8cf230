"""The numbers of a study as tables: for people in Markdown, for programs in CSV."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Iterator, Sequence

from cocoa_pl.callbacks.console import duration
from cocoa_pl.metrics.intervals import Interval, t_interval
from cocoa_pl.report.markdown import table
from cocoa_pl.study.findings import findings, findings_markdown, summary_words
from cocoa_pl.study.results import CONTROL, MEASURES, Factor, Results
from cocoa_pl.study.rows import (
    TWO_YARDSTICKS,
    Column,
    difference_rows,
    factor_measures,
    factor_rows,
    gap_columns,
    grid_columns,
    grid_rows,
    num_differences,
    rows_table,
    shown,
)
from cocoa_pl.study.writing import (
    CASCADE,
    QUANTITIES,
    RISE,
    UNKNOWN,
    by_unit,
    difference,
    encoders,
    level_difference,
    level_of,
    number,
    settings,
    words_of,
)

ARROWS = {1: "↑", -1: "↓"}
"""Behind what is better high, or low."""
_INTERVAL = ("", "_low", "_high")


def markdown(results: Results, *, title: str, facts: Sequence[str]) -> str:
    """Everything in one page: the findings first, then means with 95 % intervals over seeds.

    Args:
        results: of the study.
        title: of the page.
        facts: paragraphs that follow it: what was run, and how.
    """
    parts = [f"# {title}", *facts, *_found(results), *_overview(results), *_encoders(results), *_factors(results), *_facts(results)]
    return "\n\n".join([*parts, *_words(results)]) + "\n"


def grid_csv(results: Results) -> str:
    """A row a cell of the grid: insertion, deletion and gap, each with the ends of its 95 % interval over seeds; empty where unknown."""
    rows = []
    for cell, areas in results.grid.items():
        intervals = [t_interval(areas.by_seed(name).double()) for name in QUANTITIES]
        rows.append([*cell, *(value for interval in intervals for value in _plain(interval)), str(intervals[-1].num)])
    header = ["encoder", "setting", "measure", "method", "target", *(f"{name}{end}" for name in QUANTITIES for end in _INTERVAL)]
    return _csv([*header, "num_seeds"], rows)


def differences_csv(results: Results) -> str:
    """A row a pair: the gap of COCOA minus that of another target, of the randomised network, or of a control, paired by seeds.

    ``against_method`` is the method itself, or ``control``.
    """
    rows = []
    for cell, areas in results.grid.items():
        if cell.target != "cocoa":
            continue
        for other, its in results.grid.items():
            if other[:3] == cell[:3] and other.target != "cocoa" and other.method in (cell.method, CONTROL):
                interval = difference(areas, its)
                rows.append([*cell[:4], other.method, other.target, *_plain(interval), str(interval.num)])
    header = ["encoder", "setting", "measure", "method", "against_method", "against", "difference", "difference_low", "difference_high"]
    return _csv([*header, "num_seeds"], rows)


def factors_csv(results: Results) -> str:
    """A row a level and measure of the sensitivity study and the cascade: gap, its difference to the reference level, agreement.

    ``num`` is the number of seeds, or of explicands where a factor was run with one seed.
    """
    rows = []
    for factor in results.factors:
        reference = level_of(factor, factor.reference)
        for level in factor.levels:
            agreement = _plain(t_interval(by_unit(level.agreement)))
            for measure, gaps in level.gaps.items():
                apart = None if reference is None or level is reference else level_difference(level, reference, measure)
                told_apart = ["", "", ""] if apart is None else _plain(t_interval(by_unit(apart)))
                own = t_interval(by_unit(gaps))
                place = [factor.encoder, factor.name, factor.method, level.name, str(int(level is reference)), measure]
                rows.append([*place, *_plain(own), *told_apart, *agreement, str(own.num)])
    names = [f"{name}{end}" for name in ("gap", "difference", "agreement") for end in _INTERVAL]
    return _csv(["encoder", "factor", "method", "level", "is_reference", "measure", *names, "num"], rows)


def _csv(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return out.getvalue()


def _plain(interval: Interval) -> list[str]:
    return ["" if math.isnan(value) else f"{value:.6g}" for value in (interval.mean, interval.low, interval.high)]


def _found(results: Results) -> Iterator[str]:
    found = findings(results)
    yield "## What was found"
    if found:
        yield summary_words(found)
    yield findings_markdown(found)
    if num := num_differences(results):
        yield f"About one 95 % interval in twenty misses by chance; there are {num} differences on this page."
    if len(results.seeds) == 1:
        yield "One seed: the grid has means without intervals, and nothing is bold."


def _overview(results: Results) -> Iterator[str]:
    titles = encoders(results)
    if len(titles) < 2 or not any(cell.measure == MEASURES[0] for cell in results.grid):
        return
    yield f"## Gap of the {words_of(MEASURES[0])}, all encoders"
    yield "Insertion minus deletion, higher is better. Bold: the best target of its method, told from every other one."
    for setting in settings(results):
        columns = [column for column in grid_columns(results, setting) if column.quantity == "gap"]
        if columns:
            yield f"### {words_of(setting).capitalize()}"
            yield rows_table(["method", "target", *(column.encoder for column in columns)], grid_rows(results, setting, columns))


def _encoders(results: Results) -> Iterator[str]:
    for title in encoders(results):
        for setting in settings(results, encoder=title):
            yield f"## {title}, {words_of(setting)}"
            main, other = (grid_columns(results, setting, encoder=title, main=main) for main in (True, False))
            if main:
                yield f"The {words_of(MEASURES[0])}:"
                yield _grid(results, setting, main, [_directed(column.quantity) for column in main])
            if other:
                yield "Gaps by the other measures, higher is better:"
                yield _grid(results, setting, other, [words_of(column.measure) for column in other])
            columns = gap_columns(results, setting, encoder=title)
            rows = difference_rows(results, setting, columns)
            if rows:
                yield "The gap of COCOA minus that of the others, paired by seeds; bold where the interval leaves out 0:"
                yield rows_table(["method", "against", *(words_of(column.measure) for column in columns)], rows)


def _grid(results: Results, setting: str, columns: Sequence[Column], header: Sequence[str]) -> str:
    return rows_table(["method", "target", *header], grid_rows(results, setting, columns))


def _factors(results: Results) -> Iterator[str]:
    names = list(dict.fromkeys(factor.name for factor in results.factors))
    if names:
        yield "## Sensitivity of COCOA"
        yield (
            "One thing at a time is changed, in the setting same class. Difference: to the gap at the reference level, paired; bold where "
            "its interval leaves out 0. Agreement: rank correlation with the maps of the reference level."
        )
    if any(name != CASCADE for name in names):
        yield (
            "But for the cascade, corpora and foils are other draws than the grid's, so that the gap at the reference level is not the "
            "grid's number; and they are always judged by corpora and foils of their own, also with `study.in_sample`."
        )
    for name in sorted(names, key=lambda name: name == CASCADE):
        yield f"### {'Cascade: layers redrawn one after another' if name == CASCADE else words_of(name).capitalize()}"
        if name in TWO_YARDSTICKS:
            yield "Curves are of that removal too, so gaps of two levels are of two yardsticks, and none is bold; read the agreement."
        for factor in (factor for factor in results.factors if factor.name == name):
            yield from _factor(factor)


def _factor(factor: Factor) -> Iterator[str]:
    measures = factor_measures(factor)
    if not measures:
        return
    num_seeds, num = factor.levels[0].agreement.shape
    over = f" {num} explicands of one seed, intervals over them." if num_seeds == 1 else f" {num} explicands a seed, {num_seeds} seeds."
    reference = "the encoder itself" if factor.name == CASCADE else words_of(factor.reference)
    yield f"{factor.encoder}, {words_of(factor.method)}; reference: {reference}.{over}{f' {factor.note}' if factor.note else ''}"
    gaps = [f"gap: {words_of(name)} {ARROWS[1]}" for name in measures]
    header = ["lost last" if factor.name == CASCADE else words_of(factor.name), gaps[0], "difference", "agreement", *gaps[1:]]
    rows = [[row.name, *map(shown, row.numbers)] for row in factor_rows(factor, measures=measures)]
    yield table(header, rows, num_left=1)


def _facts(results: Results) -> Iterator[str]:
    if not (results.encoders or results.costs):
        return
    yield "## Encoders and what they cost"
    yield (
        "Forwards: images that went through the encoder for its grid. On their own: the same if every cell were computed by itself. "
        "Reliability: correlation to expect of these maps with those of as many other masks."
    )
    known = {facts.title: facts for facts in results.encoders}
    rows = []
    for title in encoders(results):
        own, cost = known.get(title), results.costs.get(title)
        about = [UNKNOWN] * 2 if own is None else [_value(own.head_accuracy), _value(own.reliability)]
        spent = [UNKNOWN] * 4
        if cost is not None:
            times = f"{cost.alone / cost.forwards:.1f} x" if cost.forwards else UNKNOWN
            spent = [f"{cost.forwards:,}", f"{cost.alone:,}", times, duration(cost.seconds)]
        rows.append([title, *about, *spent])
    reliability = f"reliability of {words_of(RISE)}'s COCOA maps"
    header = ["encoder", "accuracy of the linear head", reliability, "forwards", "on their own", "ratio", "time"]
    yield table(header, rows, num_left=1)
    about_lines = [
        f"- {own.title}: {', '.join(f'{words_of(k)} {v}' for k, v in own.about.items())}" for own in results.encoders if own.about
    ]
    if about_lines:
        yield "\n".join(about_lines)


def _words(results: Results) -> Iterator[str]:
    if not results.grid:
        return
    yield "## Words"
    yield (
        "Insertion and deletion: areas under a measure as the pixels that the map ranks highest come in, or go; gap: insertion minus "
        "deletion. Same class: explicands of the corpus' class; different class: of other classes. Randomised network: COCOA by the "
        "encoder with all its parameters redrawn. Random order, smooth random, centre: maps that know nothing of encoder and target. "
        "The representation shift has a minus sign, so that higher is better. Insertion and deletion by every measure are in the CSV file."
    )


def _directed(quantity: str) -> str:
    return f"{quantity} {ARROWS[QUANTITIES[quantity]]}"


def _value(value: float) -> str:
    return UNKNOWN if math.isnan(value) else number(value)
