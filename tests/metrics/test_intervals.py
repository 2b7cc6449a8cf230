"""Intervals against scipy.stats."""

from __future__ import annotations

import math
from functools import partial

import numpy as np
import pytest
import torch
from scipy import stats
from scipy.stats._resampling import BootstrapResult

from cocoa_pl.errors import ConfigError, DataError
from cocoa_pl.metrics.intervals import Interval, bootstrap_interval, paired_difference, resampled_means, t_interval, wilson_interval

DRAW = np.random.default_rng(0)
NORMAL, SKEWED = DRAW.normal(3, 2, size=12), DRAW.exponential(size=40)


@pytest.mark.parametrize("values", [NORMAL, SKEWED, NORMAL[:2]])
@pytest.mark.parametrize("confidence", [0.5, 0.95, 0.999])
def test_t_interval_equals_scipy(values: np.ndarray, confidence: float) -> None:
    low, high = stats.t.interval(confidence, len(values) - 1, loc=values.mean(), scale=stats.sem(values))
    found = t_interval(values.tolist(), confidence=confidence)
    assert (found.mean, found.low, found.high, found.num) == pytest.approx((values.mean(), low, high, len(values)))


@pytest.mark.parametrize(("hits", "num"), [(10, 10), (0, 10), (7, 20), (1, 1), (0, 1), (399, 400)])
@pytest.mark.parametrize("confidence", [0.8, 0.95])
def test_wilson_equals_scipy(hits: int, num: int, confidence: float) -> None:
    theirs = stats.binomtest(hits, num).proportion_ci(confidence, method="wilson")
    found = wilson_interval([1.0] * hits + [0.0] * (num - hits) + [math.nan], confidence=confidence)
    assert (found.mean, found.low, found.high, found.num) == pytest.approx((hits / num, theirs.low, theirs.high, num), abs=1e-12)


def test_wilson_of_known_values_of_none_and_of_what_is_no_share() -> None:
    all_ten, none = wilson_interval([1.0] * 10), wilson_interval([0.0] * 10)
    assert (all_ten.low, all_ten.high) == pytest.approx((0.7225, 1), abs=1e-4)
    assert (none.low, none.high) == pytest.approx((0, 0.2775), abs=1e-4)
    assert wilson_interval([math.nan]).num == 0
    with pytest.raises(DataError, match="between 0 and 1"):
        wilson_interval([0.5, 1.5])


@pytest.mark.parametrize("method", ["bca", "percentile"])
@pytest.mark.parametrize("values", [NORMAL, SKEWED])
def test_bootstrap_equals_scipy_on_the_same_resamples(values: np.ndarray, method: str) -> None:
    means = resampled_means(torch.tensor(values), num_resamples=2000, seed=4).numpy()
    ours = BootstrapResult(confidence_interval=None, bootstrap_distribution=means, standard_error=None)
    theirs = stats.bootstrap(
        (values,), np.mean, n_resamples=0, bootstrap_result=ours, method="BCa" if method == "bca" else method, confidence_level=0.9
    ).confidence_interval
    found = bootstrap_interval(values.tolist(), confidence=0.9, method=method, num_resamples=2000, seed=4)
    assert (found.low, found.high) == pytest.approx((theirs.low, theirs.high), rel=1e-9)
    assert found.mean == pytest.approx(values.mean())


def test_bootstrap_agrees_with_scipy_on_resamples_of_its_own() -> None:
    theirs = stats.bootstrap((SKEWED,), np.mean, rng=np.random.default_rng(1)).confidence_interval
    found = bootstrap_interval(torch.tensor(SKEWED))
    width = theirs.high - theirs.low
    assert found.low == pytest.approx(theirs.low, abs=0.05 * width)
    assert found.high == pytest.approx(theirs.high, abs=0.05 * width)


def test_resamples_are_a_function_of_the_seed() -> None:
    rng = torch.get_rng_state()
    intervals = [bootstrap_interval(SKEWED.tolist(), num_resamples=200, seed=seed) for seed in (0, 0, 1)]
    assert intervals[0] == intervals[1] != intervals[2]
    assert torch.equal(torch.get_rng_state(), rng)


def test_paired_difference_equals_the_paired_t_test() -> None:
    other = SKEWED + DRAW.normal(0.1, 0.3, size=40)
    theirs = stats.ttest_rel(other, SKEWED)
    low, high = theirs.confidence_interval(0.95)
    found = paired_difference(other.tolist(), torch.tensor(SKEWED))
    assert (found.mean, found.low, found.high, found.num) == pytest.approx(((other - SKEWED).mean(), low, high, 40))
    edge = paired_difference(other.tolist(), SKEWED.tolist(), interval_fn=partial(t_interval, confidence=1 - theirs.pvalue))
    assert min(abs(edge.low), abs(edge.high)) < 1e-9
    boot = paired_difference(other.tolist(), SKEWED.tolist(), interval_fn=bootstrap_interval)
    assert boot == bootstrap_interval(torch.tensor(other) - torch.tensor(SKEWED))


def test_nan_is_left_out_and_pairs_with_it_too() -> None:
    holed = torch.tensor([1.0, math.nan, 2.0, 4.0])
    for interval_fn in (t_interval, bootstrap_interval):
        assert interval_fn(holed) == interval_fn(torch.tensor([1.0, 2.0, 4.0]))
    pairs = paired_difference(holed, torch.tensor([math.nan, 1.0, 1.0, 1.0]))
    assert (pairs.mean, pairs.num) == (2, 2)


def test_too_few_values_say_nothing_about_their_spread() -> None:
    for interval_fn in (t_interval, bootstrap_interval):
        one, none = interval_fn(torch.tensor([0.5])), interval_fn(torch.tensor([math.nan]))
        assert (one.mean, one.num, none.num) == (0.5, 1, 0)
        assert all(math.isnan(value) for value in (one.low, one.high, none.mean, none.low))
        same = interval_fn(torch.tensor([0.5, 0.5, 0.5]))
        assert same == Interval(0.5, 0.5, 0.5, 3)


def test_an_interval_reads_as_a_line() -> None:
    assert str(Interval(-0.0123, -0.1, 0.0754, 5)) == "-0.012 [-0.100, 0.075] (n = 5)"


def test_what_makes_no_sense_is_refused() -> None:
    with pytest.raises(ConfigError, match="confidence=95: must be between 0 and 1"):
        t_interval([1.0, 2.0], confidence=95)
    with pytest.raises(ConfigError, match="method='basic': must be bca or percentile"):
        bootstrap_interval([1.0, 2.0], method="basic")
    with pytest.raises(ConfigError, match="num_resamples=0"):
        bootstrap_interval([1.0, 2.0], num_resamples=0)
    with pytest.raises(DataError, match=r"values \(2, 1\): must be one row"):
        t_interval(torch.ones(2, 1))
    with pytest.raises(DataError, match=r"\(2,\) and \(3,\) values"):
        paired_difference([1.0, 2.0], [1.0, 2.0, 3.0])
