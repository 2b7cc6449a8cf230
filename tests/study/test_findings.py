"""Findings of studies whose truth is known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest
import torch
from scipy import stats
from torch import Tensor

from cocoa_pl.study.findings import NOT_TESTED, Finding, findings, findings_markdown, merged, summary_words
from cocoa_pl.study.judging import ABOVE_RANDOM, FAILS, HOLDS, LEAST_MARGIN, NEAR_ZERO, UNDECIDED, rules
from cocoa_pl.study.results import CONTROL, MEASURES, RANDOMISED, SETTINGS, Areas, Cell, Factor, Level, Results

SEEDS = torch.tensor([-0.002, -0.001, 0.0, 0.001, 0.002], dtype=torch.float64)  # a spread whose interval is +-.00196
PAPER = {"label_free": -0.02, "contrastive_label_free": 0.1, "corpus": 0.2, "cocoa": 0.4, RANDOMISED: 0.01}
CONTROLS = {"random": 0.0, "smooth_random": 0.0}
BEST, LABEL_FREE = "COCOA has the best gap of the four targets", "label-free is at or below the random order"
RANDOMISED_IS_ZERO, SMOOTH_IS_ZERO = "the randomised network's gap is about 0", "the smooth random map's gap is about 0"
EQUAL = "the random order's insertion equals its deletion"


def areas(gaps: Tensor) -> Areas:
    """Gaps (S,) of two explicands that differ."""
    both = torch.stack([gaps - 0.1, gaps + 0.1], dim=1)
    return Areas(both, torch.zeros_like(both), torch.zeros(len(gaps), 3), torch.zeros(len(gaps), 3))


def grid(
    *, methods: Sequence[str] = ("rise",), settings: Sequence[str] = SETTINGS, spread: Tensor = SEEDS, encoder: str = "A", **gaps: float
) -> Results:
    """The paper's gaps, or others by name; COCOA's are the same for every seed, the others' spread."""
    results = Results(seeds=tuple(range(len(spread))))
    for setting in settings:
        places = [(method, target, PAPER[target]) for method in methods for target in PAPER]
        for method, target, usual in [*places, *((CONTROL, name, usual) for name, usual in CONTROLS.items())]:
            own = gaps.get(target, usual) + (torch.zeros_like(spread) if target == "cocoa" else spread)
            results.grid[Cell(encoder, setting, MEASURES[0], method, target)] = areas(own)
    return results


def verdicts(results: Results) -> dict[str, str]:
    return {one.claim: one.verdict for one in findings(results)}


def level(name: str, gap: float, *, agreement: float = 1.0, spread: Tensor = SEEDS) -> Level:
    return Level(name, {MEASURES[0]: areas(gap + spread).gap}, areas(agreement + spread).gap)


def factor(name: str, gaps: Mapping[str, float], *, reference: str) -> Results:
    """The reference's gaps are the same for every seed, the others' spread."""
    levels = tuple(level(key, gap, spread=SEEDS * (key != reference)) for key, gap in gaps.items())
    return Results(factors=[Factor("A", name, "rise", reference, levels)], seeds=range(5))


def test_all_holds_on_the_papers_numbers() -> None:
    said = verdicts(grid())
    for claim in (BEST, RANDOMISED_IS_ZERO, SMOOTH_IS_ZERO, EQUAL):
        assert [said[f"{claim} ({setting} class)"] for setting in SETTINGS] == [HOLDS, HOLDS]
    assert said[f"{LABEL_FREE} (different class)"] == HOLDS
    assert f"{LABEL_FREE} (same class)" not in said


@pytest.mark.parametrize(
    ("corpus", "verdict"),
    [(0.397, HOLDS), (0.3985, UNDECIDED), (0.4, UNDECIDED), (0.4015, UNDECIDED), (0.403, FAILS)],
)
def test_best_is_told_by_the_paired_interval_against_every_other(corpus: float, verdict: str) -> None:
    one = findings(grid(settings=("same",), corpus=corpus))[0]
    assert (one.claim, one.verdict) == (f"{BEST} (same class)", verdict)
    low, high = stats.ttest_rel([0.4] * 5, (corpus + SEEDS).tolist()).confidence_interval()
    assert f" [{low:+.3f}, {high:+.3f}] against corpus, " in one.evidence
    assert verdict == (HOLDS if low > 0 else FAILS if high < 0 else UNDECIDED)


