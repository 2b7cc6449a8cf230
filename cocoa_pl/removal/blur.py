"""Removal by Gaussian blur: the paper's baseline."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from cocoa_pl.errors import ConfigError


@dataclass(frozen=True)
class Blur:
    """Gaussian blur of each image.

    The paper's kernel of 21 pixels with sigma 5, at 224 and at 32 px alike; borders are reflected. Images too small for the kernel get
    the largest one that fits.

    Args:
        sigma: standard deviation in pixels.
        radius: the kernel has 2 radius + 1 pixels on a side.

    Raises:
        ConfigError: sigma or radius is not positive.

    Example:
        >>> flat = torch.full((1, 3, 32, 32), 0.25)
        >>> bool(torch.allclose(Blur()(flat), flat))
        True
    """

    sigma: float = 5.0
    radius: int = 10

    def __post_init__(self) -> None:
        if not 0 < self.sigma < float("inf"):
            raise ConfigError(f"sigma={self.sigma}: must be greater than 0 and finite")
        if self.radius < 1:
            raise ConfigError(f"radius={self.radius}: must be at least 1 pixel")

    def __call__(self, explicands: Tensor) -> Tensor:
        """Explicands (N, C, H, W) to blurred images."""
        radius = min(self.radius, min(explicands.shape[-2:]) - 1)
        axis = torch.arange(-radius, radius + 1, dtype=explicands.dtype, device=explicands.device)
        kernel = torch.exp(-(axis**2) / (2 * self.sigma**2))
        kernel = kernel / kernel.sum()
        channels = explicands.shape[1]
        padded = F.pad(explicands, [radius] * 4, mode="reflect")
        rows = F.conv2d(padded, kernel.view(1, 1, -1, 1).expand(channels, 1, -1, 1), groups=channels)
        return F.conv2d(rows, kernel.view(1, 1, 1, -1).expand(channels, 1, 1, -1), groups=channels)
