"""Agreement and localisation of maps against scipy, scikit-learn and loops."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy import stats
from sklearn.metrics import roc_auc_score
from torch import Tensor

from cocoa_pl.metrics.agreement import cosine, spearman
from cocoa_pl.metrics.localisation import average_ranks, energy_inside, half_preference, mask_auroc, pointing_game

DRAW = torch.Generator().manual_seed(0)
TIED, OTHER = (torch.randn(6, 5, 8, generator=DRAW).round(decimals=1) for _ in range(2))
SMOOTH = torch.randn(6, 5, 8, generator=DRAW)
MASKS = torch.rand(6, 5, 8, generator=DRAW) > 0.6


@pytest.mark.parametrize("values", [TIED, SMOOTH, torch.zeros(2, 3, 3)])
def test_ranks_equal_scipy(values: Tensor) -> None:
    expected = stats.rankdata(values.flatten(1).numpy(), axis=1)
    np.testing.assert_array_equal(average_ranks(values.flatten(1)).numpy(), expected)


@pytest.mark.parametrize(("first", "second"), [(TIED, OTHER), (SMOOTH, TIED), (SMOOTH, SMOOTH.exp())])
def test_spearman_equals_scipy_with_ties(first: Tensor, second: Tensor) -> None:
    expected = [stats.spearmanr(a.flatten().numpy(), b.flatten().numpy()).statistic for a, b in zip(first, second, strict=True)]
    np.testing.assert_allclose(spearman(first, second).numpy(), expected, atol=1e-6)


def test_cosine_equals_numpy_whatever_the_scale() -> None:
    a, b = SMOOTH.flatten(1).double().numpy(), OTHER.flatten(1).double().numpy()
    expected = (a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)
    np.testing.assert_allclose(cosine(SMOOTH, OTHER).numpy(), expected, atol=1e-6)
    torch.testing.assert_close(cosine(SMOOTH * 1e-25, OTHER * 1e15), cosine(SMOOTH, OTHER))


@pytest.mark.parametrize("agreement", [spearman, cosine])
def test_flat_maps_agree_with_flat_maps_only(agreement: Callable[[Tensor, Tensor], Tensor]) -> None:
    flat = torch.zeros(6, 5, 8)
    assert agreement(flat, flat).tolist() == [1.0] * 6
    assert agreement(flat, SMOOTH).tolist() == [0.0] * 6


@pytest.mark.parametrize("maps", [TIED, SMOOTH])
def test_auroc_equals_scikit_learn(maps: Tensor) -> None:
    expected = [roc_auc_score(mask.flatten().numpy(), a.flatten().numpy()) for a, mask in zip(maps, MASKS, strict=True)]
    np.testing.assert_allclose(mask_auroc(maps, MASKS).numpy(), expected, atol=1e-6)


def test_auroc_of_a_flat_map_says_nothing_and_of_no_object_is_nan() -> None:
    assert mask_auroc(torch.zeros(6, 5, 8), MASKS).tolist() == [0.5] * 6
    full = torch.stack([torch.zeros(5, 8), torch.ones(5, 8)]).bool()
    assert mask_auroc(SMOOTH[:2], full).isnan().all()


def test_pointing_game_looks_at_the_highest_pixel() -> None:
    expected = [float(mask.flatten()[a.flatten().argmax()]) for a, mask in zip(SMOOTH, MASKS, strict=True)]
    assert pointing_game(SMOOTH, MASKS).tolist() == expected
    assert 0 < sum(expected) < 6
    torch.testing.assert_close(pointing_game(torch.ones(6, 5, 8), MASKS), MASKS.float().mean((1, 2)))


def test_energy_equals_a_loop_and_ignores_scale() -> None:
    expected = []
    for a, mask in zip(SMOOTH.tolist(), MASKS.tolist(), strict=True):
        pixels = [(max(v, 0.0), m) for row, flags in zip(a, mask, strict=True) for v, m in zip(row, flags, strict=True)]
        expected.append(sum(v for v, m in pixels if m) / sum(v for v, _ in pixels))
    np.testing.assert_allclose(energy_inside(SMOOTH, MASKS).numpy(), expected, rtol=1e-5)
    np.testing.assert_allclose(energy_inside(SMOOTH * 1e-20, MASKS).numpy(), expected, rtol=1e-5)
    torch.testing.assert_close(energy_inside(-SMOOTH.abs(), MASKS), MASKS.float().mean((1, 2)))


def test_half_preference_by_hand() -> None:
    maps = torch.tensor([[[1.0, 9.0, 0.0]], [[0.0, 9.0, 1.0]], [[1.0, 0.0, 1.0]], [[-3.0, 0.0, -4.0]]])
    assert half_preference(maps).tolist() == [1.0, 0.0, 0.5, 1.0]