def test_what_every_seed_shares_does_not_hide_that_cocoa_is_better() -> None:
    results = grid(settings=("same",))
    wide = torch.tensor([0.0, 0.5, 1.0, 1.5, 2.0], dtype=torch.float64)
    results.grid = {cell: areas(own.by_seed("gap") + wide) for cell, own in results.grid.items()}
    assert verdicts(results)[f"{BEST} (same class)"] == HOLDS


@pytest.mark.parametrize(("cocoa", "verdict"), [(0.003, HOLDS), (0.001, UNDECIDED), (0.0, UNDECIDED), (-0.001, UNDECIDED), (-0.003, FAILS)])
def test_the_best_gap_is_above_the_random_orders_too(cocoa: float, verdict: str) -> None:
    results = grid(settings=("same",), cocoa=cocoa, random=0.0, label_free=-0.5, contrastive_label_free=-0.5, corpus=-0.5)
    one = findings(results)[0]
    low, high = stats.ttest_rel([cocoa] * 5, SEEDS.tolist()).confidence_interval()
    assert (one.claim, one.verdict) == (f"{BEST} (same class)", verdict)
    assert verdict == (HOLDS if low > 0 else FAILS if high < 0 else UNDECIDED)
    assert one.evidence.startswith(f"COCOA's gap {cocoa:+.3f}" if cocoa else "COCOA's gap 0.000")
    assert one.evidence.endswith(f" [{low:+.3f}, {high:+.3f}] against the random order")
    shifted = grid(settings=("same",), cocoa=0.1 + cocoa, random=0.1, contrastive_label_free=-0.5, corpus=-0.5)  # above 0 is not enough
    assert findings(shifted)[0].verdict == verdict
    del results.grid[Cell("A", "same", MEASURES[0], CONTROL, "random")]
    results.grid[Cell("A", "same", MEASURES[0], "rise", "cocoa")] = areas(cocoa + SEEDS)
    alone = findings(results)[0]
    assert (alone.verdict, "random order" in alone.evidence) == (verdict, False)


@pytest.mark.parametrize(
    ("label_free", "verdict"), [(-0.5, HOLDS), (0.0, HOLDS), (ABOVE_RANDOM / 2, HOLDS), (ABOVE_RANDOM, FAILS), (0.5, FAILS)]
)
def test_label_free_may_be_a_little_above_random(label_free: float, verdict: str) -> None:
    results = grid(label_free=label_free)
    for setting in SETTINGS:
        results.grid[Cell("A", setting, MEASURES[0], CONTROL, "random")] = areas(torch.zeros(5, dtype=torch.float64))
    assert verdicts(results)[f"{LABEL_FREE} (different class)"] == verdict
    noisy = grid(label_free=label_free, spread=1e4 * SEEDS)
    noisy.grid[Cell("A", "different", MEASURES[0], CONTROL, "random")] = areas(torch.zeros(5, dtype=torch.float64))
    assert verdicts(noisy)[f"{LABEL_FREE} (different class)"] == UNDECIDED


@pytest.mark.parametrize(
    ("gap", "verdict"), [(0.0, HOLDS), (0.037, HOLDS), (-0.037, HOLDS), (0.04, UNDECIDED), (0.043, FAILS), (-0.043, FAILS)]
)
def test_about_zero_is_a_tenth_of_cocoas_own_gap(gap: float, verdict: str) -> None:
    assert NEAR_ZERO * PAPER["cocoa"] == pytest.approx(0.04)
    said = verdicts(grid(randomised=gap, smooth_random=gap, random=gap))
    assert {said[f"{claim} (same class)"] for claim in (RANDOMISED_IS_ZERO, SMOOTH_IS_ZERO, EQUAL)} == {verdict}


