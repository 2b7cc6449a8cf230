"""Sparsity against its definition by pairs of pixels, and scipy."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor

from cocoa_pl.metrics.sparsity import effective_share, entropy, gini

DRAW = torch.Generator().manual_seed(0)
SIGNED = torch.randn(4, 6, 7, generator=DRAW)
SPARSE = SIGNED * (torch.rand(4, 6, 7, generator=DRAW) > 0.7)


@pytest.mark.parametrize("maps", [SIGNED, SPARSE, SIGNED.exp(), SIGNED * 1e-30])
def test_gini_is_half_the_relative_mean_difference_of_all_pairs(maps: Tensor) -> None:
    magnitude = maps.flatten(1).double().abs().numpy()
    expected = [np.abs(a[:, None] - a).mean() / (2 * a.mean()) for a in magnitude]
    np.testing.assert_allclose(gini(maps).numpy(), expected, atol=1e-6)


@pytest.mark.parametrize("maps", [SIGNED, SPARSE, SIGNED * 1e-30])
def test_entropy_equals_scipy(maps: Tensor) -> None:
    expected = stats.entropy(maps.flatten(1).double().abs().numpy(), axis=1)
    np.testing.assert_allclose(entropy(maps).numpy(), expected, atol=1e-5)
    np.testing.assert_allclose(effective_share(maps).numpy(), np.exp(expected) / 42, atol=1e-5)


def test_ends_of_the_scales() -> None:
    one, few, flat, zero = (torch.zeros(1, 4, 5) for _ in range(4))
    one[0, 2, 3], few[0, :2, 0], flat[:] = -3, 7, -0.2
    assert (float(gini(one)), float(entropy(one))) == (pytest.approx(19 / 20), 0)
    assert float(effective_share(one)) == pytest.approx(1 / 20)
    assert float(effective_share(few)) == pytest.approx(2 / 20)
    for spread in (flat, zero):
        assert float(gini(spread)) == pytest.approx(0, abs=1e-7)
        assert float(entropy(spread)) == pytest.approx(math.log(20))
        assert float(effective_share(spread)) == pytest.approx(1)
