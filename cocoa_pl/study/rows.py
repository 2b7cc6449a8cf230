"""The rows of a study's tables, the same for Markdown and LaTeX.

Shape legend
    S  seeds          E  explicands of a seed
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor

from cocoa_pl.config.study import CONTROLS
from cocoa_pl.metrics.intervals import Interval, t_interval
from cocoa_pl.report.markdown import table
from cocoa_pl.study.results import CONTROL, MEASURES, RANDOMISED, TARGETS, Areas, Cell, Factor, Results
from cocoa_pl.study.writing import (
    QUANTITIES,
    UNKNOWN,
    by_unit,
    difference,
    encoders,
    excludes_zero,
    level_difference,
    level_name,
    level_of,
    settings,
    told,
    words_of,
)

TWO_YARDSTICKS = ("removal", "blur_sigma")
"""Factors whose curves are of each level's own removal, so that a difference of gaps is not of the maps alone."""


class Number(NamedTuple):
    """A place of a table."""

    interval: Interval
    bold: bool = False
    signed: bool = False


@dataclass(frozen=True)
class Row:
    """A row of a table: what it is of, then numbers, None where nothing is known.

    Attributes:
        group: rows of a group stand together: an attribution, CONTROL, or a factor.
        name: of the target, of a control, or of a level.
        numbers: one a column.
    """

    group: str
    name: str
    numbers: tuple[Number | None, ...]


class Column(NamedTuple):
    """A column of a table of the grid."""

    encoder: str
    measure: str
    quantity: str = "gap"


def grid_columns(results: Results, setting: str, *, encoder: str = "", main: bool = True) -> list[Column]:
    """Of every encoder, or of one: all quantities of the main measure, or the gaps of the other measures; only what is there."""
    there = {(cell.encoder, cell.measure) for cell in results.grid if cell.setting == setting}
    of = [encoder] if encoder else encoders(results)
    if main:
        return [Column(title, MEASURES[0], name) for title in of for name in QUANTITIES if (title, MEASURES[0]) in there]
    return [Column(title, measure) for title in of for measure in MEASURES[1:] if (title, measure) in there]


def gap_columns(results: Results, setting: str, *, encoder: str) -> list[Column]:
    """The gaps of all measures of an encoder, the main one first."""
    main, other = (grid_columns(results, setting, encoder=encoder, main=main) for main in (True, False))
    return [*(column for column in main if column.quantity == "gap"), *other]


def grid_rows(results: Results, setting: str, columns: Sequence[Column]) -> list[Row]:
    """Rows (method, target): grouped by method, COCOA last of the targets, then the randomised network; the controls come last.

    Bold is the best target of its method, if the paired interval over seeds tells it from every other target.
    """
    rows = []
    for method, target in _places(results, setting, columns):
        numbers = [_grid_number(results, setting, column, method, target) for column in columns]
        rows.append(Row(method, target, tuple(numbers)))
    return rows


def difference_rows(results: Results, setting: str, columns: Sequence[Column]) -> list[Row]:
    """COCOA minus each other target, minus the randomised network, minus each control; bold where the interval leaves out 0."""
    places = _places(results, setting, columns)
    methods = [method for method, target in places if target == "cocoa"]
    rows = []
    for method in methods:
        for other, target in places:
            if target != "cocoa" and other in (method, CONTROL):
                numbers = [_difference_number(results, setting, column, method, (other, target)) for column in columns]
                rows.append(Row(method, target, tuple(numbers)))
    return rows


def factor_rows(factor: Factor, *, measures: Sequence[str]) -> list[Row]:
    """A level a row: gap of the first measure, its difference to the reference level, rank correlation of the maps, other measures' gaps.

    A factor of one seed has intervals over explicands. Bold is a difference whose interval leaves out 0, none of TWO_YARDSTICKS.
    """
    main, *others = measures
    bold = factor.name not in TWO_YARDSTICKS
    reference = level_of(factor, factor.reference)
    rows = []
    for level in factor.levels:
        numbers = [
            _number(level.gaps.get(main)),
            None if level is reference or reference is None else _number(level_difference(level, reference, main), signed=True, bold=bold),
            _number(level.agreement),
            *(_number(level.gaps.get(name)) for name in others),
        ]
        rows.append(Row(factor.name, level_name(factor, level), tuple(numbers)))
    return rows


