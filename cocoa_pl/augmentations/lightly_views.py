"""Training views made by Lightly, from the options of ``DeviceViews``: one PIL picture at a time, in the data workers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import cast

from lightly.transforms.simclr_transform import SimCLRTransform
from PIL import Image
from torch import Tensor

from cocoa_pl.augmentations.device import DeviceViews
from cocoa_pl.errors import ConfigError

PilViews = Callable[[Image.Image], Sequence[Tensor]]
"""A PIL picture to its views, each (3, S, S) float in [0, 1]."""

_LIGHTLY_RATIO = (3 / 4, 4 / 3)


def lightly_views(options: DeviceViews) -> PilViews:
    """Lightly's ``SimCLRTransform`` with these options; it makes two views and leaves them in [0, 1].

    Raises:
        ConfigError: the crop asks for something Lightly's transform has no option for.
    """
    if options.crop_scale[1] != 1 or options.crop_ratio != _LIGHTLY_RATIO:
        raise ConfigError(
            f"crop_scale {options.crop_scale} with crop_ratio {options.crop_ratio}: Lightly's SimCLRTransform only has a smallest area; "
            "end crop_scale at 1 and leave crop_ratio at 3/4 to 4/3, or make the views on the device (augment.backend=device)"
        )
    transform = SimCLRTransform(
        input_size=options.size,
        cj_prob=options.jitter_prob,
        cj_strength=options.jitter,
        cj_bright=options.brightness,
        cj_contrast=options.contrast,
        cj_sat=options.saturation,
        cj_hue=options.hue,
        min_scale=options.crop_scale[0],
        random_gray_scale=options.grayscale,
        gaussian_blur=options.blur,
        sigmas=options.blur_sigma,
        hf_prob=options.flip,
        normalize=None,
    )
    return cast(PilViews, transform)
