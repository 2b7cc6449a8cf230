"""What a run comes to: when its explanations settled, from when they beat chance, and what moved most."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import torch
from torch import Tensor

from cocoa_pl.errors import DataError
from cocoa_pl.monitor.alerts import Alert

_KEPT = ("drift_previous_corrected", "gap", "gap_low", "gap_high", "gap_over_random_low", "reliability")
_SETTLED_BELOW, _FEWEST_LOOKS, _NUM_NAMED, _WIDTH = 0.05, 3, 3, 100


class RunHistory:
    """The few numbers of every look that the summary needs.

    Example:
        >>> history = RunHistory()
        >>> history.add(0, {"explain/rise/gap": 0.1, "explain/seconds": 3.0})
        >>> history.epochs, history.values["rise"]["gap"]
        ([0], [0.1])
    """

    def __init__(self) -> None:
        self.epochs: list[int] = []
        self.values: dict[str, dict[str, list[float]]] = {}
        self.alerts: list[Alert] = []
        self._sums: dict[str, dict[str, list[float]]] = {}

    def add(self, epoch: int, scalars: Mapping[str, float]) -> None:
        """Keep what the summary needs of one look, NaN where it is missing.

        Args:
            epoch: finished epochs.
            scalars: ``explain/<trace>/<metric>``; others are left out.
        """
        for tag in scalars:
            room, _, rest = tag.partition("/")
            trace, _, metric = rest.partition("/")
            if room == "explain" and metric in _KEPT:
                self.values.setdefault(trace, {name: [math.nan] * len(self.epochs) for name in _KEPT})
        for trace, kept in self.values.items():
            for name, column in kept.items():
                column.append(float(scalars.get(f"explain/{trace}/{name}", math.nan)))
        self.epochs.append(epoch)

    def add_alerts(self, alerts: Sequence[Alert]) -> None:
        """Keep the new warnings of one look."""
        self.alerts.extend(alerts)

    def add_rows(self, trace: str, drift: Tensor) -> None:
        """Count one look's drift of a trace towards the means of its views and explicands; NaN is left out.

        Args:
            trace: whose maps they are.
            drift: (V, E), of each explicand under each view.

        Raises:
            DataError: another shape than (V, E), or than in the looks before.
        """
        if drift.ndim != 2:
            raise DataError(f"drift {tuple(drift.shape)}: must be (V, E), views times explicands")
        drift, known = drift.double().cpu().nan_to_num(0), ~drift.isnan().cpu()
        new = {
            "view_sum": drift.sum(1).tolist(),
            "view_num": known.sum(1).double().tolist(),
            "explicand_sum": drift.sum(0).tolist(),
            "explicand_num": known.sum(0).double().tolist(),
        }
        old = self._sums.get(trace, {name: [0.0] * len(column) for name, column in new.items()})
        if any(len(old[name]) != len(column) for name, column in new.items()):
            raise DataError(f"drift {tuple(drift.shape)} of {trace}: the looks before had another number of views or explicands")
        self._sums[trace] = {name: [a + b for a, b in zip(old[name], column, strict=True)] for name, column in new.items()}

    def mean_drift(self, traces: Sequence[str], along: str) -> Tensor:
        """Mean drift over looks, then over traces, NaN where unknown; (V,) along ``view``, (E,) along ``explicand``, (0,) of no look."""
        known = [self._sums[trace] for trace in traces if trace in self._sums]
        means = [torch.tensor(sums[f"{along}_sum"]) / torch.tensor(sums[f"{along}_num"]) for sums in known]
        return torch.stack(means).nanmean(0) if means else torch.zeros(0)

    def state_dict(self) -> dict[str, Any]:
        """Plain numbers, strings, lists and dicts."""
        return {
            "epochs": list(self.epochs),
            "values": {trace: {name: list(column) for name, column in kept.items()} for trace, kept in self.values.items()},
            "alerts": [asdict(alert) for alert in self.alerts],
            "sums": {trace: {name: list(column) for name, column in kept.items()} for trace, kept in self._sums.items()},
        }

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Go on from a state of :meth:`state_dict`."""
        self.epochs, self.alerts = list(state_dict["epochs"]), [Alert(**alert) for alert in state_dict["alerts"]]
        self.values, self._sums = (
            {trace: {name: list(column) for name, column in kept.items()} for trace, kept in state_dict[part].items()}
            for part in ("values", "sums")
        )


def settled_epoch(epochs: Sequence[int], corrected: Sequence[float]) -> int | None:
    """The first epoch at which drift beyond noise is at most 0.05, and stays so in all later looks; None if there is none.

    Args:
        epochs: of the looks.
        corrected: ``drift_previous_corrected`` of each; a look where it is NaN, such as the first, is left out.

    Example:
        >>> settled_epoch([0, 1, 2, 3, 4], [float("nan"), 0.9, 0.04, 0.06, 0.03])
        4
        >>> settled_epoch([0, 1, 2], [float("nan"), 0.9, 0.4]) is None
        True
    """
    return _lasting(epochs, corrected, lambda value: value <= _SETTLED_BELOW)


