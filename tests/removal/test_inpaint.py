"""Inpainting against OpenCV called by hand, and by what it must do."""

from __future__ import annotations

import sys

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor

from cocoa_pl.attributions import IntegratedGradients, Occlusion
from cocoa_pl.errors import ConfigError, DataError
from cocoa_pl.removal import Blur, ChannelMean, Inpaint


def pictures(num: int, height: int, width: int, *, channels: int = 3) -> Tensor:
    draw = torch.Generator().manual_seed(0)
    return torch.nn.functional.interpolate(torch.rand(num, channels, 4, 4, generator=draw), (height, width), mode="bilinear")


def soft_masks(num: int, height: int, width: int) -> Tensor:
    return pictures(num, height, width, channels=1) * 2 - 0.5


@pytest.mark.parametrize("channels", [1, 3])
def test_equals_opencv_where_removed_and_the_image_where_kept(channels: int) -> None:
    images, keep = pictures(4, 20, 24, channels=channels), soft_masks(4, 20, 24).clamp(0, 1)
    filled = Inpaint(radius=4)(images)(images, keep)
    for n in range(4):
        hole = (keep[n, 0] < 0.5).numpy()
        assert 0 < hole.mean() < 1
        picture = np.round(images[n].permute(1, 2, 0).double().numpy() * 255)
        picture[hole] = np.round(images[n][:, ~torch.from_numpy(hole)].double().mean(1).numpy() * 255)
        theirs = cv2.inpaint(picture.astype(np.uint8), hole.astype(np.uint8), 4, cv2.INPAINT_TELEA).reshape(20, 24, channels) / 255
        np.testing.assert_allclose(filled[n].permute(1, 2, 0).numpy()[hole], theirs[hole], atol=1e-6)
        assert torch.equal(filled[n][:, ~torch.from_numpy(hole)], images[n][:, ~torch.from_numpy(hole)])


def test_a_hole_is_filled_from_its_surroundings() -> None:
    """Far nearer to what was there, in a smooth picture, than blur or mean are: neither of them looks at what is left."""
    images = pictures(3, 32, 32)
    keep = torch.ones(3, 1, 32, 32)
    keep[:, :, 12:19, 10:17] = 0
    hole = keep[0, 0] == 0

    def error(baseline: Tensor) -> float:
        return float((baseline - images)[:, :, hole].abs().mean())

    ours = error(Inpaint()(images)(images, keep))
    assert ours < 0.04
    assert ours < 0.5 * min(error(Blur()(images)), error(ChannelMean()(images)))


def test_what_is_removed_plays_no_part() -> None:
    images, keep = pictures(2, 20, 24), soft_masks(2, 20, 24)
    changed = torch.where(keep < 0.5, torch.rand(images.shape, generator=torch.Generator().manual_seed(1)), images)
    fill = Inpaint()(images)
    torch.testing.assert_close(fill(changed, keep), fill(images, keep), atol=1e-6, rtol=0)


def test_nothing_removed_is_the_image_and_everything_removed_its_mean_colour() -> None:
    images = pictures(2, 9, 8)
    fill = Inpaint()(images)
    assert torch.equal(fill(images, torch.full((2, 1, 9, 8), 0.5)), images)
    nothing = fill(images, torch.full((2, 1, 9, 8), 0.49))
    np.testing.assert_allclose(nothing.numpy(), np.broadcast_to(images.numpy().mean((2, 3), keepdims=True), nothing.shape), atol=1e-6)


def test_a_batch_of_masks_equals_single_fills() -> None:
    images, keep = pictures(5, 20, 24), soft_masks(5, 20, 24)
    keep[3] = 0
    fill = Inpaint()(images)
    assert torch.equal(fill(images, keep), torch.cat([fill(images[n : n + 1], keep[n : n + 1]) for n in range(5)]))


def test_methods_that_mask_take_it_and_methods_that_walk_refuse_it() -> None:
    images = pictures(2, 8, 9)

    def score(images: Tensor, rows: Tensor) -> Tensor:
        return images.square().mean((1, 2, 3))[:, None]

    maps = Occlusion(window=3)(score, images, Inpaint()(images))
    assert maps.abs().amax((2, 3)).min() > 0
    with pytest.raises(DataError, match="needs a baseline image, which the removal InpaintFill has not"):
        IntegratedGradients()(score, images, Inpaint()(images))


@pytest.mark.parametrize("radius", [0, 101])
def test_wrong_options_are_refused(radius: int) -> None:
    with pytest.raises(ConfigError, match=f"radius={radius}: must be at least 1 and at most 100 pixels"):
        Inpaint(radius)


def test_without_opencv_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(
        ConfigError, match="inpainting needs opencv-python-headless, which is not installed: pip install opencv-python-headless"
    ):
        Inpaint()
