"""How the paper's findings are judged on the numbers of a study: by intervals, never by a mean alone.

A judge yields a verdict for every method that has what it takes; nothing where a part is missing, or one seed says nothing of the spread.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

from cocoa_pl.metrics.intervals import Interval, t_interval
from cocoa_pl.study.results import CONTROL, MEASURES, RANDOMISED, SETTINGS, TARGETS, Areas, Cell, Factor, Level, Results
from cocoa_pl.study.writing import (
    CASCADE,
    by_unit,
    difference,
    level_difference,
    level_name,
    level_of,
    number,
    told,
    words_of,
)

HOLDS, FAILS, UNDECIDED = "holds", "does not hold", "undecided"
MEASURE = MEASURES[0]
"""What findings are judged by."""
NEAR_ZERO = 0.1
"""A gap is about 0, and a change small, within this share of COCOA's own gap."""
LEAST_MARGIN = 0.01
"""But the margin is never less than this, so that a small gap, or one below 0, leaves something to be within."""
ABOVE_RANDOM = 0.01
"""So much may label-free's gap exceed that of the random order and count as not above it."""
ENOUGH_CORPUS = 20
"""From this size of the corpus on nothing should change."""
AGREEMENT_LOST = 0.5
"""Maps whose rank correlation is below this have lost their agreement."""


_SHARE = f"{100 * NEAR_ZERO:.0f} %"
_FLOOR = f"(of {LEAST_MARGIN} at least)"
Judged = tuple[str, str, str]
"""Method in words, empty where the claim is of none; verdict; evidence."""


def rules() -> list[str]:
    """How verdicts come about, a sentence each."""
    return [
        f"All by the gap of the {words_of(MEASURE)}, 95 % t-intervals over seeds, and paired differences. An interval that crosses the "
        "line leaves a finding undecided.",
        "Best gap: holds if the intervals of COCOA minus each other target and minus the random order are above 0 (without a random order: "
        "that of COCOA's own gap instead), does not hold if one of them is below 0.",
        f"Label-free: holds if it is above random by no more than {ABOVE_RANDOM}, which is to say that the interval of its gap minus the "
        "random order's ends there or below; else does not hold if it begins above 0.",
        f"About 0, of a randomised network, of the controls (insertion minus deletion too): holds if the gap's interval lies within "
        f"{_SHARE} {_FLOOR} of COCOA's own gap by the same method (for controls: of its mean over methods) on either side of 0, does "
        "not hold if wholly outside.",
        f"Flat and stable: hold if for each size the interval of its gap minus the reference size's lies within {_SHARE} {_FLOOR} "
        f"of the reference's gap, do not hold if one is wholly outside. Of the corpus, sizes from {ENOUGH_CORPUS}; where the grid's own is "
        "smaller, the smallest of them is the reference.",
        "Cascade: the gap with all layers redrawn is judged as under about 0. The agreement is the rank correlation with the encoder's own "
        f"maps: it is lost if its interval ends below {AGREEMENT_LOST}, not lost if it begins above.",
        "Factors that were run with one seed have intervals over explicands.",
    ]


def judge_about(interval: Interval, margin: float) -> str | None:
    """Whether a value is within a margin of 0; None where nothing is known.

    Example:
        >>> judge_about(Interval(0.0, -0.01, 0.01, 5), 0.02), judge_about(Interval(0.1, 0.05, 0.15, 5), 0.02)
        ('holds', 'does not hold')
    """
    if any(math.isnan(value) for value in (interval.low, interval.high, margin)):
        return None
    if -margin <= interval.low and interval.high <= margin:
        return HOLDS
    return FAILS if interval.low > margin or interval.high < -margin else UNDECIDED


def _best(results: Results, encoder: str, setting: str) -> Iterator[Judged]:
    random = _areas(results, encoder, setting, CONTROL, "random")
    for method in results.methods(encoder):
        areas = {target: _areas(results, encoder, setting, method, target) for target in TARGETS}
        own = areas.pop("cocoa")
        if own is None:
            continue
        alone = t_interval(own.by_seed("gap"))
        floor = alone if random is None else difference(own, random)
        against = {target: difference(own, other) for target, other in areas.items() if other is not None}
        if len(against) < len(areas) or any(math.isnan(interval.low) for interval in (floor, *against.values())):
            continue
        closest = min(against, key=lambda target: against[target].low)
        lowest = min(against, key=lambda target: against[target].high)
        failed = against[lowest].high < 0
        verdict = FAILS if failed or floor.high < 0 else HOLDS if against[closest].low > 0 and floor.low > 0 else UNDECIDED
        closest = lowest if failed else closest
        evidence = f"COCOA's gap {told(alone, signed=True)}, {told(against[closest], signed=True)} against {words_of(closest)}"
        beside = "" if random is None else f", {told(floor, signed=True)} against the random order"
        yield words_of(method), verdict, evidence + beside


def _label_free(results: Results, encoder: str, setting: str) -> Iterator[Judged]:
    random = _areas(results, encoder, setting, CONTROL, "random")
    for method in results.methods(encoder):
        own = _areas(results, encoder, setting, method, "label_free")
        if own is None or random is None or math.isnan((interval := difference(own, random)).low):
            continue
        verdict = HOLDS if interval.high <= ABOVE_RANDOM else FAILS if interval.low > 0 else UNDECIDED
        yield words_of(method), verdict, f"{told(interval, signed=True)} against the random order"


def _randomised(results: Results, encoder: str, setting: str) -> Iterator[Judged]:
    for method in results.methods(encoder):
        yield from _about_zero(results, encoder, setting, (method, RANDOMISED), [method])


def _smooth(results: Results, encoder: str, setting: str) -> Iterator[Judged]:
    yield from _about_zero(results, encoder, setting, (CONTROL, "smooth_random"), results.methods(encoder))


