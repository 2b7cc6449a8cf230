"""What RISE says of its own noise: standard error, halves, reliability, and when it stops."""

from __future__ import annotations

import math
import time

import numpy as np
import pytest
import torch
from torch import Tensor

from cocoa_pl.attributions import Rise
from cocoa_pl.encoding import FrozenEncoder
from cocoa_pl.errors import ConfigError
from cocoa_pl.targets import DirectionTarget
from cocoa_pl.types import Attributed


def linear(images: Tensor, rows: Tensor) -> Tensor:
    """Two scores: a bright corner, and the mean of the image."""
    return torch.stack([images[:, :, :4, :4].sum((1, 2, 3)), images.mean((1, 2, 3))], dim=1)


def runs(num_masks: int, num_seeds: int, *, score_fn=linear, keep_prob: float = 0.5) -> list[Attributed]:  # type: ignore[no-untyped-def]
    image = 0.5 + 0.5 * torch.rand(1, 3, 12, 12, generator=torch.Generator().manual_seed(0))
    method = Rise(num_masks=num_masks, grid_size=4, keep_prob=keep_prob)
    return [method.attribute(score_fn, image, torch.zeros_like(image), seed=seed) for seed in range(num_seeds)]


@pytest.mark.parametrize(("keep_prob", "tolerance"), [(0.5, 0.1), (0.3, 0.2)])
def test_the_standard_error_is_the_spread_over_seeds(keep_prob: float, tolerance: float) -> None:
    found = runs(100, 150, keep_prob=keep_prob)
    spread = torch.stack([one.maps for one in found]).std(0)
    claimed = torch.stack([one.standard_error for one in found if one.standard_error is not None]).square().mean(0).sqrt()
    ratio = (claimed / spread).mean((-2, -1))
    assert ((ratio - 1).abs() < tolerance).all(), ratio


def test_the_standard_error_falls_with_the_root_of_the_masks() -> None:
    few, many = runs(200, 1)[0].standard_error, runs(3200, 1)[0].standard_error
    assert few is not None
    assert many is not None
    assert float((few / many).mean()) == pytest.approx(4, rel=0.1)


def test_halves_are_the_maps_of_even_and_of_odd_masks(encoder: FrozenEncoder, explicands: Tensor, targets: DirectionTarget) -> None:
    baseline = torch.zeros_like(explicands)
    method = Rise(num_masks=21, grid_size=3)
    sums = method.sums(lambda x, rows: targets(encoder(x), rows), explicands, baseline, seed=4, chunk_size=10)
    assert sums.num.tolist() == [11, 10]
    weighted = sums.num / sums.num.sum()
    total = (sums.product / sums.num.view(2, 1, 1, 1, 1) * weighted.view(2, 1, 1, 1, 1)).sum(0)
    torch.testing.assert_close(total, sums.product.sum(0) / 21)
    coverage = sums.mask.sum(0) / 21
    whole = (total - (sums.score.sum(0) / 21)[..., None, None] * coverage) / coverage
    torch.testing.assert_close(sums.attribution(), whole.float())
    assert sums.halves().shape == (2, *sums.attribution().shape)


def test_reliability_is_the_correlation_of_independent_runs() -> None:
    found = runs(64, 160)
    maps = torch.stack([one.maps for one in found]).flatten(3).numpy()  # (S, K, N, P)
    for k in range(2):
        correlations = [float(np.corrcoef(maps[i, k, 0], maps[i + 1, k, 0])[0, 1]) for i in range(0, 160, 2)]
        claimed = np.array([float(one.reliability[k, 0]) for one in found if one.reliability is not None])
        halves = (claimed / (2 - claimed)).mean()  # back to the correlation of halves, whose mean is free of the step-up's curvature
        assert 2 * halves / (1 + halves) == pytest.approx(np.mean(correlations), abs=0.06)


