"""Counter-based random numbers against SplitMix64 written in plain integers, and the laws that training relies on."""

from __future__ import annotations

import pytest
import torch
from scipy import stats

from cocoa_pl.rng import counter_uniform, derive_seed, generator

WORD = 2**64


def splitmix(state: int) -> int:
    """The finaliser of Steele, Lea & Flood (2014), in Python's own integers."""
    state = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) % WORD
    state = ((state ^ (state >> 27)) * 0x94D049BB133111EB) % WORD
    return state ^ (state >> 31)


def slow_uniform(*keys: int, num: int) -> list[float]:
    state = 0
    for key in keys:
        state = splitmix((state * 3 + 0x9E3779B97F4A7C15 + key) % WORD)
    return [(splitmix((state + 0x9E3779B97F4A7C15 * i) % WORD) >> 40) / 2**24 for i in range(1, num + 1)]


@pytest.mark.parametrize("seed", [0, 1, derive_seed("a", 3), 2**63 - 1])
def test_counter_uniform_equals_plain_integers(seed: int) -> None:
    ids = torch.tensor([0, 1, 7, 2**40])
    got = counter_uniform(seed, ids, 5, num=6)
    assert got.tolist() == [slow_uniform(seed, i, 5, num=6) for i in ids.tolist()]


def test_a_draw_depends_on_its_keys_alone() -> None:
    ids = torch.arange(50)
    together = counter_uniform(3, ids, num=5)
    assert torch.equal(counter_uniform(3, ids[[40, 2]], num=5), together[[40, 2]])
    assert torch.equal(counter_uniform(3, ids, num=2), together[:, :2])
    assert not torch.equal(counter_uniform(4, ids, num=5), together)
    assert not torch.equal(counter_uniform(ids, 3, num=5), together)


def test_draws_are_uniform_and_uncorrelated() -> None:
    draws = counter_uniform(11, torch.arange(20_000), num=3).double()
    assert draws.min() >= 0
    assert draws.max() < 1
    for column in draws.T:
        assert stats.kstest(column.numpy(), "uniform").pvalue > 1e-3
    correlations = torch.corrcoef(torch.cat([draws[:-1], draws[1:]], dim=1).T).fill_diagonal_(0)
    assert correlations.abs().max() < 0.035  # five standard errors


def test_seeds_are_a_function_of_names_and_fit_a_generator() -> None:
    seeds = [derive_seed(*keys) for keys in [(0,), (1,), (0, "a"), (0, "b"), ("0", "a"), (0, "a", "b"), (0, "ab")]]
    assert len(set(seeds)) == len(seeds)
    assert all(0 <= seed < 2**63 for seed in seeds)
    assert derive_seed(0, "explain") == 4577490189742426793  # written down: runs of other days and machines must agree


def test_generators_leave_the_global_one_alone() -> None:
    before = torch.get_rng_state()
    first, second = (torch.rand(4, generator=generator(5, "order")) for _ in range(2))
    other = torch.rand(4, generator=generator(5, "weights"))
    assert torch.equal(first, second)
    assert not torch.equal(first, other)
    assert torch.equal(torch.get_rng_state(), before)