def factor_measures(factor: Factor) -> list[str]:
    """Measures of a factor's levels, the main one first."""
    there = {name for level in factor.levels for name in level.gaps}
    return [name for name in MEASURES if name in there]


def num_differences(results: Results) -> int:
    """How many differences with an interval the tables have: of the grid's gaps, and of the levels of every factor."""
    rows = [
        row
        for title in encoders(results)
        for setting in settings(results, encoder=title)
        for row in difference_rows(results, setting, gap_columns(results, setting, encoder=title))
    ]
    levels = [row for factor in results.factors if (own := factor_measures(factor)) for row in factor_rows(factor, measures=own)]
    numbers = [number for row in rows for number in row.numbers] + [row.numbers[1] for row in levels]
    return sum(number is not None and not math.isnan(number.interval.low) for number in numbers)


def rows_table(header: Sequence[str], rows: Sequence[Row]) -> str:
    """A table in Markdown; the method stands in the first row of its group."""
    lines, before = [], ""
    for row in rows:
        lines.append(["" if row.group == before else words_of(row.group), words_of(row.name), *map(shown, row.numbers)])
        before = row.group
    return table(header, lines, num_left=2)


def shown(number: Number | None) -> str:
    """A number with its interval in Markdown.

    Example:
        >>> shown(Number(Interval(0.2, 0.1, 0.3, 5), bold=True)), shown(None)
        ('**0.200 [0.100, 0.300]**', '-')
    """
    if number is None:
        return UNKNOWN
    text = told(number.interval, signed=number.signed)
    return f"**{text}**" if number.bold else text


def _places(results: Results, setting: str, columns: Sequence[Column]) -> list[tuple[str, str]]:
    """(method, target) of any of the columns, in the order of the tables."""
    asked = {(column.encoder, column.measure) for column in columns}
    there = [(c.method, c.target) for c in results.grid if c.setting == setting and (c.encoder, c.measure) in asked]
    methods = list(dict.fromkeys(method for method, _ in there))
    order = (*TARGETS, RANDOMISED, *CONTROLS)

    def key(place: tuple[str, str]) -> tuple[bool, int, int]:
        method, target = place
        return method == CONTROL, methods.index(method), order.index(target) if target in order else len(order)

    return sorted(dict.fromkeys(there), key=key)


def _grid_number(results: Results, setting: str, column: Column, method: str, target: str) -> Number | None:
    areas = results.grid.get(Cell(column.encoder, setting, column.measure, method, target))
    if areas is None:
        return None
    others = [
        other
        for name in TARGETS
        if name != target and (other := results.grid.get(Cell(column.encoder, setting, column.measure, method, name))) is not None
    ]
    sign = QUANTITIES[column.quantity]
    best = target in TARGETS and bool(others) and all(_better(areas, other, column.quantity, sign) for other in others)
    return Number(t_interval(areas.by_seed(column.quantity)), bold=best)


def _better(first: Areas, second: Areas, quantity: str, sign: int) -> bool:
    interval = difference(first, second, quantity)
    return excludes_zero(interval) and interval.mean * sign > 0


def _difference_number(results: Results, setting: str, column: Column, method: str, against: tuple[str, str]) -> Number | None:
    cocoa = results.grid.get(Cell(column.encoder, setting, column.measure, method, "cocoa"))
    other = results.grid.get(Cell(column.encoder, setting, column.measure, *against))
    if cocoa is None or other is None:
        return None
    interval = difference(cocoa, other, column.quantity)
    return Number(interval, bold=excludes_zero(interval), signed=True)


def _number(values: Tensor | None, *, signed: bool = False, bold: bool = False) -> Number | None:
    if values is None:
        return None
    interval = t_interval(by_unit(values))
    return Number(interval, bold=bold and excludes_zero(interval), signed=signed)
