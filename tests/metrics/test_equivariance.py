"""Equivariance: maps that are known to follow the picture, and maps that are known not to."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy import ndimage
from torch import Tensor

from cocoa_pl.errors import ConfigError, DataError
from cocoa_pl.metrics.agreement import cosine, spearman, ssim
from cocoa_pl.metrics.equivariance import SYMMETRIES, Flip, Shift, Turn, equivariance, invariance

IMAGES = torch.rand(3, 3, 24, 17, generator=torch.Generator().manual_seed(0))


def local_map(images: Tensor) -> Tensor:
    """The mean over neighbouring pixels: follows every symmetry, up to the border of the picture."""
    return F.avg_pool2d(images.mean(1, keepdim=True), 3, stride=1, padding=1, count_include_pad=False)[:, 0]


def centre_map(images: Tensor) -> Tensor:
    """Always the same place, whatever the picture."""
    y, x = (torch.linspace(-1, 1, size) - 0.3 for size in images.shape[-2:])
    return torch.exp(-(y[:, None] ** 2) - 2 * x**2).expand(len(images), -1, -1)


@pytest.mark.parametrize("agreement", [spearman, cosine, ssim])
@pytest.mark.parametrize("name", [name for name in SYMMETRIES if name != "shift"])
def test_a_map_that_follows_the_picture(name: str, agreement: Callable[[Tensor, Tensor], Tensor]) -> None:
    symmetry = SYMMETRIES[name]
    values = equivariance(local_map(IMAGES), local_map(symmetry.apply(IMAGES)), symmetry, agreement=agreement)
    torch.testing.assert_close(values, torch.ones(3), atol=1e-5, rtol=0)
    still = equivariance(centre_map(IMAGES), centre_map(symmetry.apply(IMAGES)), symmetry, agreement=agreement)
    assert still.max() < 0.97


def test_a_shift_compares_what_both_pictures_show() -> None:
    symmetry, bright = Shift(down=-5, right=3), IMAGES.mean(1)  # a map of single pixels: no border matters
    moved = symmetry.apply(IMAGES).mean(1)
    hidden = ~symmetry.valid(24, 17)
    assert equivariance(bright, moved, symmetry).tolist() == [1.0] * 3
    assert equivariance(bright, moved.masked_fill(hidden, 99.0), symmetry).tolist() == [1.0] * 3
    assert equivariance(bright, bright, symmetry).abs().max() < 0.5


@pytest.mark.parametrize(("down", "right"), [(0, 0), (2, -3), (-5, 4), (23, 16)])
def test_shifts_equal_scipy(down: int, right: int) -> None:
    symmetry, plane = Shift(down, right), IMAGES[0, 0]
    moved = ndimage.shift(plane.numpy(), (down, right), order=0, mode="nearest")
    np.testing.assert_array_equal(symmetry.apply(plane).numpy(), moved)
    shown = ndimage.shift(np.ones((24, 17)), (down, right), order=0, mode="constant", cval=0)
    np.testing.assert_array_equal(symmetry.valid(24, 17).numpy(), shown == 1)


@pytest.mark.parametrize("name", SYMMETRIES)
def test_symmetries_move_pictures_maps_and_masks_alike(name: str) -> None:
    symmetry = SYMMETRIES[name]
    moved = symmetry.apply(IMAGES)
    for n in range(3):
        assert torch.equal(symmetry.apply(IMAGES[n, 1]), moved[n, 1])
    assert symmetry.valid(24, 17).shape == moved.shape[-2:]
    assert torch.equal(symmetry.apply(IMAGES > 0.5), moved > 0.5)
    reference = {"flip": np.fliplr, "flip_vertical": np.flipud, "rotate90": np.rot90}.get(name)
    if reference is not None:
        np.testing.assert_array_equal(symmetry.apply(IMAGES[0, 0]).numpy(), reference(IMAGES[0, 0].numpy()))


def test_invariance_is_the_cosine_of_representations() -> None:
    reps, moved = torch.tensor([[1.0, 0.0], [1.0, 1.0], [0.0, 0.0]]), torch.tensor([[2.0, 0.0], [1.0, -1.0], [0.0, 0.0]])
    assert invariance(reps, moved).tolist() == [1.0, 0.0, 1.0]


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ConfigError, match="quarters=4: must be 1, 2 or 3"):
        Turn(4)
    with pytest.raises(DataError, match=r"a shift by 24 down and 0 right leaves nothing of 24 x 17 pixels"):
        Shift(24, 0).apply(IMAGES)
    with pytest.raises(DataError, match=r"maps \(3, 24, 17\) become \(3, 17, 24\), but"):
        equivariance(local_map(IMAGES), local_map(IMAGES), Turn(1))
    assert Flip() == SYMMETRIES["flip"]
