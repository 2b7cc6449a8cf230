"""On-device views: laws of their randomness, and each step against torchvision."""

from __future__ import annotations

import colorsys

import pytest
import torch
import torchvision.transforms.functional as TF
from torch import Tensor

from cocoa_pl.augmentations import colour
from cocoa_pl.augmentations.device import DeviceViews, affine, crop_window, gaussian_blur
from cocoa_pl.errors import ConfigError

EVERYTHING = DeviceViews(size=24, crop_scale=(0.2, 0.9), flip=0.5, jitter=1.0, grayscale=0.3, blur=0.5)
NOTHING = DeviceViews(size=24, crop_scale=(1.0, 1.0), crop_ratio=(1.0, 1.0), jitter=0.0, grayscale=0.0)


def pictures(num: int, *, size: int = 24, low: float = 0.0, high: float = 1.0) -> Tensor:
    noise = torch.rand(num, 3, size, size, generator=torch.Generator().manual_seed(0))
    return low + noise * (high - low)


def test_a_view_is_the_same_alone_and_in_any_batch() -> None:
    images, ids = pictures(16), torch.arange(100, 116)
    together = EVERYTHING(images, ids, epoch=3, seed=1, view=0)
    order = torch.tensor([5, 2, 11])
    assert torch.equal(EVERYTHING(images[order], ids[order], epoch=3, seed=1, view=0), together[order])
    assert torch.equal(EVERYTHING(images[7:8], ids[7:8], epoch=3, seed=1, view=0), together[7:8])


@pytest.mark.parametrize("change", [{"epoch": 4}, {"seed": 2}, {"view": 1}])
def test_epoch_seed_and_view_each_change_the_view(change: dict[str, int]) -> None:
    images, ids = pictures(4), torch.arange(4)
    base = {"epoch": 3, "seed": 1, "view": 0}
    difference = (EVERYTHING(images, ids, **base) - EVERYTHING(images, ids, **(base | change))).abs().amax(dim=(1, 2, 3))
    assert (difference > 0.01).all()


def test_views_leave_the_global_generator_alone_and_stay_in_range() -> None:
    before = torch.get_rng_state()
    views = EVERYTHING(pictures(64), torch.arange(64), epoch=0, seed=0, view=0)
    assert torch.equal(torch.get_rng_state(), before)
    assert views.dtype == torch.float32
    assert views.shape == (64, 3, 24, 24)
    assert 0 <= views.min() < views.max() <= 1


def test_no_augmentation_gives_the_picture_back() -> None:
    images = (pictures(3) * 255).round().to(torch.uint8)
    torch.testing.assert_close(NOTHING(images, torch.arange(3), epoch=0, seed=0, view=0), images / 255, atol=2e-6, rtol=0)


def test_flip_of_the_whole_picture_is_a_flip() -> None:
    options = DeviceViews(size=24, crop_scale=(1.0, 1.0), crop_ratio=(1.0, 1.0), jitter=0.0, grayscale=0.0, flip=1.0)
    images = pictures(3)
    torch.testing.assert_close(options(images, torch.arange(3), epoch=0, seed=0, view=0), images.flip(-1), atol=2e-6, rtol=0)


def test_crop_equals_torchvision_away_from_the_window_edge() -> None:
    images = pictures(1, size=32)
    top, left, height, width = 4, 10, 16, 12
    place = torch.tensor([[(left + width / 2) / 16 - 1, (top + height / 2) / 16 - 1]])
    theta = affine(torch.tensor([width / 32]), torch.tensor([height / 32]), place)
    grid = torch.nn.functional.affine_grid(theta, [1, 3, 24, 24], align_corners=False)
    ours = torch.nn.functional.grid_sample(images, grid, padding_mode="border", align_corners=False)
    theirs = TF.resized_crop(images, top, left, height, width, [24, 24], antialias=False)
    torch.testing.assert_close(ours[..., 1:-1, 1:-1], theirs[..., 1:-1, 1:-1], atol=1e-5, rtol=0)


def test_crop_windows_have_the_asked_area_and_stay_inside() -> None:
    draw = torch.rand(5000, 4, generator=torch.Generator().manual_seed(0))
    scale, place = crop_window(draw, area=(0.2, 0.5), ratio=(3 / 4, 4 / 3), aspect=1.5)
    area, ratio = scale.prod(1), 1.5 * scale[:, 0] / scale[:, 1]
    assert 0.2 - 1e-5 <= area.min() < 0.21 < 0.49 < area.max() <= 0.5 + 1e-5
    assert 0.75 - 1e-4 <= ratio.min() < 0.76 < 1.3 < ratio.max() <= 4 / 3 + 1e-4
    assert (place.abs() + scale <= 1 + 1e-6).all()
    assert place.abs().mean() > 0.1