def test_a_constant_score_repeats_exactly() -> None:
    one = runs(64, 1, score_fn=lambda images, rows: torch.ones(len(images), 2))[0]
    assert not one.maps.any()
    assert one.standard_error is not None
    assert one.reliability is not None
    assert not one.standard_error.any()
    assert one.reliability.tolist() == [[1.0], [1.0]]


def test_it_stops_at_the_precision_asked_for_with_a_prefix_of_the_masks() -> None:
    image = torch.rand(2, 3, 12, 12, generator=torch.Generator().manual_seed(1))
    black = torch.zeros_like(image)
    method = Rise(num_masks=20_000, grid_size=4, precision=0.2)
    found = method.attribute(linear, image, black, seed=0, chunk_size=64)
    assert found.num_samples is not None
    assert 64 <= found.num_samples < 5000
    sums = Rise(num_masks=found.num_samples, grid_size=4).sums(linear, image, black, seed=0, chunk_size=64)
    assert float(sums.relative_error().max()) <= 0.2
    torch.testing.assert_close(found.maps, sums.attribution())
    shorter = Rise(num_masks=found.num_samples - 64, grid_size=4).sums(linear, image, black, seed=0, chunk_size=64)
    assert float(shorter.relative_error().max()) > 0.2
    truth = Rise(num_masks=20_000, grid_size=4)(linear, image, black, seed=9)
    error = (found.maps - truth).square().mean((-2, -1)).sqrt() / truth.std((-2, -1))
    assert error.max() < 0.35  # .2 is the expectation


def test_it_stops_when_the_time_is_over() -> None:
    def slow(images: Tensor, rows: Tensor) -> Tensor:
        time.sleep(0.01)
        return linear(images, rows)

    image = torch.rand(1, 3, 12, 12)
    began = time.monotonic()
    found = Rise(num_masks=100_000, grid_size=4, time_budget=0.1).attribute(slow, image, torch.zeros_like(image), seed=0, chunk_size=32)
    assert time.monotonic() - began < 2
    assert found.num_samples is not None
    assert 32 <= found.num_samples <= 3200
    assert found.num_samples % 32 == 0


def test_a_round_fills_its_passes(encoder: FrozenEncoder) -> None:
    sizes: list[int] = []

    def score(images: Tensor, rows: Tensor) -> Tensor:
        sizes.append(len(images))
        return images.mean((1, 2, 3))[:, None]

    images = torch.rand(5, 3, 9, 9)
    Rise(num_masks=128, grid_size=3)(score, images, torch.zeros_like(images), chunk_size=64)
    assert sizes == [5, *([64, 64, 32] * 4)]


def test_a_removal_that_fills_what_is_left() -> None:
    """A fill by the mean of what is kept stands in for a baseline image."""
    seen: list[tuple[float, float]] = []

    def fill(images: Tensor, keep: Tensor) -> Tensor:
        seen.append((float(keep.min()), float(keep.max())))
        mean = (images * keep).sum((2, 3), keepdim=True) / keep.sum((2, 3), keepdim=True).clamp_min(1e-6)
        return torch.lerp(mean.expand_as(images), images, keep)

    image = torch.rand(2, 3, 8, 8)
    maps = Rise(num_masks=64, grid_size=4)(linear, image, fill)
    assert maps.shape == (2, 2, 8, 8)
    assert maps.std() > 0
    assert all(low >= 0 and high <= 1 for low, high in seen)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_masks": 1}, "num_masks=1: must be at least 2"),
        ({"grid_size": 0}, "grid_size=0"),
        ({"keep_prob": 1.0}, "keep_prob=1.0: must lie between 0 and 1"),
        ({"estimator": "centered"}, "estimator=centered: unknown; .*did you mean 'centred'"),
        ({"precision": 0.0}, "precision=0.0: must be greater than 0"),
        ({"time_budget": -1.0}, "time_budget=-1.0: must be greater than 0"),
        ({"precision": math.nan}, "precision=nan: must be greater than 0"),
    ],
)
def test_options_out_of_range(options: dict[str, float], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Rise(**options)  # type: ignore[arg-type]
