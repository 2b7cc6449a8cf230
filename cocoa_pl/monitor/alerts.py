"""Written warnings about a run, each given once, judged from the scalars of its looks alone.

A rule says of one look: it holds, it is gone, or neither, which is so between its two thresholds and where a value is missing or NaN. It is
reported when it begins to hold, and again only after it was gone. Where a rule has to hold in several looks in a row, the looks that say
neither are left out. Only trained looks are judged; epoch 0 is what they are compared with. Controls, which know nothing of the score, are
not judged. The thresholds and the reason for each stand in the rule.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

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


@dataclass(frozen=True)
class _Seen:
    """The scalars of one look, from the side of one trace; NaN stands for what is missing."""

    scalars: Mapping[str, float]
    first: Mapping[str, float]
    num_before: int
    trace: str = ""

    def run(self, name: str) -> float:
        return float(self.scalars.get(f"explain/{name}", math.nan))

    def of(self, name: str) -> float:
        return self.run(f"{self.trace}/{name}")

    def at_first(self, name: str) -> float:
        return self.first.get(f"explain/{self.trace}/{name}", math.nan)


_Finding = tuple[bool, bool, str]
"""Whether the rule holds, whether it is gone, and the text of the warning."""


@dataclass(frozen=True)
class _Rule:
    judge: Callable[[_Seen], _Finding]
    looks_in_a_row: int = 1
    since_epoch: int = 1


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
            seen = _Seen(scalars, self._first, self._num_looks, trace)
            for kind, rule in (_OF_A_TRACE if trace else _OF_THE_RUN).items():
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


def has_collapsed(level: float, rank: float) -> bool:
    """Whether representations of this collapse level and effective rank are so much alike that no map of them can be trusted."""
    return level > 0.95 or rank < 2


def _collapse(seen: _Seen) -> _Finding:
    """A level of 0.95 leaves a twentieth of the spread of a full sphere: trained encoders have 0.3 to 0.5, untrained ones up to 0.9.

    The rank sees what the level misses: reps that fill one direction only. It is 6 in healthy encoders even of 8 images, 100 of 1500.
    """
    level, rank = seen.run("collapse_level"), seen.run("effective_rank")
    known = not (math.isnan(level) and math.isnan(rank))
    text = (
        f"The encoder gives nearly all images the same representation (collapse level {level:.2f}, effective rank {rank:.1f}), so none of "
        "its maps can be trusted: lower optim.lr, raise data.batch_size, or make the training views harder (augment.*)."
    )
    return has_collapsed(level, rank), known and not (level > 0.9 or rank < 3), text


def _budget(seen: _Seen) -> _Finding:
    """One slow look may be the machine's; three in a row are the options'. A look within the bound begins the count anew."""
    share, budget = seen.run("share_of_epoch"), seen.run("budget_share")
    text = (
        f"Explaining takes {share:.0%} of an epoch, for the third look in a row more than one and a half times its budget of {budget:.0%}, "
        "and training waits for it: raise explain.every_n_epochs, or lower explain.num_explicands or explain.num_masks."
    )
    return share > 1.5 * budget, share <= 1.5 * budget, text


def _border(seen: _Seen) -> _Finding:
    """How much more attribution a pixel of the frame gets than one inside; 0.3 to 1 in healthy runs, where it moves by a tenth.

    Must be 1.5, and 1.5 times that of the first look: the padding of an untrained network may favour the border by itself.
    """
    share, area, first = seen.of("border_share"), seen.run("border_area"), seen.at_first("border_share")
    now, before = _density(share, area), _density(first, area)
    text = (
        f"{seen.trace}: {share:.0%} of the attribution lies in the frame along the border, which is {area:.0%} of the image ({first:.0%} "
        "at the first look), so the encoder may answer to padding or margins rather than to what is shown: look at the maps, crop margins "
        "off the images, or lower the first of augment.crop_scale."
    )
    return now >= 1.5 and now >= 1.5 * before, now < 1.2 or now < 1.2 * before, text


def _region(seen: _Seen) -> _Finding:
    """Twice what its area would get by chance and a quarter more than at first, or most of the map and well above its area."""
    share, area, first = seen.of("energy_on_region"), seen.run("region_area"), seen.at_first("energy_on_region")
    most = max(0.5, 1.5 * area)
    text = (
        f"{seen.trace}: {share:.0%} of the positive attribution lies on the marked region, which is {area:.0%} of the image ({first:.0%} "
        "at the first look), so the encoder may take it as a shortcut: look at the maps, then cover or vary the region in training images."
    )
    return share > most or (share >= 2 * area and share >= 1.25 * first), share < 0.8 * min(2 * area, most), text


def _untrained(seen: _Seen) -> _Finding:
    """Few maps differ beyond their noise, and noise taken out they hardly differ: noisy maps of a trained encoder pass the second.

    From the third look on: before it, few maps having changed says only that training has just begun.
    """
    share, drift = seen.of("drift_start_flagged") if seen.num_before >= 2 else math.nan, seen.of("drift_start_corrected")
    text = (
        f"{seen.trace}: only {share:.0%} of the maps differ from the untrained encoder's by more than their noise (drift {drift:.2f} "
        "without it), so they show the image and the architecture rather than what was learnt: train longer, or look at another method."
    )
    return share < 0.5 and drift < 0.3, share > 0.6 or drift > 0.4, text


def _noisy(seen: _Seen) -> _Finding:
    """Reliability is the correlation with a map of other masks, corpus and foil; at 0.5 noise and map have the same variance.

    Three looks, as the maps of the first epochs are faint. The advice is Spearman and Brown's: k times the draws take r to
    k r / (1 + (k - 1) r).
    """
    r = seen.of("reliability")
    more = f"about {math.ceil(4 * (1 - r) / r)} times as many would bring it to 0.8" if 0.05 < r < 0.5 else "many times as many are needed"
    text = (
        f"{seen.trace}: for the third look in a row reliability is below 0.5 ({r:.2f}), so half of what the maps show is noise and "
        f"would come out otherwise with another draw: raise {_remedy(seen.trace)} ({more})."
    )
    return r < 0.5, r > 0.6, text


def _chance(seen: _Seen) -> _Finding:
    """The lower 95 % end of the paired difference to a smooth random map, at most 0 in three looks in a row from epoch 3 on.

    Paired, because what the explicands have in common cancels, so that a handful of them is enough: the gaps of 8 explicands clear 0 by
    far in healthy runs, whereas ``gap_low`` beside ``gap_random`` would count the spread between explicands as doubt about the map. Three
    looks, because one may fall short by luck; that there may be too few explicands is said in the text.
    """
    low = seen.of("gap_over_random_low")
    text = (
        f"{seen.trace}: for the third look in a row the gap ({seen.of('gap'):.3f}) is not shown to beat that of smooth random maps "
        f"({seen.of('gap_random'):.3f}; lower 95 % end of the difference {low:.3f}), so the maps may not say what the score depends on: do "
        "not rely on them, or raise explain.num_explicands to be sure."
    )
    return low <= 0, low > 0, text


_OF_THE_RUN = {"collapse": _Rule(_collapse), "budget": _Rule(_budget, looks_in_a_row=3)}
_OF_A_TRACE = {
    "border": _Rule(_border),
    "region": _Rule(_region),
    "untrained": _Rule(_untrained, since_epoch=2),
    "noisy": _Rule(_noisy, looks_in_a_row=3),
    "chance": _Rule(_chance, looks_in_a_row=3, since_epoch=3),
}


def _density(share: float, area: float) -> float:
    """Attribution of a pixel inside an area over that of one outside; NaN where the area is all or nothing."""
    inside, outside = share * (1 - area), (1 - share) * area
    return inside / outside if outside > 0 else (math.inf if inside > 0 else math.nan)


def _remedy(trace: str) -> str:
    masks = "explain.num_masks, or explain.budget_share where it allows fewer" if trace.startswith("rise") else "explain.foil_size"
    return f"explain.corpus_size and {masks}" if trace.endswith("-class") else masks


def _traces(tags: Iterable[str]) -> list[str]:
    """The traces among tags, in order, without controls."""
    parts = [tag.split("/") for tag in tags]
    found = dict.fromkeys(part[1] for part in parts if len(part) == 3 and part[0] == "explain")
    return [trace for trace in found if trace.partition("-")[0] not in CONTROLS]
