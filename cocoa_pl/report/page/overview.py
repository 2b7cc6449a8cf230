"""The table at the top: how well each target can be told, and how its maps fare by every method."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from cocoa_pl.report.findings import COLUMNS, Findings
from cocoa_pl.report.page.markup import aligned, number, table, text, with_error

_AT_ONCE = 2  # encoders that the table shows; of more, the last
_OF_TARGETS = {"auroc": "Quality (AUROC)", "score": "Mean score", "rank": "Rank"}
_OF_MAPS = {
    "reliability": "Reliability", "prompt_agreement": "Prompt agreement", "gap": "Gap", "gap_random": "Gap, random map",
}  # fmt: skip


def targets(findings: Findings) -> str:
    """A row for each target and method: means over the pictures as they are, not over their other views."""
    count = len(findings.frames)
    frames = list(range(count)) if count <= _AT_ONCE else [count - 1]
    which = f" for {text(findings.frames[-1].title)}, the last of {count} encoders" if count > _AT_ONCE else ""
    means = f"Means over the pictures{' in their original view' if len(findings.views) > 1 else ''}{which}."
    return (
        f'<section id="targets"><h2>Targets</h2>\n{table(_header(findings), _rows(findings, frames), name="Targets")}\n'
        f'<p class="note">{means} Every term is explained under <a href="#reading">How to read this</a>.</p></section>'
    )


def _header(findings: Findings) -> Iterator[str]:
    def measured(names: Mapping[str, str]) -> Iterator[str]:
        for name, words in names.items():
            if name in findings.columns:
                yield f'<th class="num" title="{COLUMNS[name]}">{words}</th>'

    yield from ["<th>Encoder</th>"] * (len(findings.frames) == _AT_ONCE)
    yield "<th>Target</th>"
    yield from measured(_OF_TARGETS)
    yield "<th>Method</th>"
    yield from measured(_OF_MAPS)
    yield '<th class="num">With a warning</th>'


def _rows(findings: Findings, frames: list[int]) -> Iterator[str]:
    traces = findings.traces
    at = [(f, t) for f in frames for t in range(len(traces))]
    scores = aligned([_mean(findings, "score", f, t) for f, t in at], signed=True)
    gaps = aligned([_mean(findings, name, f, t) for name in ("gap", "gap_random") for f, t in at], digits=3)  # to be compared
    columns = {name: aligned([_mean(findings, name, f, t) for f, t in at]) for name in ("reliability", "prompt_agreement", "rank")}
    columns |= {"gap": gaps, "gap_random": gaps[len(at) :]}
    for place, f in enumerate(frames):
        for target in dict.fromkeys(trace.target for trace in traces):
            some = [t for t, trace in enumerate(traces) if trace.target == target]
            shared = [text(findings.frames[f].title)] * (len(findings.frames) == _AT_ONCE) + [text(target)]
            cells = [f'<td class="name" rowspan="{len(some)}">{words}</td>' for words in shared]
            first = place * len(traces) + some[0]
            of_target = {"auroc": _quality(findings, f, some[0]), "score": scores[first], "rank": columns["rank"][first]}
            cells += [
                f'<td class="num" rowspan="{len(some)}">{words}</td>' for name, words in of_target.items() if name in findings.columns
            ]
            for t in some:
                flags = findings.flags[f, t, findings.finished]
                numbers = [columns[name][place * len(traces) + t] for name in _OF_MAPS if name in findings.columns]
                numbers.append(f"{int((flags != '').sum())} of {flags.size}")
                own = f"<td>{text(traces[t].method)}</td>" + "".join(f'<td class="num">{words}</td>' for words in numbers)
                yield f'<tr class="first">{"".join(cells)}{own}</tr>' if t == some[0] else f"<tr>{own}</tr>"


def _known(findings: Findings, name: str, f: int, t: int) -> NDArray[np.float64]:
    """Numbers of the original views; none where they were not measured."""
    values = findings.columns[name][f, t, :, 0] if name in findings.columns else np.zeros(0)
    return values[np.isfinite(values)]


def _mean(findings: Findings, name: str, f: int, t: int) -> float:
    known = _known(findings, name, f, t)
    return float(known.mean()) if known.size else float("nan")


def _quality(findings: Findings, f: int, t: int) -> str:
    """The area with its error and a word; where every picture has a corpus of its own, their mean and range."""
    values = _known(findings, "auroc", f, t)
    if not values.size:
        return "not known"
    low, high = float(values.min()), float(values.max())
    if high - low > 1e-6:
        return f"<span>{number(low)} to {number(high)}, mean</span> {number(float(values.mean()))}"
    error = _mean(findings, "auroc_error", f, t)
    return f"<span>{_word(high, error)}</span> {''.join(with_error(high, error))}"


def _word(area: float, error: float) -> str:
    """What an area says, not forgetting its error.

    Example:
        >>> _word(0.97, 0.01), _word(0.8, 0.02), _word(0.6, 0.02), _word(0.6, 0.07), _word(0.4, 0.02)
        ('clear', 'fair', 'weak', 'not told from chance', 'below chance')
    """
    if area + 1.96 * error < 0.5:
        return "below chance"
    if area - 1.96 * (error if np.isfinite(error) else 0.0) <= 0.5:
        return "not told from chance"
    return "clear" if area >= 0.9 else "fair" if area >= 0.7 else "weak"
