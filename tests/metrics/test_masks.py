"""Masks of maps against scikit-image, scikit-learn and loops."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from skimage import filters, measure
from sklearn.metrics import jaccard_score
from torch import Tensor

from cocoa_pl.errors import ConfigError, DataError
from cocoa_pl.metrics.boxes import boxes_of_masks
from cocoa_pl.metrics.masks import foreground, largest_component, map_mask, map_mask_iou, mask_iou, mask_or_all

DRAW = torch.Generator().manual_seed(0)
NOISE = torch.randn(6, 11, 15, generator=DRAW)
SMOOTH = NOISE.cumsum(1).cumsum(2)
MASKS = torch.rand(6, 11, 15, generator=DRAW) > 0.6
NOTHING = torch.stack([torch.zeros(11, 15), torch.full((11, 15), 2.5), -SMOOTH[0].abs() - 1])


@pytest.mark.parametrize("maps", [NOISE, SMOOTH, NOISE * 1e-20])
@pytest.mark.parametrize("quantile", [None, 0.6, 0.9])
def test_a_mask_is_what_stands_out_of_the_positive_part(maps: Tensor, quantile: float | None) -> None:
    for each, mask in zip(maps.numpy(), map_mask(maps, quantile=quantile).numpy(), strict=True):
        positive = np.maximum(each, 0)
        if quantile is None:
            expected = positive > filters.threshold_otsu(positive)
        else:
            expected = (positive >= np.quantile(positive, quantile, method="higher")) & (positive > 0)
        np.testing.assert_array_equal(mask, expected)
        assert 0 < mask.sum() < mask.size


def test_a_strong_negative_place_makes_no_mask_of_all_others() -> None:
    dent = torch.full((1, 8, 8), -0.1)
    dent[0, 2:5, 3:7], dent[0, 6, :3] = -9, 1
    assert boxes_of_masks(map_mask(dent)).tolist() == [[0, 6, 3, 7]]
    assert int(foreground(dent).sum()) == 64 - 12


def test_a_quantile_that_zeros_reach_takes_positive_pixels_only() -> None:
    spot = -torch.ones(1, 8, 8)
    spot[0, 2, 3:5] = torch.tensor([1.0, 2.0])
    assert map_mask(spot, quantile=0.5).nonzero().tolist() == [[0, 2, 3], [0, 2, 4]]


def test_maps_that_prefer_no_pixel_have_no_mask() -> None:
    for quantile in (None, 0.0, 0.5):
        assert not map_mask(NOTHING, quantile=quantile).any()
        assert mask_or_all(NOTHING, quantile=quantile).all()


@pytest.mark.parametrize("fault", [torch.nan, torch.inf, -torch.inf])
def test_a_map_that_is_not_finite_has_no_mask_and_the_others_keep_theirs(fault: float) -> None:
    broken = NOISE.clone()
    broken[2, 3, 3] = fault
    for quantile in (None, 0.7):
        found, whole = (map_mask(maps, quantile=quantile) for maps in (broken, NOISE))
        assert not found[2].any()
        assert torch.equal(found[[0, 1, 3, 4, 5]], whole[[0, 1, 3, 4, 5]])


@pytest.mark.parametrize("threshold", [-0.5, 0.3, 1.0])
def test_the_largest_component_equals_that_of_scikit_image(threshold: float) -> None:
    masks = threshold < NOISE
    for mask, kept in zip(masks.numpy(), largest_component(masks.int()).numpy(), strict=True):
        regions = measure.regionprops(measure.label(mask, connectivity=2))
        largest = max(regions, key=lambda region: region.area)
        assert {tuple(place) for place in np.argwhere(kept)} == {tuple(place) for place in largest.coords}
    assert torch.equal(map_mask(NOISE, largest=True), largest_component(map_mask(NOISE)))
    assert not largest_component(torch.zeros(2, 3, 3)).any()


def test_mask_iou_equals_scikit_learn() -> None:
    expected = [jaccard_score(mask.flatten().numpy(), found.flatten().numpy()) for found, mask in zip(NOISE > 0, MASKS, strict=True)]
    np.testing.assert_allclose(mask_iou(NOISE > 0, MASKS).numpy(), expected, rtol=1e-6)
    nothing = torch.zeros_like(MASKS)
    assert mask_iou(nothing, MASKS).tolist() == [0.0] * 6
    assert mask_iou(MASKS, nothing).isnan().all()
    assert mask_iou(MASKS, MASKS).tolist() == [1.0] * 6
    with pytest.raises(DataError, match=r"masks \(6, 11, 14\): both must be"):
        mask_iou(MASKS, MASKS[..., :14])


def test_a_map_without_a_mask_overlaps_as_the_whole_image_does() -> None:
    torch.testing.assert_close(map_mask_iou(NOTHING, MASKS[:3]), MASKS[:3].float().mean((1, 2)))
    torch.testing.assert_close(map_mask_iou(NOISE, MASKS, quantile=0.8), mask_iou(map_mask(NOISE, quantile=0.8), MASKS))
    alone = map_mask_iou(NOISE, MASKS, largest=True)
    torch.testing.assert_close(alone, mask_iou(largest_component(map_mask(NOISE)), MASKS))
    assert not torch.equal(alone, map_mask_iou(NOISE, MASKS))


@pytest.mark.parametrize("quantile", [-0.1, 1.0, float("nan")])
def test_a_quantile_out_of_range_is_refused(quantile: float) -> None:
    with pytest.raises(ConfigError, match=r"quantile=.*: must be at least 0 and below 1"):
        map_mask(NOISE, quantile=quantile)
