r"""The main tables of a study in LaTeX: tabulars with rules of ``booktabs``, to be read by ``\input``.

Encoders stand side by side. An interval is given by its half width, small, behind the mean.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from cocoa_pl.callbacks.console import duration
from cocoa_pl.study.results import MEASURES, Factor, Results
from cocoa_pl.study.rows import TWO_YARDSTICKS, Column, Number, Row, difference_rows, factor_rows, grid_columns, grid_rows
from cocoa_pl.study.writing import CASCADE, QUANTITIES, encoders, number, settings, words_of

_ARROWS = {1: r"$\uparrow$", -1: r"$\downarrow$"}
_NONE = "--"
_SHORT = {"corpus_similarity": "similarity", "explicand_probability": "explicand", "representation_shift": "shift"}
"""Measures over narrow columns; the caption has them in full."""
_ESCAPES = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "[": "{[}", "*": "{*}",
}  # fmt: skip


def latex(results: Results) -> dict[str, str]:
    """File name to a tabular; the caption and label that suit it are in its first lines.

    ``grid_SETTING.tex`` has the main measure, ``measures_SETTING.tex`` the gaps of the others, ``differences_SETTING.tex`` COCOA minus the
    others, ``sensitivity.tex``, ``cascade.tex`` and ``cost.tex`` the rest; those that have something to show.
    """
    files: dict[str, str] = {}
    for setting in settings(results):
        words = words_of(setting)
        main, other = (grid_columns(results, setting, main=main) for main in (True, False))
        if main:
            caption = f"{words_of(MEASURES[0]).capitalize()}, {words}; half widths of 95 % intervals over seeds."
            files[f"grid_{setting}.tex"] = _side_by_side(grid_rows(results, setting, main), main, caption, f"grid-{setting}")
        if other:
            names = ", ".join(words_of(name) for name in dict.fromkeys(column.measure for column in other))
            caption = f"Gaps by the other measures, {words}: {names}; half widths of 95 % intervals over seeds."
            files[f"measures_{setting}.tex"] = _side_by_side(grid_rows(results, setting, other), other, caption, f"measures-{setting}")
        gaps = [column for column in main if column.quantity == "gap"]
        rows = difference_rows(results, setting, gaps)
        if rows:
            caption = f"Gap of COCOA minus that of the others, {words_of(MEASURES[0])}, {words}; paired 95 % intervals over seeds."
            files[f"differences_{setting}.tex"] = _side_by_side(rows, gaps, caption, f"differences-{setting}", second="against")
    for name, own in (("sensitivity", [f for f in results.factors if f.name != CASCADE]), (CASCADE, _cascades(results))):
        if own:
            files[f"{name}.tex"] = _factors(own, name)
    if results.costs:
        files["cost.tex"] = _costs(results)
    return files


def escaped(text: str) -> str:
    r"""Text in which nothing is a command; behind a row's end even a star and a bracket would be its options.

    Example:
        >>> print(escaped("R&D_50%"))
        R\&D\_50\%
    """
    return "".join(_ESCAPES.get(character, character) for character in text)


def _cascades(results: Results) -> list[Factor]:
    return [factor for factor in results.factors if factor.name == CASCADE]


def _side_by_side(rows: Sequence[Row], columns: Sequence[Column], caption: str, label: str, *, second: str = "target") -> str:
    """Encoders over their columns; a rule between groups of rows."""
    titles = list(dict.fromkeys(column.encoder for column in columns))
    spans = [sum(column.encoder == title for column in columns) for title in titles]
    body = list(_grouped([(row.group, [escaped(words_of(row.name)), *map(_told, row.numbers)]) for row in rows]))
    if max(spans) == 1:
        header = [_line(["method", second, *map(escaped, titles)])]
    else:
        starts = [3 + sum(spans[:n]) for n in range(len(spans))]
        over = [rf"\multicolumn{{{n}}}{{c}}{{{escaped(title)}}}" for title, n in zip(titles, spans, strict=True)]
        under = " ".join(rf"\cmidrule(lr){{{start}-{start + n - 1}}}" for start, n in zip(starts, spans, strict=True))
        header = [_line(["", "", *over]), under, _line(["method", second, *map(_column_name, columns)])]
    return _tabular("ll" + "r" * len(columns), header, body, caption, label)


def _column_name(column: Column) -> str:
    name = column.quantity if column.measure == MEASURES[0] else escaped(_SHORT.get(column.measure, words_of(column.measure)))
    return f"{name} {_ARROWS[QUANTITIES[column.quantity]]}"


def _factors(factors: Sequence[Factor], name: str) -> str:
    groups = [
        (
            f"{factor.encoder}, {words_of(factor.method)}{'' if name == CASCADE else f': {words_of(factor.name)}'}",
            [escaped(row.name), *map(_told, row.numbers)],
        )
        for factor in factors
        for row in factor_rows(factor, measures=MEASURES[:1])
    ]
    header = ["", "lost last" if name == CASCADE else "level", f"gap {_ARROWS[1]}", "difference", "agreement"]
    caption = f"{name.capitalize()}: gap of the {words_of(MEASURES[0])}, its difference to the reference, rank correlation of the maps."
    if any(factor.name in TWO_YARDSTICKS for factor in factors):
        caption += " Each removal and each blur has curves of its own, so that their gaps are not of one yardstick."
    return _tabular("llrrr", [_line(header)], list(_grouped(groups)), caption, name)


def _costs(results: Results) -> str:
    rows = []
    for title in (title for title in encoders(results) if title in results.costs):
        cost = results.costs[title]
        ratio = f"{cost.alone / cost.forwards:.1f}" if cost.forwards else _NONE
        rows.append(_line([escaped(title), f"{cost.forwards:,}", f"{cost.alone:,}", ratio, duration(cost.seconds)]))
    header = _line(["encoder", "forwards", "each cell on its own", "ratio", "time"])
    return _tabular("lrrrr", [header], rows, "Images that went through each encoder for its grid.", "cost")


def _grouped(rows: Sequence[tuple[str, list[str]]]) -> Iterator[str]:
    before = None
    for group, values in rows:
        if before not in (None, group):
            yield r"\midrule"
        yield _line(["" if group == before else escaped(words_of(group)), *values])
        before = group


def _tabular(columns: str, header: Sequence[str], body: Sequence[str], caption: str, label: str) -> str:
    lines = [
        f"% \\caption{{{escaped(caption)}}}",
        f"% \\label{{tab:{label}}}",
        rf"\begin{{tabular}}{{{columns}}}",
        r"\toprule",
        *header,
        r"\midrule",
        *body,
        r"\bottomrule",
        r"\end{tabular}",
    ]
    return "\n".join(lines) + "\n"


def _line(values: Sequence[str]) -> str:
    return rf"{' & '.join(values)} \\"


def _told(value: Number | None) -> str:
    if value is None or math.isnan(value.interval.mean):
        return _NONE
    mean = number(value.interval.mean, signed=value.signed).replace("-", "$-$")
    text = rf"\textbf{{{mean}}}" if value.bold else mean
    half = (value.interval.high - value.interval.low) / 2
    return text if math.isnan(half) else rf"{text} {{\scriptsize $\pm$ {number(half)}}}"