def _random(results: Results, encoder: str, setting: str) -> Iterator[Judged]:
    yield from _about_zero(results, encoder, setting, (CONTROL, "random"), results.methods(encoder))


def _about_zero(results: Results, encoder: str, setting: str, place: tuple[str, str], methods: Sequence[str]) -> Iterator[Judged]:
    """The gap at ``place``, beside COCOA's own by ``methods``."""
    areas = _areas(results, encoder, setting, *place)
    cocoa = [own for method in methods if (own := _areas(results, encoder, setting, method, "cocoa")) is not None]
    if areas is None or not cocoa:
        return
    interval = t_interval(areas.by_seed("gap"))
    margin = _margin(sum(t_interval(own.by_seed("gap")).mean for own in cocoa) / len(cocoa))
    if verdict := judge_about(interval, margin):
        method = "" if place[0] == CONTROL else words_of(place[0])
        yield method, verdict, f"gap {told(interval, signed=True)}, about 0 within +-{number(margin)}"


def _flat(factor: Factor) -> Iterator[tuple[str, str]]:
    """(verdict, evidence): whether no level's gap is far from the reference level's."""
    reference = _reference(factor)
    if reference is None or MEASURE not in reference.gaps:
        return
    own = t_interval(by_unit(reference.gaps[MEASURE])).mean
    apart: dict[str, Interval] = {}
    for level in factor.levels:
        gone = level_difference(level, reference, MEASURE)
        if level is not reference and gone is not None and _takes_part(factor, level.name):
            apart[level.name] = t_interval(by_unit(gone))
    verdicts = {judge_about(interval, _margin(own)) for interval in apart.values()}
    if not apart or None in verdicts:
        return
    verdict = FAILS if FAILS in verdicts else UNDECIDED if UNDECIDED in verdicts else HOLDS
    ends = {name: (judge_about(value, _margin(own)) == verdict, max(-value.low, value.high)) for name, value in apart.items()}
    furthest = max(ends, key=lambda name: ends[name])
    other = "" if reference.name == factor.reference else f" (the grid's own {factor.reference} is below {ENOUGH_CORPUS})"
    yield (
        verdict,
        f"gap {number(own)} at {reference.name}{other}, {told(apart[furthest], signed=True)} at {furthest}, the furthest of {len(apart)}; "
        f"flat within +-{number(_margin(own))}",
    )


def _reference(factor: Factor) -> Level | None:
    """The grid's own level; where that does not take part the smallest that does."""
    if _takes_part(factor, factor.reference):
        return level_of(factor, factor.reference)
    return min((level for level in factor.levels if _takes_part(factor, level.name)), key=lambda level: int(level.name), default=None)


def _takes_part(factor: Factor, level: str) -> bool:
    return factor.name != "corpus_size" or (level.isdigit() and int(level) >= ENOUGH_CORPUS)


def _gone(factor: Factor) -> Iterator[tuple[str, str]]:
    """(verdict, evidence): whether the gap is about 0 with all layers redrawn."""
    if len(factor.levels) < 2:
        return
    first, last = (level.gaps.get(MEASURE) for level in (factor.levels[0], factor.levels[-1]))
    if first is None or last is None:
        return
    own, interval = t_interval(by_unit(first)).mean, t_interval(by_unit(last))
    if verdict := judge_about(interval, _margin(own)):
        yield verdict, f"gap from {number(own)} to {told(interval, signed=True)}, about 0 within +-{number(_margin(own))}"


def _disagree(factor: Factor) -> Iterator[tuple[str, str]]:
    """(verdict, evidence): whether maps of the last level of the cascade have lost their agreement with the encoder's."""
    if len(factor.levels) < 2:
        return
    shown = [factor.levels[0], factor.levels[len(factor.levels) // 2], factor.levels[-1]]
    first, middle, last = (t_interval(by_unit(level.agreement)) for level in shown)
    if math.isnan(last.low):
        return
    verdict = HOLDS if last.high < AGREEMENT_LOST else FAILS if last.low > AGREEMENT_LOST else UNDECIDED
    names = [level_name(factor, level) for level in shown]
    yield (
        verdict,
        f"rank correlation {number(first.mean)} with {names[0]} lost, {number(middle.mean)} with layers to {names[1]}, {told(last)} with "
        f"layers to {names[2]}",
    )


def _areas(results: Results, encoder: str, setting: str, method: str, target: str) -> Areas | None:
    return results.grid.get(Cell(encoder, setting, MEASURE, method, target))


def _margin(gap: float) -> float:
    """About 0 beside COCOA's gap; NaN where that is not known."""
    return gap if math.isnan(gap) else max(NEAR_ZERO * gap, LEAST_MARGIN)


GRID_CLAIMS: tuple[tuple[str, Callable[[Results, str, str], Iterator[Judged]], tuple[str, ...]], ...] = (
    ("COCOA has the best gap of the four targets", _best, SETTINGS),
    ("label-free is at or below the random order", _label_free, ("different",)),
    ("the randomised network's gap is about 0", _randomised, SETTINGS),
    ("the smooth random map's gap is about 0", _smooth, SETTINGS),
    ("the random order's insertion equals its deletion", _random, SETTINGS),
)
FACTOR_CLAIMS: tuple[tuple[str, str, Callable[[Factor], Iterator[tuple[str, str]]]], ...] = (
    ("COCOA's gap is flat in the size of the foil", "foil_size", _flat),
    (f"COCOA's gap is stable from a corpus of {ENOUGH_CORPUS}", "corpus_size", _flat),
    ("COCOA's gap falls to about 0 as layers are redrawn", CASCADE, _gone),
    ("COCOA's maps lose their agreement as layers are redrawn", CASCADE, _disagree),
)
