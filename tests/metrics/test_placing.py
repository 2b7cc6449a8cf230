"""Measures of place against the functions they stand for, loops, and maps whose values are known."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torchvision
from torch import Tensor

from cocoa_pl.errors import ConfigError, DataError
from cocoa_pl.metrics.boxes import boxes_of_masks
from cocoa_pl.metrics.placing import (
    PLACEMENT,
    best_fixed_box,
    centre_boxes,
    larger_on,
    measure_boxes,
    measure_placement,
)

DRAW = torch.Generator().manual_seed(0)
NUM, HEIGHT, WIDTH = 8, 16, 20


def squares(*, seed: int) -> Tensor:
    """Masks (NUM, HEIGHT, WIDTH) of a square of 5 pixels somewhere."""
    masks = torch.zeros(NUM, HEIGHT, WIDTH, dtype=torch.bool)
    draw = np.random.default_rng(seed)
    for mask in masks:
        top, left = draw.integers(HEIGHT - 5), draw.integers(WIDTH - 5)
        mask[top : top + 5, left : left + 5] = True
    return masks


MASKS = squares(seed=0)
NOISE = torch.randn(NUM, HEIGHT, WIDTH, generator=DRAW)


def test_a_map_that_is_the_object_has_it_all() -> None:
    values = measure_placement(MASKS.float() + 0.01 * torch.rand(NUM, HEIGHT, WIDTH, generator=DRAW) - 0.02, MASKS)
    assert tuple(values) == PLACEMENT
    for name in PLACEMENT:
        assert values[name].tolist() == [1.0] * NUM, name


def test_known_values_of_a_map_that_covers_half_of_the_object() -> None:
    masks, maps = torch.zeros(1, 8, 8), torch.full((1, 8, 8), -0.5)
    masks[0, 2:4, 2:6] = 1
    maps[0, 2:4, 4:8], maps[0, 7, 0] = 3.0, 6.0  # half on the object, half beside it, and a far pixel that is the highest
    values = {name: float(value) for name, value in measure_placement(maps, masks).items()}
    assert values["pointing_game"] == 0
    assert values["box_iou"] == pytest.approx(4 / 12)
    assert values["corloc"] == 0
    assert values["energy_inside"] == pytest.approx(12 / 30)
    assert values["mask_iou"] == pytest.approx(4 / 13)
    assert float(measure_placement(maps, masks, largest=True)["mask_iou"]) == pytest.approx(4 / 12)
    # of 8 object pixels 4 tie with 4 of 56 others and are below 1, 4 tie with 51 others and are below 5
    assert values["mask_auroc"] == pytest.approx((4 * (51 + 2) + 4 * 51 / 2) / (8 * 56))


@pytest.mark.parametrize("quantile", [None, 0.9])
def test_a_map_without_a_mask_gets_what_the_whole_image_gets(quantile: float | None) -> None:
    share = torch.full((NUM,), 25 / (HEIGHT * WIDTH))
    for level in (0.0, 1.5, -1.5):
        values = measure_placement(torch.full((NUM, HEIGHT, WIDTH), level), MASKS, quantile=quantile)
        for name in ("pointing_game", "box_iou", "energy_inside", "mask_iou"):
            torch.testing.assert_close(values[name], share)
        assert values["corloc"].tolist() == [0.0] * NUM
        assert values["mask_auroc"].tolist() == [0.5] * NUM


def test_no_object_and_broken_maps_have_no_value_and_the_others_keep_theirs() -> None:
    maps, masks = NOISE.clone(), MASKS.clone()
    maps[1, 0, 0], maps[2, 0, 0], masks[3] = torch.nan, -torch.inf, False
    whole = measure_placement(NOISE, MASKS)
    for name, values in measure_placement(maps, masks).items():
        assert values.isnan().tolist() == [False, True, True, True, *[False] * 4], name
        torch.testing.assert_close(values[4:], whole[name][4:])
    with pytest.raises(DataError, match=r"masks \(8, 16, 19\): both must be"):
        measure_placement(NOISE, MASKS[..., :19])
    with pytest.raises(ConfigError, match="quantile=1"):
        measure_placement(NOISE, MASKS, quantile=1)


def test_batches_are_single_maps_and_scale_plays_no_part() -> None:
    whole = measure_placement(NOISE, MASKS, quantile=0.8)
    for n in range(NUM):
        alone = measure_placement(NOISE[n : n + 1] * 1e-12, MASKS[n : n + 1], quantile=0.8)
        for name in PLACEMENT:
            torch.testing.assert_close(alone[name], whole[name][n : n + 1])


def test_the_centre_box_has_the_mean_size_of_objects_the_form_and_the_middle_of_the_image() -> None:
    masks = squares(seed=1)
    masks[0], masks[1, :10, :8], masks[2] = False, True, torch.eye(HEIGHT, WIDTH, dtype=torch.bool)
    sizes = [(right - left) * (bottom - top) for left, top, right, bottom in boxes_of_masks(masks)[1:].tolist()]
    boxes = centre_boxes(masks)
    assert boxes.shape == (NUM, 4)
    assert (boxes == boxes[0]).all()
    left, top, right, bottom = boxes[0].tolist()
    assert (left + right, top + bottom) == pytest.approx((WIDTH, HEIGHT))
    assert (right - left) / (bottom - top) == pytest.approx(WIDTH / HEIGHT)
    assert (right - left) * (bottom - top) == pytest.approx(np.mean(sizes))
    assert centre_boxes(torch.zeros(2, 4, 4)).isnan().all()


def test_the_best_fixed_box_is_where_most_objects_are_and_beats_the_centre_where_objects_sit_in_corners() -> None:
    masks = torch.zeros(10, 40, 40, dtype=torch.bool)
    masks[:6, 1:13, 2:14], masks[6:, 26:38, 27:39] = True, True
    boxes = best_fixed_box(masks)
    assert (boxes == boxes[0]).all()
    assert (boxes[:, 2:] - boxes[:, :2]).tolist() == [[12, 12]] * 10
    assert measure_boxes(boxes, masks)["corloc"].tolist() == [1] * 6 + [0] * 4
    assert measure_boxes(centre_boxes(masks), masks)["corloc"].sum() == 0


def test_the_best_fixed_box_finds_what_a_search_over_every_pixel_finds_but_for_its_stride() -> None:
    masks = squares(seed=5)
    truth = boxes_of_masks(masks)
    places = [(left, top) for left in range(WIDTH - 4) for top in range(HEIGHT - 4)]
    every = torch.tensor([[left, top, left + 5, top + 5] for left, top in places], dtype=torch.float32)
    most = (torchvision.ops.box_iou(every, truth) > 0.5).float().mean(1).max()
    found = measure_boxes(best_fixed_box(masks), masks)["corloc"]
    assert most - 1 / NUM <= found.mean() <= most
    masks[0] = False
    assert best_fixed_box(masks).isfinite().all()
    assert best_fixed_box(torch.zeros(2, 4, 4)).isnan().all()


def test_boxes_are_measured_as_torchvision_does() -> None:
    masks = squares(seed=3)
    boxes = centre_boxes(masks)
    values = measure_boxes(boxes, masks)
    expected = torchvision.ops.box_iou(boxes, boxes_of_masks(masks)).diagonal()
    torch.testing.assert_close(values["box_iou"], expected)
    assert values["corloc"].tolist() == (expected > 0.5).float().tolist()
    assert measure_boxes(boxes, torch.zeros_like(masks))["corloc"].isnan().all()
    own = measure_boxes(boxes_of_masks(masks), masks)
    assert own["corloc"].tolist() == own["box_iou"].tolist() == [1.0] * NUM


def test_larger_on_compares_means_over_objects() -> None:
    small = torch.zeros_like(MASKS)
    small[:, 0, :3] = True
    expected = [float(m[a].mean() > m[b].mean()) for m, a, b in zip(NOISE, MASKS, small, strict=True)]
    assert larger_on(NOISE, MASKS, small).tolist() == expected
    assert 0 < sum(expected) < NUM
    assert larger_on(NOISE, small, MASKS).tolist() == [1 - value for value in expected]
    assert larger_on(NOISE * 1e-30, MASKS, small).tolist() == expected


def test_larger_on_is_undecided_where_means_tie_and_says_nothing_of_what_is_not_there() -> None:
    other = squares(seed=5)
    assert larger_on(torch.ones(NUM, HEIGHT, WIDTH), MASKS, other).tolist() == [0.5] * NUM
    maps, named, other = NOISE.clone(), MASKS.clone(), other.clone()
    maps[0, 0, 0], named[1], other[2] = torch.nan, False, False
    assert larger_on(maps, named, other).isnan().tolist() == [True, True, True, *[False] * 5]
    with pytest.raises(DataError, match="both must be"):
        larger_on(maps, named, other[:2])
