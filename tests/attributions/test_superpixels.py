"""Superpixels: the grid cell by cell, SLIC by what superpixels must be."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import torch
from skimage.measure import label
from torch import Tensor

from cocoa_pl.attributions import Grid, Slic
from cocoa_pl.errors import ConfigError, DataError


def blobs(num: int, height: int, width: int, *, channels: int = 3) -> Tensor:
    """Smooth pictures, each with structure of another scale."""
    draw = torch.Generator().manual_seed(0)
    coarse = [torch.rand(1, channels, 2 + n, 2 + n, generator=draw) for n in range(num)]
    return torch.cat([torch.nn.functional.interpolate(c, (height, width), mode="bilinear") for c in coarse])


@pytest.mark.parametrize(("shape", "grid_size", "cells"), [
    ((8, 9), 7, (7, 8)), ((32, 32), 7, (7, 7)), ((6, 24), 3, (3, 12)), ((24, 6), 3, (12, 3)), ((1, 1), 1, (1, 1)), ((5, 5), 5, (5, 5)),
])  # fmt: skip
def test_grid_cells_are_equal_to_a_pixel_and_numbered_row_by_row(shape: tuple[int, int], grid_size: int, cells: tuple[int, int]) -> None:
    segments = Grid(grid_size)(torch.zeros(2, 3, *shape))
    assert segments.shape == (2, *shape)
    assert torch.equal(segments[0], segments[1])
    rows, cols = (segments[0].numpy() // cells[1], segments[0].numpy() % cells[1])
    assert np.unique(segments[0]).tolist() == list(range(cells[0] * cells[1]))
    assert (rows == rows[:, :1]).all()
    assert (cols == cols[:1]).all()
    for line, length, number in ((rows[:, 0], shape[0], cells[0]), (cols[0], shape[1], cells[1])):
        assert (np.diff(line) >= 0).all()
        assert set(np.bincount(line)) <= {length // number, -(-length // number)}


@pytest.mark.parametrize("channels", [1, 3])
def test_slic_regions_are_connected_and_numbered_without_gaps_and_their_number_is_the_image_s_own(channels: int) -> None:
    segments = Slic(num_segments=30, compactness=5)(blobs(4, 40, 48, channels=channels))
    assert segments.shape == (4, 40, 48)
    assert segments.dtype == torch.int64
    counts = []
    for one in segments.numpy():
        numbers = np.unique(one)
        counts.append(len(numbers))
        assert numbers.tolist() == list(range(len(numbers)))
        for number in numbers:
            assert label(one == number, connectivity=1).max() == 1
    assert 15 <= min(counts) <= max(counts) <= 40
    assert len(set(counts)) > 1


def test_slic_regions_stop_at_edges() -> None:
    image = torch.zeros(1, 3, 32, 32)
    y, x = torch.meshgrid(torch.arange(32), torch.arange(32), indexing="ij")
    disc = (y - 15.5) ** 2 + (x - 13.5) ** 2 < 90
    image[:, 0, disc] = 1
    segments = Slic(num_segments=20)(image)[0]
    mixed = [number for number in segments.unique() if 0 < disc[segments == number].float().mean() < 1]
    assert mixed == []


@pytest.mark.parametrize("shape", [(1, 1), (2, 3), (8, 9), (40, 7)])
def test_slic_takes_the_smallest_pictures(shape: tuple[int, int]) -> None:
    images = torch.rand(2, 3, *shape, generator=torch.Generator().manual_seed(0))
    segments = Slic()(images.permute(0, 1, 3, 2).contiguous().permute(0, 1, 3, 2))  # not contiguous
    assert segments.shape == (2, *shape)
    assert torch.equal(segments, Slic()(images))
    assert torch.equal(torch.cat([Slic()(image[None]) for image in images]), segments)


@pytest.mark.parametrize("shape", [(1, 1), (8, 9), (16, 32), (33, 20), (40, 7)])
@pytest.mark.parametrize("num", [1, 6, 50, 200])
def test_no_image_has_more_superpixels_than_said(shape: tuple[int, int], num: int) -> None:
    noise = torch.rand(4, 3, *shape, generator=torch.Generator().manual_seed(0))
    for compactness in (0.1, 20, 1000):
        method = Slic(num, compactness)
        assert method(torch.cat([noise, blobs(4, *shape)])).max() < method.most(*shape) <= shape[0] * shape[1]
    assert Slic(num).most(224, 224) <= 2.5 * num + 2
    cells = min(num, *shape)
    assert Grid(cells)(noise).max() + 1 == Grid(cells).most(*shape)


def test_wrong_options_are_refused() -> None:
    with pytest.raises(ConfigError, match="grid_size=0: must be at least 1 cell"):
        Grid(grid_size=0)
    with pytest.raises(DataError, match="grid_size=6 has more cells than images of 5 x 9 pixels have; take at most 5"):
        Grid(grid_size=6)(torch.zeros(1, 3, 5, 9))
    with pytest.raises(ConfigError, match="num_segments=0: must be at least 1"):
        Slic(num_segments=0)
    with pytest.raises(ConfigError, match=r"compactness=0\.0: must be greater than 0"):
        Slic(compactness=0.0)
    with pytest.raises(DataError, match="images with 4 channels: SLIC takes 1 or 3"):
        Slic()(torch.zeros(1, 4, 8, 8))


def test_without_scikit_image_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "skimage.segmentation", None)
    with pytest.raises(ConfigError, match="SLIC superpixels need scikit-image, which is not installed: pip install scikit-image"):
        Slic()
