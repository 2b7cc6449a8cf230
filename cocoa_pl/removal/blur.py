"""Removal by Gaussian blur: the paper's baseline."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class Blur:
    """Gaussian blur of each image.

    At 224 px the paper's kernel of 21 pixels with sigma 5; smaller images get the same blur relative to their size (sigma = side * 5 / 224,
    at least 2 pixels), and borders are reflected.

    Example:
        >>> flat = torch.full((1, 3, 32, 32), 0.25)
        >>> bool(torch.allclose(Blur()(flat), flat))
        True
    """

    sigma: float | None = None

    def __call__(self, explicands: Tensor) -> Tensor:
        side = min(explicands.shape[-2:])
        sigma = self.sigma if self.sigma is not None else max(2.0, side * 5 / 224)
        radius = min(max(1, round(2 * sigma)), side - 1)
        axis = torch.arange(-radius, radius + 1, dtype=explicands.dtype, device=explicands.device)
        kernel = torch.exp(-(axis**2) / (2 * sigma**2))
        kernel = kernel / kernel.sum()
        channels = explicands.shape[1]
        padded = F.pad(explicands, [radius] * 4, mode="reflect")
        rows = F.conv2d(padded, kernel.view(1, 1, -1, 1).expand(channels, 1, -1, 1), groups=channels)
        return F.conv2d(rows, kernel.view(1, 1, 1, -1).expand(channels, 1, 1, -1), groups=channels)
