"""Removal of colour, texture and shape against scikit-image, and by what must stay and what must go."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import torch
from scipy import ndimage
from skimage import color
from skimage.restoration import denoise_tv_chambolle
from torch import Tensor

from cocoa_pl.errors import ConfigError
from cocoa_pl.removal import Cartoon, Grayscale, ShuffledPatches


def pictures(num: int, height: int, width: int, *, channels: int = 3) -> Tensor:
    return torch.rand(num, channels, height, width, generator=torch.Generator().manual_seed(0))


# colour


def test_grey_has_the_luminance_of_the_colour_and_no_colour() -> None:
    images = pictures(2, 12, 10)
    images[0, :, 0, :8] = torch.tensor([[int(bit) for bit in f"{corner:03b}"] for corner in range(8)]).float().T  # corners of the cube
    images[1] *= 0.04  # the straight part of the curve
    grey = Grayscale()(images)
    for image, baseline in zip(images.double().numpy(), grey.double().numpy(), strict=True):
        lab, grey_lab = (color.rgb2lab(picture, channel_axis=0) for picture in (image, baseline))
        np.testing.assert_allclose(grey_lab[0], lab[0], atol=0.02)  # lightness, of 100
        np.testing.assert_allclose(grey_lab[1:], 0, atol=0.02)
    assert torch.equal(grey, grey[:, :1].expand_as(grey))


def test_what_is_grey_already_stays() -> None:
    image = pictures(1, 6, 7, channels=1)
    assert torch.equal(Grayscale()(image), image)
    torch.testing.assert_close(Grayscale()(image.expand(-1, 3, -1, -1)), image.expand(-1, 3, -1, -1), atol=2e-5, rtol=0)


# texture


def scene(side: int) -> tuple[Tensor, Tensor, Tensor]:
    """Two flat halves with a fine checker on them: picture, halves, checker."""
    y, x = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    halves = torch.where(x < side // 2, 0.25, 0.75).expand(1, 3, -1, -1)
    checker = (0.05 * (1 - 2 * ((y + x) % 2))).expand(1, 3, -1, -1)
    return halves + checker, halves, checker


def test_texture_goes_and_the_edge_stays() -> None:
    picture, halves, checker = scene(32)
    cartoon = Cartoon()(picture)
    assert float((cartoon * checker).mean() / checker.square().mean()) < 0.03  # what is left of the checker
    edge, true_edge = (image[0, 0, :, 16] - image[0, 0, :, 15] for image in (cartoon, halves))
    assert (edge / true_edge).mean() > 0.9
    blurred = ndimage.gaussian_filter(picture.numpy(), (0, 0, 1, 1))
    assert (blurred[0, 0, :, 16] - blurred[0, 0, :, 15]).mean() / 0.5 < 0.5  # a blur that leaves as little of it halves the edge


@pytest.mark.parametrize("side", [32, 48])
def test_cartoon_minimises_its_objective(side: int) -> None:
    image, weight = pictures(1, side, side, channels=1)[0, 0].double().numpy(), 0.002 * side

    def objective(smooth: np.ndarray) -> float:
        down, across = np.diff(smooth, axis=0, append=smooth[-1:]), np.diff(smooth, axis=1, append=smooth[:, -1:])
        return float(np.sqrt(down**2 + across**2).sum() + ((image - smooth) ** 2).sum() / (2 * weight))

    ours = Cartoon()(torch.from_numpy(image)[None, None]).numpy()[0, 0]
    draw = np.random.default_rng(0)
    others = [image, *(ndimage.gaussian_filter(image, sigma) for sigma in (0.3, 0.5, 1, 2))]
    others += [ours + scale * ndimage.gaussian_filter(draw.normal(size=ours.shape), 1) for scale in (-0.02, 0.02) for _ in range(4)]
    others += [image + share * (ours - image) for share in (0.9, 1.1)]
    assert all(objective(ours) < objective(other) for other in others)


def test_channels_and_images_are_smoothed_apart() -> None:
    images = pictures(2, 14, 40)
    smooth = Cartoon(strength=0.005)(images).numpy()
    for n, c in ((0, 0), (0, 2), (1, 1)):
        theirs = denoise_tv_chambolle(images[n, c].double().numpy(), weight=0.005 * 32, eps=1e-5, max_num_iter=1000)
        np.testing.assert_allclose(smooth[n, c], theirs, atol=1e-6)


def test_a_larger_picture_of_the_same_thing_loses_the_same() -> None:
    small = pictures(1, 8, 8).repeat_interleave(5, 2).repeat_interleave(5, 3)
    large = small.repeat_interleave(2, 2).repeat_interleave(2, 3)
    once, twice = Cartoon()(small), Cartoon()(large)
    torch.testing.assert_close(torch.nn.functional.avg_pool2d(twice, 2), once, atol=0.03, rtol=0)
    assert (once - small).abs().max() > 0.1


# shape


@pytest.mark.parametrize(("height", "width", "grid_size"), [(32, 32, 4), (8, 9, 4), (33, 31, 4), (7, 40, 3), (5, 5, 8)])
def test_the_same_pixels_in_other_places_for_all_images_and_channels(height: int, width: int, grid_size: int) -> None:
    number = torch.arange(height * width).view(1, 1, height, width).float()
    images = torch.cat([torch.cat([number, number + 0.25, number + 0.5], dim=1), number.expand(-1, 3, -1, -1) + 0.75])
    shuffled = ShuffledPatches(grid_size)(images)
    source = shuffled[0, 0]
    assert sorted(source.flatten().tolist()) == list(range(height * width))
    torch.testing.assert_close(shuffled - source, images - number)
    assert (source != number[0, 0]).float().mean() > 0.6


@pytest.mark.parametrize(("side", "seed"), [(32, 0), (32, 1), (32, 2), (32, 3), (224, 4)])
def test_patches_stay_whole_and_none_stays_in_its_place(side: int, seed: int) -> None:
    image, size = pictures(1, side, side), side // 4
    shuffled = ShuffledPatches(seed=seed)(image)
    there = [image[:, :, i : i + size, j : j + size] for i in range(0, side, size) for j in range(0, side, size)]
    here = [shuffled[:, :, i : i + size, j : j + size] for i in range(0, side, size) for j in range(0, side, size)]
    found = [next(k for k, patch in enumerate(there) if torch.equal(patch, one)) for one in here]
    assert sorted(found) == list(range(16))
    assert all(k != place for place, k in enumerate(found))


def test_another_seed_is_another_permutation() -> None:
    image = pictures(1, 16, 16)
    assert torch.equal(ShuffledPatches(seed=3)(image), ShuffledPatches(seed=3)(image))
    assert not torch.equal(ShuffledPatches(seed=3)(image), ShuffledPatches(seed=4)(image))


# options


def test_wrong_options_are_refused() -> None:
    with pytest.raises(ConfigError, match="grid_size=1: must be at least 2 patches along a side"):
        ShuffledPatches(grid_size=1)
    with pytest.raises(ConfigError, match=r"strength=0\.0: must be greater than 0"):
        Cartoon(strength=0.0)


def test_without_scikit_image_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "skimage.restoration", None)
    with pytest.raises(ConfigError, match="removing texture needs scikit-image, which is not installed: pip install scikit-image"):
        Cartoon()
