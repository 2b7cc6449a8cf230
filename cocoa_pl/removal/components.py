"""Removal of one component of an image: its colour, its texture or its shape.

The other two components stay, so that an attribution with such a baseline shows where the score rests on the missing one. The three
components are those of Yarici, Kokilepersaud, Prabhushankar & AlRegib, "Explaining representation learning with perceptual components",
ICIP 2024.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from cocoa_pl.errors import ConfigError, DataError
from cocoa_pl.optional import require
from cocoa_pl.rng import generator

_LUMINANCE = (0.2126, 0.7152, 0.0722)
_SMALLEST = 32  # pixels: a smaller image has its texture at the scale of pixels too


@dataclass(frozen=True)
class Grayscale:
    """Colour removed: every absent pixel is the grey of its own luminance.

    Values are decoded to linear light, weighted to the luminance Y = .2126 R + .7152 G + .0722 B and encoded again (sRGB, IEC 61966-2-1).
    The weighted sum of encoded values that augmentations use is cheaper, but makes blue and red darker than they were. Images of one
    channel have no colour and stay as they are.

    Example:
        >>> blue = torch.tensor([0.0, 0.0, 1.0]).view(1, 3, 1, 1)
        >>> [round(value, 3) for value in Grayscale()(blue).flatten().tolist()]
        [0.298, 0.298, 0.298]
    """

    def __call__(self, explicands: Tensor) -> Tensor:
        """Explicands (N, C, H, W) in [0, 1] to their greys.

        Raises:
            DataError: neither 1 nor 3 channels.
        """
        channels = explicands.shape[1]
        if channels == 1:
            return explicands.clone()
        if channels != 3:
            raise DataError(f"images with {channels} channels: removing colour takes 3 (red, green, blue) or 1")
        linear = torch.where(explicands <= 0.04045, explicands / 12.92, ((explicands + 0.055) / 1.055) ** 2.4)
        luminance = (linear * linear.new_tensor(_LUMINANCE)[:, None, None]).sum(dim=1, keepdim=True)
        grey = torch.where(luminance <= 0.0031308, luminance * 12.92, 1.055 * luminance ** (1 / 2.4) - 0.055)
        return grey.clamp(0, 1).repeat(1, 3, 1, 1)


def _restoration() -> Any:
    return require("skimage.restoration", package="scikit-image", what="removing texture needs")


@dataclass(frozen=True)
class Cartoon:
    """Texture removed: absent pixels show the image smoothed between its edges.

    In every channel f the smooth part u minimises TV(u) + |f - u|^2 / (2 w), the total-variation model that parts an image into cartoon and
    texture (Rudin, Osher & Fatemi, Physica D 60, 1992), by Chambolle's projections (JMIV 20, 2004), scikit-image's code on the CPU. The
    weight w is ``strength`` times the shorter side, so that the same picture loses the same texture at any size. One explicand takes 0.2 to
    0.6 s at 224 px and 6 ms at 32 px.

    Args:
        strength: stripes of amplitude a and period p, a share of the shorter side, go where a * p is less than 4 times this.

    Raises:
        ConfigError: the strength is not positive, or scikit-image is not installed.

    Example:
        >>> stripes = 0.5 + 0.05 * (torch.arange(32) % 2 * 2 - 1).expand(1, 1, 32, 32)
        >>> bool(torch.allclose(Cartoon()(stripes), torch.tensor(0.5), atol=0.02))
        True
    """

    strength: float = 0.002

    def __post_init__(self) -> None:
        if not 0 < self.strength < float("inf"):
            raise ConfigError(f"strength={self.strength}: must be greater than 0 and finite")
        _restoration()

    def __call__(self, explicands: Tensor) -> Tensor:
        """Explicands (N, C, H, W) in [0, 1] to images without texture."""
        denoise = _restoration().denoise_tv_chambolle
        weight = self.strength * max(_SMALLEST, min(explicands.shape[-2:]))
        images = explicands.detach().cpu().double().numpy()
        # at scikit-image's own tolerance the projections stop while edges are still blurred
        smooth = [denoise(image, weight=weight, eps=1e-5, max_num_iter=1000, channel_axis=0) for image in images]
        return torch.from_numpy(np.stack(smooth)).to(explicands).clamp(0, 1)


@dataclass(frozen=True)
class ShuffledPatches:
    """Shape removed: absent pixels show the image cut into patches that have changed places.

    Colours and texture stay, in each patch and so in the whole image; what spans several patches goes. One permutation serves all
    explicands. Where sides are no multiple of ``grid_size`` the patches differ by a pixel, and change places with those of their own size:
    no pixel is lost or made up. No patch stays in its place, unless it is the only one of its size.

    Args:
        grid_size: patches along each side.
        seed: of the permutation.

    Raises:
        ConfigError: fewer than two patches along a side.

    Example:
        >>> image = torch.arange(4.0).view(1, 1, 2, 2) / 4
        >>> shuffled = ShuffledPatches(grid_size=2)(image)
        >>> sorted(shuffled.flatten().tolist()), bool((shuffled != image).all())
        ([0.0, 0.25, 0.5, 0.75], True)
    """

    grid_size: int = 4
    seed: int = 0

    def __post_init__(self) -> None:
        if self.grid_size < 2:
            raise ConfigError(f"grid_size={self.grid_size}: must be at least 2 patches along a side")

    def __call__(self, explicands: Tensor) -> Tensor:
        """Explicands (N, C, H, W) to images of the same pixels."""
        source = patch_permutation(*explicands.shape[-2:], grid_size=self.grid_size, seed=self.seed).to(explicands.device)
        return explicands.flatten(2)[:, :, source].view(explicands.shape)


def patch_permutation(height: int, width: int, *, grid_size: int, seed: int) -> Tensor:
    """Where each pixel comes from when patches change places: a permutation of range(H * W), (H * W,) int64."""
    pixels = torch.arange(height * width).view(height, width)
    rows, cols = (torch.tensor([i * side // grid_size for i in range(grid_size + 1)]).diff().tolist() for side in (height, width))
    patches = [patch for band in torch.split(pixels, rows) for patch in torch.split(band, cols, dim=1) if patch.numel()]
    draw, source = generator(seed, "patches"), torch.empty(height * width, dtype=torch.int64)
    for size in {patch.shape: None for patch in patches}:
        alike = [patch for patch in patches if patch.shape == size]
        cycle = torch.randperm(len(alike), generator=draw)
        for here, there in zip(cycle.tolist(), cycle.roll(1).tolist(), strict=True):
            source[alike[here].flatten()] = alike[there].flatten()
    return source