def test_controls_stand_beside_the_mean_over_methods_and_the_margin_has_a_floor() -> None:
    results = grid(methods=("rise", "gradient_shap"), settings=("same",), smooth_random=0.05)
    results.grid[Cell("A", "same", MEASURES[0], "gradient_shap", "cocoa")] = areas(torch.full((5,), 0.8, dtype=torch.float64))
    assert verdicts(results)[f"{SMOOTH_IS_ZERO} (same class)"] == HOLDS  # a tenth of .6, not of .4
    for cocoa in (-0.1, 0.05):
        assert max(NEAR_ZERO * cocoa, LEAST_MARGIN) == LEAST_MARGIN
        said = verdicts(grid(cocoa=cocoa, smooth_random=0.007, randomised=0.01, random=0.013))
        assert [said[f"{claim} (same class)"] for claim in (SMOOTH_IS_ZERO, RANDOMISED_IS_ZERO, EQUAL)] == [HOLDS, UNDECIDED, FAILS]
    small = {"100": 0.057, "1500": 0.05}
    assert list(verdicts(factor("foil_size", small, reference="1500")).values()) == [HOLDS]
    assert list(verdicts(factor("foil_size", {**small, "100": 0.063}, reference="1500")).values()) == [FAILS]


@pytest.mark.parametrize(("gap", "verdict"), [(0.437, HOLDS), (0.44, UNDECIDED), (0.443, FAILS), (0.357, FAILS)])
def test_flat_is_every_level_near_the_reference(gap: float, verdict: str) -> None:
    for name, claim in (
        ("foil_size", "COCOA's gap is flat in the size of the foil"),
        ("corpus_size", "COCOA's gap is stable from a corpus of 20"),
    ):
        one = findings(factor(name, {"20": gap, "50": 0.41, "100": 0.4}, reference="100"))[0]
        assert (one.claim, one.where, one.verdict) == (claim, "RISE", verdict)
        assert "at 20, the furthest of 2; flat within +-0.040" in one.evidence
    assert verdicts(factor("corpus_size", {"1": 0.0, "5": gap, "20": 0.4, "100": 0.4}, reference="100")) == {claim: HOLDS}  # below 20
    assert verdicts(factor("foil_size", {"1": 0.0, "1500": 0.4}, reference="1500")) == {
        "COCOA's gap is flat in the size of the foil": FAILS
    }


def test_a_corpus_below_20_is_no_reference() -> None:
    (one,) = findings(factor("corpus_size", {"5": 0.1, "20": 0.4, "50": 0.41, "100": 0.42}, reference="5"))
    assert one.verdict == HOLDS
    assert one.evidence.startswith("gap 0.400 at 20 (the grid's own 5 is below 20), +0.020 [")
    assert " at 100, the furthest of 2; " in one.evidence
    for levels in ({"5": 0.4, "20": 0.4}, {"5": 0.4, "10": 0.4}):
        assert findings(factor("corpus_size", levels, reference="5")) == []


@pytest.mark.parametrize(
    ("gap", "agreement", "expected"), [(0.0, 0.1, [HOLDS, HOLDS]), (0.04, 0.5, [UNDECIDED] * 2), (0.3, 0.9, [FAILS] * 2)]
)
def test_the_cascade_ends_near_zero_and_without_agreement(gap: float, agreement: float, expected: list[str]) -> None:
    levels = (level("", 0.4), level("fc", 0.3, agreement=0.7), level("conv", gap, agreement=agreement))
    found = findings(Results(factors=[Factor("A", "cascade", "rise", "", levels)], seeds=range(5)))
    assert [one.verdict for one in found] == expected
    assert found[1].evidence.startswith("rank correlation 1.000 with none lost, 0.700 with layers to fc, ")


