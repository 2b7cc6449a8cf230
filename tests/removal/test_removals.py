"""Removals against scikit-image and by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import ndimage
from torch import Tensor

from cocoa_pl.removal import Black, Blur, ChannelMean


def pictures(height: int = 12, width: int = 17, *, num: int = 2) -> Tensor:
    return torch.rand(num, 3, height, width, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("shape", [(64, 48), (30, 41)])
@pytest.mark.parametrize("sigma", [1.5, 3.0])
def test_blur_equals_scipy(shape: tuple[int, int], sigma: float) -> None:
    images = pictures(*shape)
    expected = ndimage.gaussian_filter(images.double().numpy(), (0, 0, sigma, sigma), mode="mirror", radius=(0, 0, 10, 10))
    np.testing.assert_allclose(Blur(sigma=sigma)(images).numpy(), expected, atol=1e-5)


def test_blur_at_224_is_the_paper_s() -> None:
    """Kernel of 21 pixels, sigma 5: the response to one bright pixel is the kernel itself."""
    point = torch.zeros(1, 1, 224, 224)
    point[0, 0, 112, 112] = 1
    response = Blur()(point)[0, 0]
    axis = np.arange(-10, 11)
    kernel = np.exp(-(axis**2) / 50)
    kernel /= kernel.sum()
    np.testing.assert_allclose(response[102:123, 102:123].numpy(), np.outer(kernel, kernel), atol=1e-7)
    assert int((response > 0).sum()) == 21 * 21


@pytest.mark.parametrize("shape", [(1, 1), (2, 3), (5, 40)])
def test_blur_works_on_the_smallest_pictures_and_stays_in_range(shape: tuple[int, int]) -> None:
    images = pictures(*shape)
    blurred = Blur()(images)
    assert blurred.shape == images.shape
    assert (blurred.amin((2, 3)) >= images.amin((2, 3)) - 1e-6).all()
    assert (blurred.amax((2, 3)) <= images.amax((2, 3)) + 1e-6).all()


def test_black_is_zero_and_mean_is_each_picture_s_own_colour() -> None:
    images = pictures()
    assert torch.equal(Black()(images), torch.zeros_like(images))
    mean = ChannelMean()(images)
    np.testing.assert_allclose(mean[:, :, 3, 4].numpy(), images.numpy().mean((2, 3)), rtol=1e-6)
    assert torch.equal(mean, mean[:, :, :1, :1].expand_as(images))
    mean[0, 0, 0, 0] = -1  # a tensor of its own, not a view of one value
    assert float(mean[0, 0, 0, 1]) > 0
