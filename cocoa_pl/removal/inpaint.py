"""Removal by inpainting: what was removed is filled from what is left around it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from cocoa_pl.errors import ConfigError, DataError
from cocoa_pl.optional import require


def _opencv() -> Any:
    return require("cv2", package="opencv-python-headless", what="inpainting needs")


@dataclass(frozen=True)
class InpaintFill:
    """A :class:`~cocoa_pl.types.Fill` that carries the surroundings of a hole inwards, by Telea's fast marching method.

    A. Telea, "An image inpainting technique based on the fast marching method", Journal of Graphics Tools 9(1), 2004; OpenCV's code. Pixels
    kept to less than a half are removed, so soft masks become binary. Kept pixels are returned as they are; filled ones have 8 bits, as
    OpenCV's result for floats leaves their range. Where nothing is kept there are no surroundings: such an image gets its mean colour.

    Args:
        radius: how far around a pixel to look for its colour, in pixels.
    """

    radius: int = 3

    def __call__(self, images: Tensor, keep: Tensor) -> Tensor:
        """Images (B, C, H, W) with 1 or 3 channels, keep (B, 1, H, W) to images (B, C, H, W), on the device of the images.

        Raises:
            DataError: neither 1 nor 3 channels.
        """
        if images.shape[1] not in (1, 3):
            raise DataError(f"images with {images.shape[1]} channels: inpainting takes 1 or 3")
        removed = keep < 0.5
        cv2 = _opencv()
        # OpenCV lets what lies in a hole show through by a few levels, so what is left is all that it gets to see
        left = images.detach().masked_fill(removed, 0)
        mean_left = left.sum(dim=(2, 3), keepdim=True) / (~removed).sum(dim=(2, 3), keepdim=True).clamp_min(1)
        seen = (torch.where(removed, mean_left, left) * 255).round().clamp(0, 255).byte()
        pictures = np.ascontiguousarray(seen.permute(0, 2, 3, 1).cpu().numpy())
        holes = removed[:, 0].byte().cpu().numpy()
        with ThreadPoolExecutor() as pool:  # OpenCV works without Python's lock
            filled = list(pool.map(lambda pair: cv2.inpaint(*pair, self.radius, cv2.INPAINT_TELEA), zip(pictures, holes, strict=True)))
        surroundings = torch.from_numpy(np.stack(filled).reshape(pictures.shape)).permute(0, 3, 1, 2).to(images) / 255
        nothing_left = removed.all(dim=3, keepdim=True).all(dim=2, keepdim=True)
        filling = torch.where(nothing_left, images.mean(dim=(2, 3), keepdim=True), surroundings)
        return torch.where(removed, filling, images)


@dataclass(frozen=True)
class Inpaint:
    """Absent pixels are inpainted from those that are left (Telea's method).

    The removal depends on the mask, so it is for methods that mask images, not for those that walk from a baseline to the explicand. It
    works on the CPU. On one core an image of 224 x 224 pixels takes 12 ms with a tenth of it removed and 50 ms with nine tenths, one of
    32 x 32 pixels less than 1 ms; all cores work at once.

    Args:
        radius: how far around a pixel to look for its colour, in pixels.

    Raises:
        ConfigError: the radius is out of range, or OpenCV is not installed.

    Example:
        >>> image = torch.full((1, 3, 8, 8), 0.6)
        >>> keep = torch.ones(1, 1, 8, 8)
        >>> keep[..., 2:5, 3:6] = 0
        >>> bool(torch.allclose(Inpaint()(image)(image, keep), image, atol=0.01))
        True
    """

    radius: int = 3

    def __post_init__(self) -> None:
        if not 1 <= self.radius <= 100:
            raise ConfigError(f"radius={self.radius}: must be at least 1 and at most 100 pixels")
        _opencv()

    def __call__(self, explicands: Tensor) -> InpaintFill:
        """The fill, the same for all explicands."""
        return InpaintFill(self.radius)
