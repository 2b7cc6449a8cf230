"""Noise against scipy, the random image against Pillow."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from scipy import stats
from torch import Tensor

from cocoa_pl.errors import DataError
from cocoa_pl.removal import Noise, RandomImage


def pictures(num: int, *shape: int) -> Tensor:
    return torch.rand(num, *shape, generator=torch.Generator().manual_seed(0))


def test_noise_is_normal_with_each_channel_s_own_mean_and_deviation() -> None:
    level = torch.tensor([[0.4, 0.5, 0.6], [0.6, 0.5, 0.4]])[:, :, None, None]
    spread = torch.tensor([[0.01, 0.05, 0.08], [0.08, 0.05, 0.02]])[:, :, None, None]
    images = level + spread * torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    noise = Noise(seed=4)(images).double().numpy()
    mean, std = images.double().numpy().mean((2, 3), keepdims=True), images.double().numpy().std((2, 3), keepdims=True)
    standard = (noise - mean) / std  # nothing is clipped this far from 0 and 1
    for one in standard.reshape(6, -1):
        assert stats.kstest(one, "norm").pvalue > 1e-3
    np.testing.assert_allclose(standard[0], standard[1], atol=1e-4)  # the same draw for all explicands
    assert abs(np.corrcoef(standard[0].reshape(3, -1))[np.triu_indices(3, 1)]).max() < 0.08  # a draw of its own for each channel
    assert abs(np.corrcoef(standard[0, 0, :, 1:].ravel(), standard[0, 0, :, :-1].ravel())[0, 1]) < 0.08


def test_noise_is_clipped_and_a_function_of_the_seed() -> None:
    images = (pictures(1, 3, 32, 32) > 0.5).float()
    noise = Noise()(images)
    assert noise.min() == 0
    assert noise.max() == 1
    assert torch.equal(Noise(seed=0)(images), noise)
    assert (Noise(seed=1)(images) - noise).abs().mean() > 0.1


def test_a_random_image_is_one_of_the_pool_for_all_explicands() -> None:
    pool, drawn = pictures(6, 3, 4, 5), set()
    for seed in range(60):
        baseline = RandomImage(pool, seed=seed)(torch.zeros(3, 3, 4, 5))
        assert torch.equal(baseline, baseline[:1].expand(3, -1, -1, -1))
        drawn.add(next(i for i in range(6) if torch.equal(baseline[0], pool[i])))
    assert drawn == set(range(6))


def test_a_pool_of_bytes_is_scaled() -> None:
    pool = (pictures(6, 3, 4, 5) * 255).byte()
    baseline = RandomImage(pool, seed=3)(torch.zeros(2, 3, 4, 5))
    floats = RandomImage(pool.float() / 255, seed=3)(torch.zeros(2, 3, 4, 5))
    assert baseline.dtype == torch.float32
    torch.testing.assert_close(baseline, floats)
    assert baseline.max() <= 1


@pytest.mark.parametrize("size", [(12, 24), (12, 12), (5, 7), (3, 40), (1, 1)])
@pytest.mark.parametrize("bytes_", [False, True])
def test_an_image_of_another_size_is_resized_as_pillow_does(size: tuple[int, int], bytes_: bool) -> None:
    pool = pictures(1, 3, 12, 12)  # as for two pictures side by side
    pool = (pool * 255).byte() if bytes_ else pool
    baseline = RandomImage(pool)(torch.zeros(2, 3, *size))
    for channel, seen in zip(pool[0].float().numpy(), baseline[1].numpy(), strict=True):
        expected = Image.fromarray(channel, mode="F").resize(size[::-1], Image.Resampling.BILINEAR)
        np.testing.assert_allclose(seen, np.asarray(expected) / (255 if bytes_ else 1), atol=1e-5)


def test_a_pool_that_cannot_serve_is_refused() -> None:
    with pytest.raises(DataError, match=r"pool \(0, 3, 4, 5\): must be \(P, C, H, W\) with P at least 1"):
        RandomImage(torch.zeros(0, 3, 4, 5))
    with pytest.raises(DataError, match=r"pool \(3, 4, 5\): must be \(P, C, H, W\)"):
        RandomImage(torch.zeros(3, 4, 5))
    with pytest.raises(DataError, match=r"values outside \[0, 1\]"):
        RandomImage(torch.full((1, 3, 4, 5), 200.0))
    with pytest.raises(DataError, match=r"values outside \[0, 1\]"):
        RandomImage(torch.full((1, 3, 4, 5), float("nan")))
    with pytest.raises(DataError, match=r"images in the pool have 3 channels and explicands 1: must be alike"):
        RandomImage(torch.zeros(1, 3, 4, 5))(torch.zeros(1, 1, 4, 5))
