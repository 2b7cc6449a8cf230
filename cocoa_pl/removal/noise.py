"""Removal by noise: the colours of the picture without its content."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from cocoa_pl.rng import generator


@dataclass(frozen=True)
class Noise:
    """Absent pixels show white noise with each channel's mean and standard deviation in their image.

    The noise is normal and clipped to [0, 1]; it is a function of the seed alone, the same for all explicands before it takes on their
    means and deviations.

    Args:
        seed: of the noise.

    Example:
        >>> flat = torch.full((1, 3, 4, 4), 0.25)
        >>> bool((Noise()(flat) == flat).all())  # no deviation, no noise
        True
    """

    seed: int = 0

    def __call__(self, explicands: Tensor) -> Tensor:
        """Explicands (N, C, H, W) in [0, 1] to noise of the same shape."""
        drawn = torch.randn(explicands.shape[1:], generator=generator(self.seed, "noise removal"))
        std, mean = torch.std_mean(explicands, dim=(2, 3), correction=0, keepdim=True)
        return torch.addcmul(mean, drawn.to(explicands), std).clamp(0, 1)
