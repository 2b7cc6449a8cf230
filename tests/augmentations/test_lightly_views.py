"""Lightly's transform from our options."""

from __future__ import annotations

import pytest
import torch
from PIL import Image

from cocoa_pl.augmentations.device import DeviceViews
from cocoa_pl.augmentations.lightly_views import lightly_views
from cocoa_pl.errors import ConfigError


def picture() -> Image.Image:
    noise = torch.randint(0, 256, (40, 40, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    return Image.fromarray(noise.numpy())


def test_two_views_of_the_asked_size_in_range() -> None:
    views = lightly_views(DeviceViews(size=16, flip=0.5, blur=0.5))(picture())
    assert [view.shape for view in views] == [(3, 16, 16)] * 2
    assert all(view.min() >= 0 and view.max() <= 1 for view in views)
    assert not torch.equal(views[0], views[1])


def test_no_augmentation_gives_nearly_the_picture_back() -> None:
    """Lightly's crop keeps its ratio of 3/4 to 4/3 even at full area, so only the colours can be compared."""
    options = DeviceViews(size=40, crop_scale=(0.999, 1.0), jitter_prob=0.0, grayscale=0.0)
    view = lightly_views(options)(picture())[0]
    assert float(view.mean()) == pytest.approx(0.5, abs=0.02)


def test_grayscale_probability_reaches_lightly() -> None:
    view = lightly_views(DeviceViews(size=16, grayscale=1.0, jitter=0.0))(picture())[0]
    assert torch.equal(view[0], view[2])


def test_options_that_lightly_lacks_are_refused() -> None:
    with pytest.raises(ConfigError, match="crop_scale"):
        lightly_views(DeviceViews(crop_scale=(0.2, 0.8)))
