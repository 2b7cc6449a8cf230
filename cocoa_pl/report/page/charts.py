"""Curves over the checkpoints of a run: small multiples as inline SVG, one for each number that the run has."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from cocoa_pl.report.findings import Findings, Frame
from cocoa_pl.report.page.markup import MINUS, number, text, trace_words

Values = NDArray[np.float64]

_WIDTH, _HEIGHT = 320, 190
_LEFT, _RIGHT, _TOP, _BOTTOM = 44, 10, 10, 36  # margins around the field
_STYLES = 6  # colours and marks; further traces begin anew


@dataclass(frozen=True)
class _Kind:
    """A number worth a chart: of each trace, of each target, or of the encoder."""

    title: str
    axis: str
    beside: str = ""
    column: str = ""
    from_zero: bool = False
    of: str = "trace"


_KINDS = {
    "score/original": _Kind("Score", "mean over the pictures, any method", column="score", of="target"),
    "auroc": _Kind("Quality of the target", "AUROC, any method; .5 is chance", column="auroc", of="target"),
    "reliability": _Kind("Reliability of the maps", "correlation with another draw", column="reliability"),
    "gap": _Kind("Gap", "insertion \u2212 deletion", beside="gap_random", column="gap", from_zero=True),
    "drift_previous_corrected": _Kind(
        "Change since the checkpoint before", "drift, noise taken out", column="drift_corrected", from_zero=True
    ),
    "drift_start_corrected": _Kind("Change since the first checkpoint", "drift, noise taken out", from_zero=True),
    "two_object_accuracy": _Kind("Two objects told apart", "share of pairs"),
    "pointing_game": _Kind("Highest pixel on the object", "share of pictures"),
    "energy_inside": _Kind("Positive attribution on the object", "share"),
    "border_share": _Kind("Attribution on the border", "share", from_zero=True),
    "collapse_level": _Kind("Collapse", "0: spread out, 1: all alike", from_zero=True, of="run"),
    "effective_rank": _Kind("Effective rank", "directions in use", from_zero=True, of="run"),
}


@dataclass(frozen=True)
class _Line:
    """Values (F,) of one trace; ``style`` is the trace's number, or -1 for the encoder."""

    words: str
    style: int
    values: Values
    dashed: bool = False


def charts(findings: Findings) -> str:
    """A figure for every number of ``_KINDS`` that two frames have, with one legend; empty where there is none."""
    if len(findings.frames) < 3:
        return ""
    figures, dashed = [], False
    for metric, kind in _KINDS.items():
        lines = [line for line in _lines(findings, metric, kind) if np.isfinite(line.values).sum() > 1]
        if lines:
            dashed = dashed or any(line.dashed for line in lines)
            figures.append(_figure(kind, lines, findings.frames))
    if not figures:
        return ""
    keys = [_key(t, trace_words(trace)) for t, trace in enumerate(findings.traces)]
    keys += [_key(-1, "a smooth random map, to be beaten", dashed=True)] if dashed else []
    legend = f'<ul class="keys">{"".join(keys)}</ul>'
    return f'<section id="curves"><h2>Over the run</h2>\n{legend}\n<div class="charts">\n{"".join(figures)}</div></section>'


def _lines(findings: Findings, metric: str, kind: _Kind) -> list[_Line]:
    if kind.of == "run":
        return [_Line(kind.title, -1, _scalars(findings.frames, f"explain/{metric}"))]
    lines = []
    for t, trace in enumerate(findings.traces):
        if kind.of == "target" and trace.target in [before.target for before in findings.traces[:t]]:
            continue
        for name in (metric, kind.beside) if kind.beside else (metric,):
            values = _scalars(findings.frames, f"explain/{trace.key}/{name}")
            column = findings.columns.get(kind.column if name == metric else name)
            if column is not None and not np.isfinite(values).any():
                values = _means(column[:, t, :, 0])
            dashed = name != metric
            lines.append(_Line(f"{trace_words(trace)}{', smooth random map' if dashed else ''}", t, values, dashed))
    return lines


def _scalars(frames: Sequence[Frame], tag: str) -> Values:
    return np.array([frame.scalars.get(tag, math.nan) for frame in frames], dtype=np.float64)


