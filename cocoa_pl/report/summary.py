"""A report in a terminal: a table of targets and methods, what changed, what to be careful of."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import numpy as np

from cocoa_pl.report.findings import Findings

_MOST_PICTURES = 12  # whose labels are listed


def summary(findings: Findings) -> str:
    """A few dozen lines at most, for a terminal 120 columns wide."""
    lines = list(_table(findings))
    if findings.labels is not None:
        lines += ["", *_labels(findings)]
    if len(findings.frames) > 1 and "drift" in findings.columns:
        lines += ["", *_changes(findings)]
    flags = Counter(flag for value in findings.flags[:, :, findings.finished].ravel() if value for flag in str(value).split(", "))
    total = findings.flags[:, :, findings.finished].size
    if flags:
        lines += ["", "maps to be careful of: " + ", ".join(f"{num} of {total} {flag}" for flag, num in flags.most_common())]
    lines += [f"warning: {sentence}" for frame in findings.frames for sentence in frame.warnings]
    if findings.num_left:
        lines.append(f"{findings.num_left} of {len(findings.pictures)} pictures are not explained yet")
    return "\n".join(lines)


def _table(findings: Findings) -> Iterator[str]:
    yield f"{'':<50}{'score':>16}{'quality':>14}{'reliability':>13}{'gap':>9}{'random':>9}"
    for f, frame in enumerate(findings.frames):
        if len(findings.frames) > 1:
            yield frame.title
        for t, trace in enumerate(findings.traces):
            score, error, area, spread, reliability, gap, random = (
                _mean(findings, name, f, t) for name in ("score", "score_error", "auroc", "auroc_error", "reliability", "gap", "gap_random")
            )
            name = f"{trace.method} towards {trace.target}"
            yield (
                f"{_short(name, 49):<50}{_with_error(score, error, signed=True):>16}{_with_error(area, spread):>14}"
                f"{_plain(reliability):>13}{_plain(gap):>9}{_plain(random):>9}"
            )


def _labels(findings: Findings) -> Iterator[str]:
    """What targets are in each picture, with the scores; a line a picture and frame."""
    targets = dict.fromkeys(trace.target for trace in findings.traces)
    first = [next(t for t, trace in enumerate(findings.traces) if trace.target == target) for target in targets]
    shown = np.flatnonzero(findings.finished).tolist()
    for e in shown[:_MOST_PICTURES]:
        for f, frame in enumerate(findings.frames):
            name = findings.pictures[e] + (f", {frame.title}" if len(findings.frames) > 1 else "")
            told = [
                f"{label} {_with_error(float(findings.columns['score'][f, t, e, 0]), float('nan'), signed=True)}"
                for t in first
                if (label := findings.label((f, t, e, 0)))
            ]
            yield f"{_short(name, 49):<50}{_short(', '.join(told), 69)}"
    if len(shown) > _MOST_PICTURES:
        yield f"(the first {_MOST_PICTURES} of {len(shown)} pictures; metrics.csv has all)"


def _changes(findings: Findings) -> Iterator[str]:
    """How maps changed from the first frame to the second, or from each to the next."""
    two = len(findings.frames) == 2
    heading = "between both" if two else "from each to the next"
    yield f"{heading:<50}{'drift':>16}{'without noise':>14}{'noise':>13}{'changed':>18}"
    for f in range(1, len(findings.frames)):
        for t, trace in enumerate(findings.traces):
            own = findings.columns["drift_flagged"][f, t]
            flagged, known = int(np.nansum(own)), int((~np.isnan(own)).sum())
            name = f"{trace.method} towards {trace.target}" + ("" if two else f", {findings.frames[f].title}")
            drift, corrected, noise = (_mean(findings, column, f, t) for column in ("drift", "drift_corrected", "drift_noise"))
            yield f"{_short(name, 49):<50}{_plain(drift):>16}{_plain(corrected):>14}{_plain(noise):>13}{f'{flagged} of {known}':>18}"


def _mean(findings: Findings, name: str, f: int, t: int) -> float:
    """Of the original views."""
    values = findings.columns[name][f, t, :, 0] if name in findings.columns else np.array([])
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else float("nan")


def _with_error(value: float, error: float, *, signed: bool = False) -> str:
    if np.isnan(value):
        return ""
    text = f"{value:+.3f}" if signed else f"{value:.2f}"
    return text if np.isnan(error) else f"{text} +-{error:.3f}" if signed else f"{text} +-{error:.2f}"


def _plain(value: float) -> str:
    return "" if np.isnan(value) else f"{value:.3f}"


def _short(text: str, width: int) -> str:
    """At most so many characters, none of which moves a terminal's cursor."""
    text = "".join(char if char.isprintable() else "?" for char in text)
    return text if len(text) <= width else text[: width - 3] + "..."
