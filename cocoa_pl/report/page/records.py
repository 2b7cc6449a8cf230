"""What stands closed at a page's end: every number in a table, and everything it takes to do it again."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from cocoa_pl.report.findings import COLUMNS, Findings
from cocoa_pl.report.page.markup import MINUS, UNKNOWN, table, text

MAX_ROWS = 2000  # what a browser opens and sorts at once


def numbers(findings: Findings) -> str:
    """A row for every map of the pictures that are explained, and a column for everything known of it."""
    keys = _keys(findings)
    measured = [name for name in COLUMNS if name in findings.columns]
    flagged = bool((findings.flags != "").any())
    header = [_head(words) for words in keys]
    header += [_head(name.replace("_", " "), title=COLUMNS[name], kind="num") for name in measured]
    header += [_head("warning")] if flagged else []
    total = int(findings.finished.sum()) * len(findings.views) * len(findings.traces) * len(findings.frames)
    decimals = {name: _decimals(findings.columns[name]) for name in measured}
    rows = [
        f"<tr>{''.join(f'<td>{text(words)}</td>' for words in _place(findings, at))}"
        f"{''.join(_cell(float(findings.columns[name][at]), decimals[name]) for name in measured)}"
        f"{f'<td>{text(findings.flags[at])}</td>' if flagged else ''}</tr>"
        for at in islice(_order(findings), MAX_ROWS)
    ]
    rest = f'<p class="note">The first {MAX_ROWS} of {total} rows; metrics.csv has all.</p>' if total > MAX_ROWS else ""
    return (
        f'<details id="numbers"><summary>All numbers <span>{min(total, MAX_ROWS)} rows</span></summary>\n'
        f"{rest}{table(header, rows, name='All numbers', sortable=True)}</details>"
    )


def settings(findings: Findings) -> str:
    """Encoders and settings, as plain text that can be copied."""
    encoders = {frame.title: dict(frame.encoder) for frame in findings.frames}
    plain = json.dumps({"encoders": encoders, **findings.settings}, indent=2, ensure_ascii=False, default=str)
    return (
        f'<details id="settings"><summary>Encoders, seeds, versions, configuration</summary><pre tabindex="0">{text(plain)}</pre></details>'
    )


def _keys(findings: Findings) -> list[str]:
    several = [("view", len(findings.views) > 1), ("encoder", len(findings.frames) > 1)]
    label = [] if findings.labels is None else ["label"]
    return ["picture", "method", "target", *label, *(name for name, shown in several if shown)]


def _place(findings: Findings, at: tuple[int, int, int, int]) -> list[str]:
    f, t, e, v = at
    several = [(findings.views[v], len(findings.views) > 1), (findings.frames[f].title, len(findings.frames) > 1)]
    label = [] if findings.labels is None else [findings.label(at)]
    trace = findings.traces[t]
    return [findings.pictures[e], trace.method, trace.target, *label, *(words for words, shown in several if shown)]


def _order(findings: Findings) -> Iterator[tuple[int, int, int, int]]:
    """Positions (f, t, e, v) picture by picture, so that what belongs together stands together."""
    for e in np.flatnonzero(findings.finished).tolist():
        for v in range(len(findings.views)):
            for t in range(len(findings.traces)):
                for f in range(len(findings.frames)):
                    yield f, t, e, v


def _head(words: str, *, title: str = "", kind: str = "") -> str:
    told = f' title="{text(title)}"' if title else ""
    return f'<th scope="col"{f" class={kind}" if kind else ""}{told}>{text(words)}</th>'


def _decimals(values: NDArray[np.float64]) -> int:
    """Decimals of a column: none for whole numbers, otherwise so many that the largest has four digits or more."""
    known = values[np.isfinite(values)]
    largest = float(np.abs(known).max(initial=0.0))
    return 0 if bool((known == np.rint(known)).all()) else min(10, max(4, 3 - math.floor(math.log10(largest))))


def _cell(value: float, decimals: int) -> str:
    words = f"{value:.{decimals}f}".replace("-", MINUS) if np.isfinite(value) else UNKNOWN
    return f'<td class="num">{words}</td>'
