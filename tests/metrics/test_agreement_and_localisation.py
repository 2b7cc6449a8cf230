"""Agreement and localisation of maps against scipy, scikit-learn, scikit-image and loops."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy import ndimage, stats
from skimage.metrics import structural_similarity
from sklearn.metrics import roc_auc_score
from torch import Tensor

from cocoa_pl.errors import ConfigError, DataError
from cocoa_pl.metrics.agreement import cosine, spearman, ssim, top_overlap
from cocoa_pl.metrics.localisation import border_mask, border_share, dilate, energy_inside, mask_auroc, pointing_game
from cocoa_pl.metrics.maps import average_ranks, rank_spans

DRAW = torch.Generator().manual_seed(0)
TIED, OTHER = (torch.randn(6, 5, 8, generator=DRAW).round(decimals=1) for _ in range(2))
SMOOTH = torch.randn(6, 5, 8, generator=DRAW)
MASKS = torch.rand(6, 5, 8, generator=DRAW) > 0.6


@pytest.mark.parametrize("values", [TIED, SMOOTH, torch.zeros(2, 3, 3)])
def test_ranks_equal_scipy(values: Tensor) -> None:
    expected = stats.rankdata(values.flatten(1).numpy(), axis=1)
    np.testing.assert_array_equal(average_ranks(values.flatten(1)).numpy(), expected)


def test_rank_spans_count_lower_and_not_higher_values() -> None:
    flat = TIED.flatten(1)
    lower, not_higher = rank_spans(flat)
    assert torch.equal(lower, (flat[:, None, :] < flat[:, :, None]).sum(2))
    assert torch.equal(not_higher, (flat[:, None, :] <= flat[:, :, None]).sum(2))
    assert (not_higher - lower).max() > 1


@pytest.mark.parametrize(("first", "second"), [(TIED, OTHER), (SMOOTH, TIED), (SMOOTH, SMOOTH.exp())])
def test_spearman_equals_scipy_with_ties(first: Tensor, second: Tensor) -> None:
    expected = [stats.spearmanr(a.flatten().numpy(), b.flatten().numpy()).statistic for a, b in zip(first, second, strict=True)]
    np.testing.assert_allclose(spearman(first, second).numpy(), expected, atol=1e-6)


def test_cosine_equals_numpy_whatever_the_scale() -> None:
    a, b = SMOOTH.flatten(1).double().numpy(), OTHER.flatten(1).double().numpy()
    expected = (a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)
    np.testing.assert_allclose(cosine(SMOOTH, OTHER).numpy(), expected, atol=1e-6)
    torch.testing.assert_close(cosine(SMOOTH * 1e-25, OTHER * 1e15), cosine(SMOOTH, OTHER))


@pytest.mark.parametrize("agreement", [spearman, cosine])
def test_flat_maps_agree_with_flat_maps_only(agreement: Callable[[Tensor, Tensor], Tensor]) -> None:
    flat = torch.zeros(6, 5, 8)
    assert agreement(flat, flat).tolist() == [1.0] * 6
    assert agreement(flat, SMOOTH).tolist() == [0.0] * 6


@pytest.mark.parametrize("share", [0.05, 0.3, 1.0])
def test_top_overlap_equals_sets_of_pixels(share: float) -> None:
    second = SMOOTH + 0.5 * torch.randn(6, 5, 8, generator=DRAW)
    num = round(share * 40)
    expected = []
    for a, b in zip(SMOOTH, second, strict=True):
        tops = [set(np.argsort(each.flatten().numpy())[-num:].tolist()) for each in (a, b)]
        expected.append(len(tops[0] & tops[1]) / num)
    np.testing.assert_allclose(top_overlap(SMOOTH, second, share=share).numpy(), expected, atol=1e-6)
    assert share == 1 or 0 < sum(expected) < 6


def test_top_overlap_shares_the_last_places_among_ties() -> None:
    first, second = torch.tensor([[[5.0, 1.0, 1.0, 0.0]]]), torch.tensor([[[0.0, 5.0, 4.0, 3.0]]])
    assert float(top_overlap(first, second, share=0.5)) == 0.5  # members 1, 1/2, 1/2, 0 and 0, 1, 1, 0 of k = 2
    assert top_overlap(TIED, TIED).tolist() == [1.0] * 6
    flat = torch.zeros(6, 5, 8)
    assert top_overlap(flat, flat).tolist() == [1.0] * 6
    np.testing.assert_allclose(top_overlap(flat, SMOOTH, share=0.25).numpy(), 0.25, atol=1e-6)
    with pytest.raises(ConfigError, match=r"share=0: must be above 0"):
        top_overlap(flat, flat, share=0)


@pytest.mark.parametrize("noise", [0.1, 1.0, 5.0])
def test_ssim_equals_scikit_image_with_the_windows_of_the_paper(noise: float) -> None:
    first = torch.randn(5, 13, 20, generator=DRAW).cumsum(2)
    second = 40 * (first + noise * torch.randn(5, 13, 20, generator=DRAW))
    expected = [
        structural_similarity(
            (a / a.abs().max()).double().numpy(), (b / b.abs().max()).double().numpy(), data_range=2, gaussian_weights=True, sigma=1.5,
            use_sample_covariance=False,
        )
        for a, b in zip(first, second, strict=True)
    ]  # fmt: skip
    np.testing.assert_allclose(ssim(first, second).numpy(), expected, atol=1e-6)
    assert min(expected) < 0.995


def test_ssim_of_zero_maps_and_of_maps_too_small() -> None:
    zero = torch.zeros(1, 11, 11)
    assert ssim(zero, zero).tolist() == [1.0]
    assert float(ssim(zero, torch.randn(1, 11, 11, generator=DRAW))) < 0.1
    with pytest.raises(DataError, match=r"maps of 5 x 8 pixels: structural similarity wants at least 11 x 11"):
        ssim(SMOOTH, TIED)


@pytest.mark.parametrize("maps", [TIED, SMOOTH])
def test_auroc_equals_scikit_learn(maps: Tensor) -> None:
    expected = [roc_auc_score(mask.flatten().numpy(), a.flatten().numpy()) for a, mask in zip(maps, MASKS, strict=True)]
    np.testing.assert_allclose(mask_auroc(maps, MASKS).numpy(), expected, atol=1e-6)


def test_auroc_of_a_flat_map_says_nothing_and_of_no_object_is_nan() -> None:
    assert mask_auroc(torch.zeros(6, 5, 8), MASKS).tolist() == [0.5] * 6
    full = torch.stack([torch.zeros(5, 8), torch.ones(5, 8)]).bool()
    assert mask_auroc(SMOOTH[:2], full).isnan().all()


def test_pointing_game_looks_at_the_highest_pixel() -> None:
    expected = [float(mask.flatten()[a.flatten().argmax()]) for a, mask in zip(SMOOTH, MASKS, strict=True)]
    assert pointing_game(SMOOTH, MASKS).tolist() == expected
    assert 0 < sum(expected) < 6
    torch.testing.assert_close(pointing_game(torch.ones(6, 5, 8), MASKS), MASKS.float().mean((1, 2)))


def test_energy_equals_a_loop_and_ignores_scale() -> None:
    expected = []
    for a, mask in zip(SMOOTH.tolist(), MASKS.tolist(), strict=True):
        pixels = [(max(v, 0.0), m) for row, flags in zip(a, mask, strict=True) for v, m in zip(row, flags, strict=True)]
        expected.append(sum(v for v, m in pixels if m) / sum(v for v, _ in pixels))
    np.testing.assert_allclose(energy_inside(SMOOTH, MASKS).numpy(), expected, rtol=1e-5)
    np.testing.assert_allclose(energy_inside(SMOOTH * 1e-20, MASKS).numpy(), expected, rtol=1e-5)
    torch.testing.assert_close(energy_inside(-SMOOTH.abs(), MASKS), MASKS.float().mean((1, 2)))


@pytest.mark.parametrize("radius", [0, 1, 1.5, 2, 3.7, 100])
def test_dilation_equals_the_distance_transform(radius: float) -> None:
    sparse = torch.rand(6, 9, 14, generator=torch.Generator().manual_seed(1)) > 0.97
    sparse[2] = False
    far = [ndimage.distance_transform_edt(~mask.numpy()) <= radius if mask.any() else mask.numpy() for mask in sparse]
    assert torch.equal(dilate(sparse, radius), torch.from_numpy(np.stack(far)))
    assert 0 < dilate(sparse, 1).float().mean() < 1


def test_pointing_near_the_object_counts_up_to_the_tolerance() -> None:
    away = [ndimage.distance_transform_edt(~mask.numpy()).flatten() for mask in MASKS]
    distance = [float(each[a.flatten().argmax()]) for each, a in zip(away, -SMOOTH, strict=True)]
    for tolerance in (0, 1, 1.5):
        assert pointing_game(-SMOOTH, MASKS, tolerance=tolerance).tolist() == [float(d <= tolerance) for d in distance]
    assert {d <= 0 for d in distance} == {True, False}
    with pytest.raises(ConfigError, match=r"tolerance=-1: must be a number of pixels"):
        pointing_game(SMOOTH, MASKS, tolerance=-1)


def test_no_object_is_neither_found_nor_missed() -> None:
    masks = MASKS.clone()
    masks[1] = False
    for value in (pointing_game(SMOOTH, masks, tolerance=2), energy_inside(SMOOTH, masks), mask_auroc(SMOOTH, masks)):
        assert value.isnan().tolist() == [False, True, False, False, False, False]


def test_masks_of_another_size_are_refused() -> None:
    with pytest.raises(DataError, match=r"attributions \(6, 5, 8\) and masks \(6, 5, 7\): both must be"):
        energy_inside(SMOOTH, MASKS[..., :7])


@pytest.mark.parametrize(("width", "thickness"), [(0.01, 1), (0.2, 2), (0.49, 5)])
def test_border_share_equals_a_loop(width: float, thickness: int) -> None:
    maps = torch.randn(3, 14, 10, generator=DRAW)
    expected = []
    for image in maps.double().numpy():
        inner = np.abs(image[thickness:-thickness, thickness:-thickness]).sum()
        expected.append(1 - inner / np.abs(image).sum())
    np.testing.assert_allclose(border_share(maps, width=width).numpy(), expected, atol=1e-6)
    np.testing.assert_allclose(border_share(-maps * 1e-30, width=width).numpy(), expected, atol=1e-6)
    area = 1 - (14 - 2 * thickness) * (10 - 2 * thickness) / 140
    assert float(border_mask(14, 10, width=width).double().mean()) == pytest.approx(area)


def test_flat_maps_reach_the_border_by_chance_and_broken_ones_have_no_share() -> None:
    maps = torch.stack([torch.zeros(16, 16), torch.full((16, 16), -3.0), torch.full((16, 16), torch.nan)])
    chance = border_mask(16, 16).float().mean()
    torch.testing.assert_close(border_share(maps), torch.stack([chance, chance, chance * torch.nan]), equal_nan=True)


@pytest.mark.parametrize("width", [0, 0.5, -1, float("nan")])
def test_a_frame_without_an_inside_is_refused(width: float) -> None:
    with pytest.raises(ConfigError, match=r"width=.*: must be above 0 and below 0\.5"):
        border_share(SMOOTH, width=width)
    with pytest.raises(DataError, match=r"both must be \(N, H, W\)"):
        border_share(SMOOTH[0])
