"""Written warnings about a run, each given once, judged from the scalars of its looks alone.

A rule says of one look: it holds, it is gone, or neither, which is so between its two thresholds and where a value is missing or NaN. It is
reported when it begins to hold, and again only after it was gone. Where a rule has to hold in several looks in a row, the looks that say
neither are left out. Only trained looks are judged; epoch 0 is what they are compared with. Controls, which know nothing of the score, are
not judged. The rules are in :mod:`cocoa_pl.monitor.rules`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from cocoa_pl.monitor.rules import OF_A_TRACE, OF_THE_RUN, Seen
from cocoa_pl.monitor.rules import has_collapsed as has_collapsed
from cocoa_pl.registry import CONTROLS

_KEPT_FROM_THE_FIRST_LOOK = ("border_share", "energy_on_region")


@dataclass(frozen=True)
class Alert:
    """One warning.

    Attributes:
        kind: name of the rule.
        trace: whose maps it is about; empty for the whole run.
        epoch: when it was seen.
        text: what was seen, why it matters, what to do.
    """

    kind: str
    trace: str
    epoch: int
    text: str


class Alerts:
    """Remembers what has been said, so that a run, a resumed one too, says it once.

    Example:
        >>> alerts = Alerts()
        >>> [alert.kind for alert in alerts.check(1, {"explain/collapse_level": 0.97})]
        ['collapse']
        >>> alerts.check(2, {"explain/collapse_level": 0.98})
        []
    """

    def __init__(self) -> None:
        self._num_looks = 0
        self._first: dict[str, float] = {}
        self._streaks: dict[str, int] = {}
        self._active: set[str] = set()

    def check(self, epoch: int, scalars: Mapping[str, float]) -> list[Alert]:
        """The new warnings of one look, those of the whole run first.

        Args:
            epoch: finished epochs; 0 is the untrained encoder, which is never warned about.
            scalars: ``explain/<name>`` and ``explain/<trace>/<name>``; rules whose scalars are missing or NaN rest.
        """
        for tag, value in scalars.items():
            if tag.rpartition("/")[2] in _KEPT_FROM_THE_FIRST_LOOK and math.isfinite(value):
                self._first.setdefault(tag, float(value))
        found = []
        for trace in ("", *_traces(scalars)):
            seen = Seen(scalars, self._first, self._num_looks, trace)
            for kind, rule in (OF_A_TRACE if trace else OF_THE_RUN).items():
                if epoch >= rule.since_epoch:
                    holds, gone, text = rule.judge(seen)
                    if self._begins(f"{kind} {trace}", holds, gone, rule.looks_in_a_row):
                        found.append(Alert(kind, trace, epoch, text))
        self._num_looks += 1
        return found

    def state_dict(self) -> dict[str, Any]:
        """Plain numbers, strings, lists and dicts."""
        first, streaks = dict(self._first), dict(self._streaks)
        return {"num_looks": self._num_looks, "first": first, "streaks": streaks, "active": sorted(self._active)}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Go on from a state of :meth:`state_dict`."""
        self._num_looks, self._first = state_dict["num_looks"], dict(state_dict["first"])
        self._streaks, self._active = dict(state_dict["streaks"]), set(state_dict["active"])

    def _begins(self, key: str, holds: bool, gone: bool, looks_in_a_row: int) -> bool:
        if gone:
            self._active.discard(key)
            self._streaks.pop(key, None)
        if not holds:
            return False
        self._streaks[key] = self._streaks.get(key, 0) + 1
        if key in self._active or self._streaks[key] < looks_in_a_row:
            return False
        self._active.add(key)
        return True


def _traces(tags: Iterable[str]) -> list[str]:
    """The traces among tags, in order, without controls."""
    parts = [tag.split("/") for tag in tags]
    found = dict.fromkeys(part[1] for part in parts if len(part) == 3 and part[0] == "explain")
    return [trace for trace in found if trace.partition("-")[0] not in CONTROLS]