def test_a_factor_of_one_seed_is_judged_over_its_explicands() -> None:
    gaps = torch.tensor([[0.39, 0.4, 0.41]], dtype=torch.float64)
    levels = tuple(Level(name, {MEASURES[0]: gaps + n * 0.001}, gaps) for n, name in enumerate(("100", "1500")))
    found = findings(Results(factors=[Factor("A", "foil_size", "rise", "1500", levels)], seeds=(1,)))
    assert [one.verdict for one in found] == [HOLDS]


def test_what_is_missing_is_left_out() -> None:
    whole = grid()
    assert findings(Results()) == []
    assert findings(grid(spread=SEEDS[:1])) == []
    assert "No finding" in findings_markdown([])
    assert summary_words([]) == ""

    def without(name: str) -> set[str]:
        cells = {cell: own for cell, own in whole.grid.items() if cell.target != name}
        return {claim.rpartition(" (")[0] for claim in verdicts(Results(grid=cells))}

    every = {BEST, LABEL_FREE, RANDOMISED_IS_ZERO, SMOOTH_IS_ZERO, EQUAL}
    assert without("corpus") == every - {BEST}
    assert without("label_free") == every - {BEST, LABEL_FREE}
    assert without("random") == every - {LABEL_FREE, EQUAL}
    assert without("smooth_random") == every - {SMOOTH_IS_ZERO}
    assert without("cocoa") == {LABEL_FREE}
    only = {cell: own for cell, own in whole.grid.items() if cell.measure != MEASURES[0]}
    assert findings(Results(grid=only)) == []
    nothing = areas(torch.full((5,), float("nan"), dtype=torch.float64))
    assert findings(Results(grid=dict.fromkeys(whole.grid, nothing))) == []
    assert findings(factor("foil_size", {"1500": 0.4}, reference="1500")) == []
    assert findings(factor("foil_size", {"100": 0.4, "500": 0.4}, reference="1500")) == []
    assert findings(factor("corpus_size", {"5": 0.4, "100": 0.4}, reference="100")) == []
    assert findings(factor("removal", {"black": 0.4, "blur": 0.4}, reference="blur")) == []
    assert findings(factor("cascade", {"": 0.4}, reference="")) == []
    assert findings(factor("cascade", {}, reference="")) == []


def test_methods_and_encoders_are_told_together() -> None:
    results = grid(methods=("integrated_gradients", "rise"), settings=("same",))
    results.grid[Cell("A", "same", MEASURES[0], "rise", "corpus")] = areas(0.4 + SEEDS)
    other = grid(settings=("same",), encoder="B|1", corpus=0.5)
    del other.grid[Cell("B|1", "same", MEASURES[0], CONTROL, "smooth_random")]
    results.grid |= other.grid
    found = findings(results)
    page = findings_markdown(found)
    assert f"| {BEST} (same class) | holds (integrated gradients); undecided (RISE) | does not hold |" in page
    assert f"| {SMOOTH_IS_ZERO} (same class) | holds | {NOT_TESTED} |" in page
    assert "| finding | A | B\\|1 |" in page
    assert all(rule in page for rule in rules())
    alone = findings_markdown([one for one in found if one.encoder == "A"])  # its verdicts are in the list
    assert alone.startswith(f"- {rules()[0]}")
    assert alone.count(f"| {BEST} (same class) |") == 1
    words = summary_words(found)
    assert f"- {BEST} (same class): **holds** on A (integrated gradients); **does not hold** on B|1; **undecided** on A (RISE)" in words
    assert f"- {SMOOTH_IS_ZERO} (same class): **holds** on A\n" in words
    assert f"- {RANDOMISED_IS_ZERO} (same class): **holds** on all 2 encoders\n" in words


def test_methods_that_differ_are_told_apart() -> None:
    found = [
        Finding("it rains", "A", "RISE", HOLDS, ""),
        Finding("it rains", "A", "IG", FAILS, ""),
        Finding("it rains", "A", "SHAP", UNDECIDED, ""),
    ]
    assert merged(found) == "holds (RISE); does not hold (IG); undecided (SHAP)"
    assert summary_words(found) == "- it rains: **holds** on A (RISE); **does not hold** on A (IG); **undecided** on A (SHAP)"
