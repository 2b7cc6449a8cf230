"""Whatever one calls an image, as the engine wants it: floats (N, C, H, W) in [0, 1]."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from cocoa_pl.errors import DataError
from cocoa_pl.pictures import to_rgb

_CHANNELS = (1, 3, 4)
_SLACK = 1e-3  # resampling and normalising back overshoot by this much at most; anything more is another scale

Images = Tensor | np.ndarray | Image.Image | list[Any] | tuple[Any, ...]
"""A tensor (N, C, H, W) or (C, H, W), an array (N, H, W, C), (H, W, C) or (H, W), a PIL image, or a list of any of them of one size."""


def as_images(images: Images) -> Tensor:
    """Images of any kind to floats (N, C, H, W) in [0, 1]; a tensor that is so already is returned as it is.

    Bytes are divided by 255. Arrays have channels last, as libraries of pictures give them, tensors channels first. PIL images are turned
    upright and made RGB.

    Raises:
        DataError: no image, images of several sizes, another shape, NaN, or floats outside [0, 1].

    Example:
        >>> as_images(np.zeros((5, 8, 3), dtype=np.uint8)).shape
        torch.Size([1, 3, 5, 8])
        >>> as_images(torch.full((2, 3, 4, 4), 200.0))
        Traceback (most recent call last):
        ...
        cocoa_pl.errors.DataError: images hold values from 200 to 200: must lie in [0, 1]; the encoder normalises by its own mean and std
    """
    if isinstance(images, list | tuple):
        if len(images) == 0:
            raise DataError("no image: the list is empty")
        each = [as_images(image) for image in images]
        sizes = {tuple(image.shape[1:]) for image in each}
        if len(sizes) > 1:
            raise DataError(f"images of several sizes {sorted(sizes)}: resize them to one")
        return torch.cat(each)
    tensor = _first_tensor(images)
    if tensor.ndim == 3:
        tensor = tensor[None]
    if tensor.ndim != 4 or tensor.numel() == 0:
        raise DataError(f"images {tuple(tensor.shape)}: must be (N, C, H, W) with N at least 1")
    return _unit_range(tensor)


def _first_tensor(images: Any) -> Tensor:
    """An image or a stack of them as a tensor with channels first, values as they are."""
    if isinstance(images, Image.Image):
        images = np.asarray(to_rgb(ImageOps.exif_transpose(images)))
    if isinstance(images, np.ndarray):
        if images.ndim == 2:
            images = images[:, :, None]
        if images.ndim not in (3, 4) or images.shape[-1] not in _CHANNELS:
            raise DataError(f"array {images.shape}: must have channels last, (H, W, C) or (N, H, W, C) with C one of {_CHANNELS}")
        if images.dtype == np.uint16:
            images = images.astype(np.float32) / 65535
        return torch.from_numpy(np.ascontiguousarray(np.moveaxis(images, -1, -3)))
    if not isinstance(images, Tensor):
        raise DataError(f"an image cannot be a {type(images).__name__}: must be a tensor, a numpy array, a PIL image or a list of them")
    return images


def _unit_range(images: Tensor) -> Tensor:
    if images.dtype == torch.uint8:
        return images.float() / 255
    if not images.is_floating_point():
        raise DataError(f"images of type {images.dtype}: must be floats in [0, 1] or bytes")
    low, high = (float(value) for value in images.aminmax())
    if not (np.isfinite(low) and np.isfinite(high)):
        raise DataError("images hold NaN or infinite pixels")
    if low < -_SLACK or high > 1 + _SLACK:
        raise DataError(
            f"images hold values from {low:.3g} to {high:.3g}: must lie in [0, 1]; the encoder normalises by its own mean and std"
        )
    return images.float()
