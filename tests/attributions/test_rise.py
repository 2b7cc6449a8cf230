"""RISE against a transcription pixel by pixel, and the laws of its masks."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from cocoa_pl.attributions import Rise
from cocoa_pl.attributions.rise_masks import rise_masks
from cocoa_pl.encoding import FrozenEncoder
from cocoa_pl.errors import DataError
from cocoa_pl.removal import Blur
from cocoa_pl.rng import counter_uniform
from cocoa_pl.targets import DirectionTarget

SHAPES = [(9, 11, 3), (16, 16, 4), (30, 17, 4), (7, 7, 7), (6, 20, 5)]


def slow_mask(index: int, *, seed: int, height: int, width: int, grid_size: int, keep_prob: float) -> np.ndarray:
    """One mask, pixel by pixel: bilinear interpolation between the centres of cells of a grid shifted by part of a cell."""
    cell = math.ceil(min(height, width) / grid_size)
    rows, cols = math.ceil(height / cell) + 1, math.ceil(width / cell) + 1
    draw = counter_uniform(seed, torch.tensor([index]), num=2 + rows * cols)[0].double().numpy()
    kept = (draw[2:] < keep_prob).reshape(rows, cols).astype(float)
    mask = np.zeros((height, width))
    for y in range(height):
        for x in range(width):
            # the place of the pixel's centre in cells, the centre of cell j being j
            v = min(max((y + 0.5) / cell + draw[0], 0.5), rows - 0.5) - 0.5
            u = min(max((x + 0.5) / cell + draw[1], 0.5), cols - 0.5) - 0.5
            i, j = min(int(v), rows - 2), min(int(u), cols - 2)
            a, b = v - i, u - j
            mask[y, x] = (1 - a) * ((1 - b) * kept[i, j] + b * kept[i, j + 1]) + a * ((1 - b) * kept[i + 1, j] + b * kept[i + 1, j + 1])
    return mask


@pytest.mark.parametrize(("height", "width", "grid_size"), SHAPES)
def test_masks_equal_the_transcription(height: int, width: int, grid_size: int) -> None:
    indices = torch.tensor([0, 5, 1234])
    masks = rise_masks(indices, seed=3, height=height, width=width, grid_size=grid_size, keep_prob=0.4)
    for index, mask in zip(indices.tolist(), masks, strict=True):
        slow = slow_mask(index, seed=3, height=height, width=width, grid_size=grid_size, keep_prob=0.4)
        np.testing.assert_allclose(mask.numpy(), slow, atol=2e-6)


@pytest.mark.parametrize("estimator", ["centred", "petsiuk"])
def test_maps_equal_the_transcription(encoder: FrozenEncoder, explicands: Tensor, targets: DirectionTarget, estimator: str) -> None:
    num, baseline = 10, Blur()(explicands)
    method = Rise(num_masks=num, grid_size=3, keep_prob=0.6, estimator=estimator)
    ours = method(lambda x, rows: targets(encoder(x), rows), explicands, baseline, seed=8, chunk_size=4)
    masks = [slow_mask(i, seed=8, height=9, width=11, grid_size=3, keep_prob=0.6) for i in range(num)]
    for n in range(len(explicands)):
        x, b = explicands[n].numpy(), baseline[n].numpy()
        images = torch.tensor(np.stack([mask * x + (1 - mask) * b for mask in masks]), dtype=torch.float32)
        scores = targets(encoder(images), torch.full((num,), n)).double().numpy()
        for k in range(scores.shape[1]):
            if estimator == "petsiuk":
                expected = sum(s * mask for s, mask in zip(scores[:, k], masks, strict=True)) / (num * 0.6)  # equation 6 of the RISE paper
            else:
                covariance = sum((s - scores[:, k].mean()) * mask for s, mask in zip(scores[:, k], masks, strict=True)) / num
                expected = covariance / (sum(masks) / num)
            np.testing.assert_allclose(ours[k, n].numpy(), expected, atol=2e-6)


def test_the_literal_estimator_adds_the_mean_score_times_the_noise_of_the_coverage(
    encoder: FrozenEncoder, explicands: Tensor, targets: DirectionTarget
) -> None:
    sums = Rise(num_masks=40, grid_size=3).sums(lambda x, rows: targets(encoder(x), rows), explicands, torch.zeros_like(explicands))
    centred = sums.attribution(centred=True)
    gap = sums.attribution(centred=False) - centred
    mean_score = (sums.score.sum(0) / 40 + sums.pivot).float()
    coverage = (sums.mask.sum(0) / 40).float()
    expected = (mean_score[..., None, None] + centred) * coverage / 0.5 - centred
    torch.testing.assert_close(gap, expected, atol=1e-5, rtol=0)
    assert gap[[0, 2]].std(dim=(2, 3)).min() > 0.05  # targets without a foil: noise that differs from pixel to pixel
    assert centred[[0, 2]].std(dim=(2, 3)).max() < 0.01


@pytest.mark.parametrize("keep_prob", [0.3, 0.5])
@pytest.mark.parametrize(("height", "width", "grid_size"), SHAPES)
def test_masks_stay_in_range_and_cover_every_pixel_alike(height: int, width: int, grid_size: int, keep_prob: float) -> None:
    masks = rise_masks(torch.arange(3000), seed=0, height=height, width=width, grid_size=grid_size, keep_prob=keep_prob)
    assert masks.shape == (3000, height, width)
    assert masks.min() >= 0
    assert masks.max() <= 1
    error = masks.std(dim=0) / math.sqrt(3000)
    assert ((masks.mean(dim=0) - keep_prob).abs() < 5 * error).all()
    assert masks.std(dim=0).min() > 0.2


def test_a_mask_is_a_function_of_seed_and_number() -> None:
    shape = {"height": 12, "width": 10, "grid_size": 3}
    masks = rise_masks(torch.arange(20), seed=1, **shape)
    torch.testing.assert_close(rise_masks(torch.tensor([17, 4]), seed=1, **shape), masks[[17, 4]], atol=1e-6, rtol=0)
    assert (rise_masks(torch.arange(20), seed=2, **shape) - masks).abs().amax((1, 2)).min() > 0.1
    assert len(torch.unique(masks.flatten(1), dim=0)) == 20


def test_every_mask_has_a_shift_of_its_own() -> None:
    """Slopes change at the centres of cells, so over many masks they change at every phase of a cell."""
    masks = rise_masks(torch.arange(300), seed=0, height=48, width=48, grid_size=4)
    slopes = masks.diff(dim=2).diff(dim=2).abs().amax(dim=1) > 1e-3
    phases = {(int(torch.nonzero(row)[0]) + 1) % 12 for row in slopes if row.any()}
    assert len(phases) == 12


def test_a_wide_picture_gets_square_cells() -> None:
    """A mask correlates with itself over the same distance along both axes."""
    masks = rise_masks(torch.arange(2000), seed=0, height=16, width=48, grid_size=4) - 0.5
    down, across = (masks[:, 4, 20] * masks[:, 7, 20]).mean(), (masks[:, 4, 20] * masks[:, 4, 23]).mean()
    assert abs(down - across) < 0.015
    assert (masks[:, 4, 4] * masks[:, 4, 40]).mean().abs() < 0.02


@pytest.mark.parametrize("chunk_size", [2, 7, 1000])
def test_chunks_do_not_matter(encoder: FrozenEncoder, explicands: Tensor, targets: DirectionTarget, chunk_size: int) -> None:
    def maps(chunk_size: int) -> Tensor:
        return Rise(num_masks=9, grid_size=3)(
            lambda x, rows: targets(encoder(x), rows), explicands, torch.zeros_like(explicands), chunk_size=chunk_size
        )

    torch.testing.assert_close(maps(chunk_size), maps(50), atol=1e-6, rtol=0)


def test_no_pass_is_larger_than_the_chunk(encoder: FrozenEncoder, explicands: Tensor, targets: DirectionTarget) -> None:
    sizes = []

    def score(images: Tensor, rows: Tensor) -> Tensor:
        assert len(images) == len(rows)
        sizes.append(len(images))
        return targets(encoder(images), rows)

    Rise(num_masks=9, grid_size=3)(score, explicands, torch.zeros_like(explicands), chunk_size=2)
    assert max(sizes) == 2
    assert sum(sizes) == 3 * (9 + 1)


def test_a_grid_finer_than_the_picture_is_refused() -> None:
    image = torch.rand(1, 3, 5, 9)
    with pytest.raises(DataError, match="grid_size=6 has more cells than images of 5 x 9 pixels have; take at most 5"):
        Rise(grid_size=6)(lambda x, rows: x.mean((1, 2, 3))[:, None], image, image)