def first_better(epochs: Sequence[int], low: Sequence[float]) -> int | None:
    """The first epoch at which the gap beats that of a smooth random map, and does so in all later looks; None if there is none.

    Lasting, because among many looks one is better by luck sooner or later.

    Args:
        epochs: of the looks.
        low: ``gap_over_random_low`` of each, the lower 95 % end of the paired difference; a look where it is NaN is left out.

    Example:
        >>> first_better([0, 1, 2, 3], [0.01, -0.02, 0.03, 0.05])
        2
        >>> first_better([0, 1], [0.01, 0.0]) is None
        True
    """
    return _lasting(epochs, low, lambda value: value > 0)


def summarise(history: RunHistory, *, traces: Sequence[str], views: Sequence[str], names: Sequence[str]) -> str:
    """A Markdown table with one row a trace, how to read it, what drifted most, and every warning; wrapped at 100 characters.

    Args:
        history: of the run.
        traces: rows of the table, in order.
        views: names of the V views.
        names: of the E explicands.

    Example:
        >>> print(summarise(RunHistory(), traces=["rise"], views=["original"], names=["cat"]).splitlines()[2])
        | rise  | -       | -      | -          | -        | 0      |
    """
    head = ("trace", "settled", "better", "gap [95 %]", "reliable", "alerts")
    rows = [head, *(_row(history, trace) for trace in traces)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
    lines = ["| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |" for row in rows]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    legend = (
        f"settled: epoch from which maps drift at most {_SETTLED_BELOW} beyond their noise. better: epoch from which the gap beats "
        "that of a smooth random map (lower 95 % end above 0). gap, reliable: of the last look."
    )
    parts = ["\n".join(lines), _wrap(legend)]
    drifting = [
        f"{what} that drifted most beyond their noise, mean over looks: {', '.join(most)}."
        for what, most in (
            ("Views", _most(views, history.mean_drift(traces, "view"))),
            ("Explicands", _most(names, history.mean_drift(traces, "explicand"))),
        )
        if most
    ]
    parts += [_wrap(" ".join(drifting))] if drifting else []
    warned = [_wrap(f"- Epoch {alert.epoch}, {alert.kind}. {alert.text}", indent="  ") for alert in history.alerts]
    parts += ["Warnings:\n\n" + "\n".join(warned)] if warned else []
    return "\n\n".join(parts) + "\n"


def _row(history: RunHistory, trace: str) -> tuple[str, ...]:
    kept = history.values.get(trace, {name: [math.nan] * len(history.epochs) for name in _KEPT})
    last = {name: column[-1] if column else math.nan for name, column in kept.items()}
    gap = _number(last["gap"], 3)
    if not math.isnan(last["gap_low"]):
        gap += f" [{last['gap_low']:.3f}, {last['gap_high']:.3f}]"
    return (
        trace,
        _epoch(settled_epoch, history.epochs, kept["drift_previous_corrected"], fewest=_FEWEST_LOOKS),
        _epoch(first_better, history.epochs, kept["gap_over_random_low"], fewest=1),
        gap,
        _number(last["reliability"], 2),
        str(sum(alert.trace == trace for alert in history.alerts)),
    )


def _lasting(epochs: Sequence[int], values: Sequence[float], holds: Callable[[float], bool]) -> int | None:
    found = None
    for epoch, value in zip(epochs, values, strict=True):
        if not math.isnan(value):
            found = (epoch if found is None else found) if holds(value) else None
    return found


def _epoch(
    judge: Callable[[Sequence[int], Sequence[float]], int | None], epochs: Sequence[int], values: Sequence[float], *, fewest: int
) -> str:
    if len(epochs) < fewest or all(math.isnan(value) for value in values):
        return "-"
    found = judge(epochs, values)
    return "not yet" if found is None else str(found)


def _number(value: float, digits: int) -> str:
    return "-" if math.isnan(value) else f"{value:.{digits}f}"


def _most(names: Sequence[str], drift: Tensor) -> list[str]:
    if not len(drift):
        return []
    pairs = [(name, value) for name, value in zip(names, drift.tolist(), strict=True) if not math.isnan(value)]
    return [f"{name} {value:.2f}" for name, value in sorted(pairs, key=lambda pair: -pair[1])[:_NUM_NAMED]]


def _wrap(text: str, *, indent: str = "") -> str:
    return textwrap.fill(text, _WIDTH, subsequent_indent=indent, break_on_hyphens=False)
