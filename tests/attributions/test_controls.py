"""Controls against scipy, scikit-image and RISE's own masks."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import signal, stats
from skimage import filters
from torch import Tensor

from cocoa_pl.attributions import CentreBias, Edges, Random, SmoothRandom
from cocoa_pl.attributions.rise_masks import rise_masks
from cocoa_pl.errors import ConfigError
from cocoa_pl.registry import CONTROLS
from cocoa_pl.types import Attribution


def pictures(num: int, height: int = 8, width: int = 9) -> Tensor:
    return torch.rand(num, 3, height, width, generator=torch.Generator().manual_seed(0))


def score(images: Tensor, rows: Tensor) -> Tensor:
    return images.mean((2, 3))  # three targets


def run(control: Attribution, images: Tensor, *, seed: int = 0) -> Tensor:
    return control(score, images, torch.zeros_like(images), seed=seed, chunk_size=4)


@pytest.mark.parametrize("name", CONTROLS)
def test_a_control_is_a_method_that_scores_one_image(name: str) -> None:
    control: Attribution = CONTROLS.load(name)()
    images, rng, seen = pictures(5), torch.get_rng_state(), []

    def watched(images: Tensor, rows: Tensor) -> Tensor:
        assert not torch.is_grad_enabled()
        seen.append((len(images), rows.tolist()))
        return score(images, rows)

    maps = control(watched, images, torch.zeros_like(images), seed=1, chunk_size=2)
    assert maps.shape == (3, 5, 8, 9)
    assert maps.dtype == torch.float32
    assert maps.is_contiguous()
    assert maps.flatten(2).std(2).min() > 0
    assert seen == [(1, [0])]
    assert control.num_forwards(5, 8, 9) == 1
    assert torch.equal(run(control, images, seed=1), maps)
    assert torch.equal(images, pictures(5))
    assert torch.equal(torch.get_rng_state(), rng)
    alone = torch.cat([run(control, images[n : n + 1], seed=1) for n in range(5)], dim=1)
    torch.testing.assert_close(alone, maps, atol=1e-6, rtol=0)
    first = control(lambda x, rows: score(x, rows)[:, :1], images, torch.zeros_like(images), seed=1, chunk_size=2)
    assert torch.equal(first[0], maps[0])  # law 4


@pytest.mark.parametrize("name", CONTROLS)
@pytest.mark.parametrize("shape", [(1, 1), (2, 7), (33, 20)])
def test_a_control_takes_images_of_any_size(name: str, shape: tuple[int, int]) -> None:
    images = pictures(2, *shape)
    maps = run(CONTROLS.load(name)(), images)
    assert maps.shape == (3, 2, *shape)
    assert torch.isfinite(maps).all()
    swapped = run(CONTROLS.load(name)(), images.transpose(2, 3).contiguous().transpose(2, 3))  # not contiguous
    torch.testing.assert_close(swapped, maps)


@pytest.mark.parametrize("control", [Random(), SmoothRandom()])
def test_noise_is_the_targets_own_and_the_explicands_common(control: Attribution) -> None:
    maps = run(control, pictures(2, 40, 40))
    assert torch.equal(maps[:, 0], maps[:, 1])
    flat = maps[:, 0].flatten(1)
    other = run(control, pictures(1, 40, 40), seed=1)[:, 0].flatten(1)
    together = torch.corrcoef(torch.cat([flat, other])) - torch.eye(6)
    assert together.abs().max() < (0.1 if control == Random() else 0.6)


def test_random_is_uniform_and_independent() -> None:
    maps = run(Random(), pictures(1, 64, 64))[0, 0]
    assert stats.kstest(maps.flatten().numpy(), stats.uniform(-1, 2).cdf).pvalue > 1e-3
    for lagged in (maps[:, 1:] * maps[:, :-1], maps[1:] * maps[:-1]):
        assert abs(float(lagged.mean())) * 3 < 4 / 64  # a correlation's error is 1 / 64


def test_smooth_random_is_noise_under_a_tent() -> None:
    images, grid_size = pictures(1, 20, 27), 4
    smooth = run(SmoothRandom(grid_size), images, seed=3)[1, 0].double().numpy()
    margin = pictures(1, 20 + 8, 27 + 8)  # half the width of a tent of 5 pixels on every side
    noise = run(Random(), margin, seed=3)[1, 0].double().numpy()
    tent = 1 - np.abs(np.arange(-4, 5)) / 5
    kernel = np.outer(tent, tent)
    np.testing.assert_allclose(smooth, signal.convolve2d(noise, kernel, mode="valid") / np.linalg.norm(kernel) * math.sqrt(3), atol=1e-5)


def test_smooth_random_has_the_covariance_of_rise_s_masks() -> None:
    side, grid_size, place = 28, 4, (14, 14)
    many = SmoothRandom(grid_size)(lambda x, rows: torch.zeros(len(x), 2000), pictures(1, side, side), torch.zeros(1))[:, 0]
    masks = rise_masks(torch.arange(2000), seed=0, height=side, width=side, grid_size=grid_size)

    def correlation(maps: Tensor) -> Tensor:
        centred = (maps - maps.mean(0)) / maps.std(0)
        return (centred * centred[:, place[0], place[1], None, None]).mean(0)

    assert (correlation(many) - correlation(masks)).abs().max() < 0.12  # five standard errors
    assert ((many.std(0) - 1).abs() < 0.08).all()


@pytest.mark.parametrize("shape", [(9, 9), (8, 12)])
def test_centre_bias_is_a_gaussian_at_the_centre(shape: tuple[int, int]) -> None:
    maps = run(CentreBias(sigma=0.2), pictures(1, *shape))[0, 0].numpy()
    height, width = shape
    grid = np.stack(np.meshgrid(np.arange(height), np.arange(width), indexing="ij"), axis=-1)
    normal = stats.multivariate_normal([(height - 1) / 2, (width - 1) / 2], np.diag([(0.2 * height) ** 2, (0.2 * width) ** 2]))
    expected = normal.pdf(grid) / normal.pdf(normal.mean)
    np.testing.assert_allclose(maps, expected, atol=1e-6)


def test_edges_equal_scikit_image_over_all_channels() -> None:
    images = pictures(2, 14, 11)
    maps = run(Edges(), images)
    for n, image in enumerate(images.double().numpy()):
        channels = [filters.sobel(channel, mode="nearest") / math.sqrt(2) for channel in image]  # theirs takes pixels for two apart
        np.testing.assert_allclose(maps[0, n].numpy(), np.sqrt(sum(channel**2 for channel in channels)), atol=1e-6)
    assert torch.equal(maps[0], maps[2])


def test_edges_of_a_ramp_are_its_slope() -> None:
    ramp = (torch.arange(6.0) * 0.1).expand(1, 1, 6, 6)
    torch.testing.assert_close(run(Edges(), ramp)[0, 0, :, 1:-1], torch.full((6, 4), 0.1))


def test_wrong_options_are_refused() -> None:
    with pytest.raises(ConfigError, match="grid_size=0: must be at least 1 cell"):
        SmoothRandom(grid_size=0)
    with pytest.raises(ConfigError, match=r"sigma=0\.0: must be greater than 0"):
        CentreBias(sigma=0.0)
