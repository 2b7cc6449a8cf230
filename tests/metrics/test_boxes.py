"""Boxes against scikit-image and torchvision."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torchvision
from skimage import filters, measure
from torch import Tensor

from cocoa_pl.errors import ConfigError, DataError
from cocoa_pl.metrics.boxes import best_box, box_iou, boxes_of_masks, corloc, located
from cocoa_pl.metrics.masks import otsu_threshold

DRAW = torch.Generator().manual_seed(0)
NOISE = torch.randn(5, 12, 17, generator=DRAW)
BIMODAL = NOISE * 0.3 + 4 * (torch.rand(5, 12, 17, generator=DRAW) > 0.7)
SMOOTH = NOISE.cumsum(1).cumsum(2)


def their_box(foreground: np.ndarray) -> tuple[float, ...]:
    regions = measure.regionprops(measure.label(foreground, connectivity=2))
    top, left, bottom, right = max(regions, key=lambda region: region.area).bbox
    return left, top, right, bottom


@pytest.mark.parametrize("maps", [NOISE, BIMODAL, SMOOTH, BIMODAL * 1e-20 - 3e-20])
def test_otsu_equals_scikit_image(maps: Tensor) -> None:
    expected = [filters.threshold_otsu(each.double().numpy()) for each in maps]
    np.testing.assert_allclose(otsu_threshold(maps).numpy(), expected, rtol=1e-5)


@pytest.mark.parametrize("maps", [NOISE, BIMODAL, SMOOTH])
@pytest.mark.parametrize("quantile", [None, 0.0, 0.8, 0.97])
def test_best_box_equals_scikit_image(maps: Tensor, quantile: float | None) -> None:
    for each, box in zip(maps.numpy(), best_box(maps, quantile=quantile).tolist(), strict=True):
        otsu = each > filters.threshold_otsu(each)
        assert tuple(box) == their_box(otsu if quantile is None else each >= np.quantile(each, quantile, method="higher"))


def test_diagonal_neighbours_are_one_component() -> None:
    diagonal = torch.zeros(1, 6, 6)
    diagonal[0, [0, 1, 2], [0, 1, 2]], diagonal[0, 5, 4:] = 1, 1
    assert best_box(diagonal).tolist() == [[0, 0, 3, 3]]


def test_a_flat_map_has_the_whole_image_and_nan_no_box() -> None:
    maps = torch.zeros(3, 4, 6)
    maps[1] = -7.5
    maps[2, 0, 0] = torch.nan
    for quantile in (None, 0.9):
        assert best_box(maps, quantile=quantile)[:2].tolist() == [[0, 0, 6, 4]] * 2
        assert best_box(maps, quantile=quantile)[2].isnan().all()
    assert otsu_threshold(maps)[:2].tolist() == [0, -7.5]
    assert otsu_threshold(maps)[2].isnan()


def test_boxes_of_masks_equal_torchvision() -> None:
    masks = torch.rand(8, 9, 6, generator=DRAW) > 0.95
    masks[:, 3, 2] = True
    inclusive = torchvision.ops.masks_to_boxes(masks)
    assert torch.equal(boxes_of_masks(masks), inclusive + torch.tensor([0, 0, 1, 1]))
    assert len(inclusive.unique(dim=0)) > 3


def test_overlap_equals_torchvision_and_a_count_of_pixels() -> None:
    corners = torch.randint(0, 10, (40, 2, 2, 2), generator=DRAW).sort(2).values
    first, second = (corners[:, i].flatten(1).float() + torch.tensor([0, 0, 1, 1]) for i in range(2))
    torch.testing.assert_close(box_iou(first, second), torchvision.ops.box_iou(first, second).diagonal())
    left, top, right, bottom = first[0].int().tolist()
    pixels = torch.zeros(12, 12, dtype=torch.bool)
    pixels[top:bottom, left:right] = True
    assert torch.equal(boxes_of_masks(pixels[None])[0], first[0])
    with pytest.raises(DataError, match=r"boxes \(40, 4\) and \(3, 4\)"):
        box_iou(first, second[:3])


def test_corloc_asks_for_more_than_the_threshold() -> None:
    maps = torch.zeros(4, 6, 6)
    maps[:, 1:3, 1:5] = 1  # a box of 8 pixels
    boxes = torch.tensor([[1.0, 1, 5, 3], [1, 1, 5, 5], [1, 1, 4, 3], [torch.nan] * 4])  # overlaps 1, 8/16, 6/8, none
    assert corloc(maps, boxes)[:3].tolist() == [1, 0, 1]
    assert corloc(maps, boxes, threshold=0.4)[:3].tolist() == [1, 1, 1]
    assert corloc(maps, boxes)[3].isnan()
    assert located(torch.tensor([0.3, 0.31, torch.nan]), threshold=0.3)[:2].tolist() == [0, 1]


def test_options_out_of_range() -> None:
    with pytest.raises(ConfigError, match="quantile=1: must be at least 0 and below 1"):
        best_box(NOISE, quantile=1)
    with pytest.raises(ConfigError, match="threshold=1: must be"):
        corloc(NOISE, boxes_of_masks(NOISE), threshold=1)