def _means(values: Values) -> Values:
    """(F, E) to (F,), of what is known."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # nothing known: NaN
        mean: Values = np.nanmean(values, axis=1)
        return mean


def _figure(kind: _Kind, lines: Sequence[_Line], frames: Sequence[Frame]) -> str:
    at, axis = _positions(frames)
    known = np.concatenate([line.values[np.isfinite(line.values)] for line in lines])
    ticks = _ticks(min(known.min(), 0.0) if kind.from_zero else known.min(), known.max())
    across = _LEFT + (at - at[0]) / (at[-1] - at[0]) * (_WIDTH - _LEFT - _RIGHT)

    def down(value: float) -> float:
        return _TOP + (ticks[-1] - value) / (ticks[-1] - ticks[0]) * (_HEIGHT - _TOP - _BOTTOM)

    parts = []
    decimals = max(len(f"{tick:.10f}".rstrip("0").partition(".")[2]) for tick in ticks)
    for tick in ticks:
        y = down(tick)
        parts.append(f'<path class="{"zero" if tick == 0 else "grid"}" d="M{_LEFT} {y:.1f}H{_WIDTH - _RIGHT}"/>')
        parts.append(f'<text class="end" x="{_LEFT - 6}" y="{y + 3.5:.1f}">{f"{tick:.{decimals}f}".replace("-", MINUS)}</text>')
    step = -(-len(frames) // 7)
    for f, frame in enumerate(frames):
        if f % step == 0:
            words = f"{at[f]:g}" if axis == "epoch" else str(f + 1)
            parts.append(f'<text class="middle" x="{across[f]:.1f}" y="{_HEIGHT - _BOTTOM + 15}">{words}</text>')
        parts.append(
            f'<path class="now" data-frame="{f}" d="M{across[f]:.1f} {_TOP}V{_HEIGHT - _BOTTOM}"><title>{text(frame.title)}</title></path>'
        )
    parts.append(f'<text class="middle" x="{(_LEFT + _WIDTH - _RIGHT) / 2}" y="{_HEIGHT - 4}">{axis}</text>')
    for line in lines:
        parts.append(_drawn(line, across, [down(value) if math.isfinite(value) else math.nan for value in line.values], frames))
    label = f"{kind.title}: " + "; ".join(f"{line.words} {_course(line.values)}" for line in lines)
    drawing = f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{text(label)}">{"".join(parts)}</svg>'
    return f'<figure class="chart"><figcaption><b>{kind.title}</b> <span>{kind.axis}</span></figcaption>{drawing}</figure>\n'


def _drawn(line: _Line, across: Values, down: Sequence[float], frames: Sequence[Frame]) -> str:
    """The line, broken where a value is missing, and a mark that names itself at every value."""
    path, pen = "", "M"
    for x, y in zip(across, down, strict=True):
        if math.isfinite(y):
            path += f"{pen}{x:.1f} {y:.1f}"
        pen = "L" if math.isfinite(y) else "M"
    marks = []
    for x, y, value, frame in zip(across, down, line.values, frames, strict=True):
        if math.isfinite(y) and not line.dashed:
            told = text(f"{frame.title}: {number(value)}, {line.words}")
            marks.append(f'<g transform="translate({x:.1f} {y:.1f})">{_mark(line.style)}<title>{told}</title></g>')
    return f'<g class="line {_style(line.style)}{" dashed" if line.dashed else ""}"><path d="{path}"/>{"".join(marks)}</g>'


def _positions(frames: Sequence[Frame]) -> tuple[Values, str]:
    """Where frames stand on the axis: at their epochs where they have them, in their order otherwise."""
    epochs = [frame.encoder.get("epoch") for frame in frames]
    known = [float(epoch) for epoch in epochs if isinstance(epoch, int | float) and math.isfinite(epoch)]
    if len(known) == len(frames) and all(low < high for low, high in pairwise(known)):
        return np.array(known), "epoch"
    return np.arange(len(frames), dtype=np.float64), "checkpoint, in order"


def _ticks(low: float, high: float) -> list[float]:
    """About five round numbers around a range.

    Example:
        >>> _ticks(0.0, 0.37), _ticks(0.5, 0.5)
        ([0.0, 0.1, 0.2, 0.3, 0.4], [0.45, 0.475, 0.5, 0.525, 0.55])
    """
    if high - low < 1e-9 * max(1.0, abs(high)):
        low, high = low - 0.1 * (abs(low) or 1.0), high + 0.1 * (abs(high) or 1.0)
    rough = (high - low) / 4.5
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 2.5, 5, 10) if power * factor >= rough * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(index * step, 12) + 0.0 for index in range(first, last + 1)]


def _course(values: Values) -> str:
    known = values[np.isfinite(values)]
    return f"from {number(known[0])} to {number(known[-1])}"


def _style(trace: int) -> str:
    return "of-run" if trace < 0 else f"c{trace % _STYLES}"


def _mark(trace: int) -> str:
    """A shape for each style, so that colour is not the only difference."""
    shapes = ('<circle r="3"/>', '<path d="M-3-3H3V3H-3Z"/>', '<path d="M0-4L4 3H-4Z"/>', '<path d="M0-4L4 0 0 4-4 0Z"/>')
    return shapes[max(0, trace) % len(shapes)]


def _key(trace: int, words: str, *, dashed: bool = False) -> str:
    line = f'<g class="line {_style(trace)}{" dashed" if dashed else ""}"><path d="M1 6H27"/>'
    mark = "" if dashed else f'<g transform="translate(14 6)">{_mark(trace)}</g>'
    return f'<li><svg viewBox="0 0 28 12" width="28" height="12" aria-hidden="true">{line}{mark}</g></svg> {text(words)}</li>'