def test_brightness_contrast_and_saturation_equal_torchvision() -> None:
    images = pictures(4, low=0.35, high=0.6)  # no step of the chain leaves [0, 1], where torchvision would clamp
    factors = torch.tensor([[1.2, 0.7, 1.3], [0.8, 1.2, 0.4], [1.0, 1.3, 1.0], [1.3, 1.0, 0.0]])
    params = colour.JitterParams(factors[:, 0], factors[:, 1], factors[:, 2], torch.zeros(4))
    ours = colour.recolour(images, colour.jitter_map(images, params))
    for i, (brightness, contrast, saturation) in enumerate(factors.tolist()):
        theirs = TF.adjust_saturation(TF.adjust_contrast(TF.adjust_brightness(images[i], brightness), contrast), saturation)
        # torchvision's grey weights sum to .9999
        torch.testing.assert_close(ours[i], theirs, atol=2e-4, rtol=0)


def test_hue_is_a_rotation_of_yiq_that_keeps_luminance() -> None:
    turns = torch.tensor([0.0, 0.1, -0.2, 0.5])
    rotate = colour.hue_matrix(turns)
    torch.testing.assert_close(rotate[0], torch.eye(3), atol=1e-5, rtol=0)
    pixel = torch.tensor([0.6, 0.3, 0.45])
    _, i_before, q_before = colorsys.rgb_to_yiq(*pixel.tolist())
    for matrix, turn in zip(rotate, turns.tolist(), strict=True):
        turned = matrix @ pixel
        assert float(torch.tensor(colour.LUMA) @ (turned - pixel)) == pytest.approx(0, abs=1e-3)
        _, i, q = colorsys.rgb_to_yiq(*turned.tolist())
        expected = complex(i_before, q_before) * torch.exp(torch.tensor(2j * torch.pi * turn)).item()
        assert complex(i, q) == pytest.approx(expected, abs=0.02)  # colorsys rounds the YIQ matrix to two digits


def test_grayscale_equals_torchvision() -> None:
    images = pictures(2)
    ours = colour.recolour(images, colour.grayscale_after(colour.identity_map(2, like=images)))
    torch.testing.assert_close(ours, TF.rgb_to_grayscale(images, num_output_channels=3), atol=1e-5, rtol=0)


def test_blur_equals_torchvision_with_each_its_own_sigma() -> None:
    images, sigma = pictures(3, size=20), torch.tensor([0.1, 0.8, 2.0])
    ours = gaussian_blur(images, sigma, max_sigma=2.0)
    torch.testing.assert_close(ours[0], images[0], atol=1e-6, rtol=0)
    for i in (1, 2):
        reach = int(torch.ceil(3 * sigma[i]))
        theirs = TF.gaussian_blur(images[i], [2 * reach + 1] * 2, [float(sigma[i])] * 2)  # reflects at the edge where ours repeats
        inner = slice(reach, -reach)
        torch.testing.assert_close(ours[i, :, inner, inner], theirs[:, inner, inner], atol=1e-5, rtol=0)


def test_probabilities_are_kept() -> None:
    options = DeviceViews(size=4, crop_scale=(1.0, 1.0), crop_ratio=(1.0, 1.0), jitter=0.0, grayscale=0.3, flip=0.25)
    images = pictures(1, size=4).expand(4000, -1, -1, -1)
    views = options(images, torch.arange(4000), epoch=0, seed=0, view=0)
    grey = (views[:, 0] - views[:, 1]).abs().amax(dim=(1, 2)) < 1e-5
    kept = (views - images).abs().amax(dim=(1, 2, 3)) < 1e-4
    assert float(grey.float().mean()) == pytest.approx(0.3, abs=0.03)
    assert float(kept.float().mean()) == pytest.approx(0.7 * 0.75, abs=0.03)


def test_seen_views_follow_the_options() -> None:
    names = ("original", "flip", "crop", "crop_flip", "grayscale", "jitter", "erase", "rotate90")
    assert [name for name in names if DeviceViews().is_seen(name)] == ["original", "crop", "grayscale", "jitter"]
    assert [name for name in names if NOTHING.is_seen(name)] == ["original"]
    assert [name for name in names if EVERYTHING.is_seen(name)] == ["original", "flip", "crop", "crop_flip", "grayscale", "jitter"]


@pytest.mark.parametrize(
    "wrong", [{"flip": 1.5}, {"crop_scale": (0.5, 0.2)}, {"crop_scale": (0.5, 1.2)}, {"jitter": -1.0}, {"hue": 1.0}, {"size": 0}]
)
def test_options_out_of_range_are_named(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        DeviceViews(**wrong)  # type: ignore[arg-type]
