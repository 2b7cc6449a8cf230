"""Shapley values by pairs against their definition, against least squares with a constraint, and the law of the draws."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor

from cocoa_pl.attributions.shapley import all_pairs, drawn_pairs, shapley_values

Game = Callable[[np.ndarray], np.ndarray]
"""Coalitions (S, d) to the values of two games, (2, S)."""


def make_game(d: int, *, seed: int = 0) -> Game:
    draw = np.random.default_rng(seed)
    first, second = draw.normal(size=(2, d, 5))
    return lambda z: np.stack([np.tanh(z @ first - 0.4).sum(1), np.maximum(z @ second, 0).prod(1) + z[:, 0] * 100 - 7])


def by_definition(game: Game, d: int) -> np.ndarray:
    """Mean of what feature i adds to the coalitions of the others, coalitions of each size weighing the same together."""
    values = np.zeros((2, d))
    for i in range(d):
        others = [j for j in range(d) if j != i]
        for size in range(d):
            for chosen in itertools.combinations(others, size):
                without, with_it = np.zeros((2, 1, d))
                without[0, list(chosen)] = with_it[0, [*chosen, i]] = 1
                weight = math.factorial(size) * math.factorial(d - size - 1) / math.factorial(d)
                values[:, i] += weight * (game(with_it) - game(without))[:, 0]
    return values


def solve(game: Game, keep: Tensor, weight: Tensor | None) -> tuple[Tensor, Tensor]:
    z = keep.numpy().astype(float)
    ends = game(np.stack([np.zeros(z.shape[1]), np.ones(z.shape[1])]))
    return shapley_values(keep, weight, torch.tensor(game(z) - game(1 - z)), torch.tensor(ends[:, 1] - ends[:, 0]))


@pytest.mark.parametrize("d", [1, 2, 3, 5, 8])
def test_all_pairs_give_the_values_of_the_definition(d: int) -> None:
    game = make_game(d)
    values, errors = solve(game, *all_pairs(d))
    np.testing.assert_allclose(values.numpy(), by_definition(game, d), rtol=1e-9, atol=1e-9)
    assert not errors.any()


@pytest.mark.parametrize("d", [1, 2, 4, 7])
def test_every_coalition_but_all_and_none_is_in_one_pair(d: int) -> None:
    keep, weight = all_pairs(d)
    both = torch.cat([keep, ~keep]).int().tolist()
    assert sorted(both) == sorted(list(z) for z in itertools.product((0, 1), repeat=d) if 0 < sum(z) < d)
    sizes = keep.sum(1).tolist()
    expected = [(d - 1) * math.factorial(k) * math.factorial(d - k) / math.factorial(d) / k / (d - k) for k in sizes]
    np.testing.assert_allclose(weight.numpy(), expected)


@pytest.mark.parametrize("drawn", [False, True])
def test_equals_weighted_least_squares_of_single_coalitions_under_the_constraint(drawn: bool) -> None:
    """The problem before pairs are taken together, by its Karush-Kuhn-Tucker equations."""
    d, game = 6, make_game(6, seed=3)
    keep, weight = (drawn_pairs(d, 40, seed=1), None) if drawn else all_pairs(d)
    z = torch.cat([keep, ~keep]).numpy().astype(float)
    w = np.ones(len(z)) if weight is None else np.tile(weight.numpy(), 2)
    none, every = game(np.zeros((1, d))), game(np.ones((1, d)))
    gram = np.block([[z.T * w @ z, np.ones((d, 1))], [np.ones((1, d)), np.zeros((1, 1))]])
    right = np.concatenate([(z.T * w) @ (game(z) - none).T, (every - none).T])
    np.testing.assert_allclose(solve(game, keep, weight)[0].numpy(), np.linalg.solve(gram, right)[:d].T, rtol=1e-8, atol=1e-8)


def test_draws_follow_the_shapley_kernel() -> None:
    d, num = 9, 20000
    keep = drawn_pairs(d, num, seed=4)
    kernel = np.array([1 / (k * (d - k)) for k in range(1, d)])
    counted = np.bincount(keep.sum(1), minlength=d)[1:]
    assert counted.sum() == num
    assert stats.chisquare(counted, kernel / kernel.sum() * num).pvalue > 1e-3
    pairs_of_two = keep[keep.sum(1) == 2].int() @ (2 ** torch.arange(d)).int()
    assert stats.chisquare(np.unique(pairs_of_two, return_counts=True)[1]).pvalue > 1e-3
    assert len(pairs_of_two.unique()) == math.comb(d, 2)


def test_a_draw_is_a_function_of_seed_number_and_features() -> None:
    keep = drawn_pairs(12, 30, seed=0)
    assert torch.equal(drawn_pairs(12, 60, seed=0)[:30], keep)
    assert not torch.equal(drawn_pairs(12, 30, seed=1), keep)
    assert not torch.equal(drawn_pairs(13, 30, seed=0)[:, :12], keep)


def test_the_error_falls_with_the_root_of_the_draws() -> None:
    d, game = 8, make_game(8)
    exact = solve(game, *all_pairs(d))[0]

    def error(num_pairs: int) -> float:
        draws = [solve(game, drawn_pairs(d, num_pairs, seed=seed), None)[0] for seed in range(12)]
        return float(torch.stack([(drawn - exact).norm(dim=1) for drawn in draws]).mean(0)[0])

    few, many = error(32), error(32 * 25)
    assert 0.6 < few / many / 5 < 1.7


@pytest.mark.parametrize("d", [6, 20])
def test_standard_errors_are_the_spread_of_repeated_draws(d: int) -> None:
    game, num_pairs = make_game(d), 3 * d
    repeats = [solve(game, drawn_pairs(d, num_pairs, seed=seed), None) for seed in range(300)]
    values, errors = (torch.stack(kind) for kind in zip(*repeats, strict=True))
    claimed, true = errors.square().mean((0, 2)).sqrt(), values.var(0).mean(1).sqrt()
    assert ((claimed / true - 1).abs() < 0.2).all()


def test_an_additive_game_has_no_error() -> None:
    weight = np.random.default_rng(0).normal(size=10)
    values, errors = solve(lambda z: np.stack([z @ weight, 3 - z @ weight]), drawn_pairs(10, 20, seed=0), None)
    np.testing.assert_allclose(values.numpy(), [weight, -weight], atol=1e-12)
    assert errors.max() < 1e-12
