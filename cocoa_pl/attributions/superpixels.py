"""Superpixels: an image cut into regions that are kept or removed as a whole."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from cocoa_pl.errors import ConfigError, DataError
from cocoa_pl.optional import require

SegmentFn = Callable[[Tensor], Tensor]
"""Images (N, C, H, W) to the superpixel of each pixel, (N, H, W) int64, numbered from 0 without gaps in every image.

It may offer ``most(height, width)``, the most superpixels of an image of that size.
"""


@dataclass(frozen=True)
class Grid:
    """A grid of cells, as equal and as square as the image's sides allow.

    Args:
        grid_size: cells along the shorter side.

    Raises:
        ConfigError: no cell.

    Example:
        >>> Grid(grid_size=2)(torch.zeros(1, 3, 2, 4))[0].tolist()
        [[0, 1, 2, 3], [4, 5, 6, 7]]
    """

    grid_size: int = 7

    def __post_init__(self) -> None:
        if self.grid_size < 1:
            raise ConfigError(f"grid_size={self.grid_size}: must be at least 1 cell along the shorter side")

    def __call__(self, images: Tensor) -> Tensor:
        """Images (N, C, H, W) to cell numbers (N, H, W), row by row.

        Raises:
            DataError: more cells than pixels along the shorter side.
        """
        num, _, height, width = images.shape
        rows, cols = self._cells(height, width)
        down, across = (torch.arange(length, device=images.device) for length in (height, width))
        cells = (down * rows // height)[:, None] * cols + across * cols // width
        return cells.expand(num, -1, -1)

    def most(self, height: int, width: int) -> int:
        """Cells of an image of this size.

        Raises:
            DataError: more cells than pixels along the shorter side.
        """
        rows, cols = self._cells(height, width)
        return rows * cols

    def _cells(self, height: int, width: int) -> tuple[int, int]:
        side = min(height, width)
        if self.grid_size > side:
            raise DataError(f"grid_size={self.grid_size} has more cells than images of {height} x {width} pixels have; take at most {side}")
        rows, cols = (round(self.grid_size * length / side) for length in (height, width))
        return rows, cols


def _segmentation() -> Any:
    return require("skimage.segmentation", package="scikit-image", what="SLIC superpixels need")


@dataclass(frozen=True)
class Slic:
    """Compact regions of like colour, as many as each image has (Achanta et al., TPAMI 2012; scikit-image's code, on the CPU).

    Args:
        num_segments: how many to aim at; there are fewer where regions are not connected, and up to twice as many where they are small.
        compactness: weight of nearness against likeness of colour; larger gives squarer regions.

    Raises:
        ConfigError: an option is not positive, or scikit-image is not installed.

    Example:
        >>> halves = torch.zeros(1, 3, 16, 16)
        >>> halves[..., 8:] = 1
        >>> segments = Slic(num_segments=4)(halves)[0]
        >>> bool((segments[:, 7] != segments[:, 8]).all())  # none reaches across the edge
        True
    """

    num_segments: int = 50
    compactness: float = 20.0

    def __post_init__(self) -> None:
        if self.num_segments < 1:
            raise ConfigError(f"num_segments={self.num_segments}: must be at least 1")
        if not 0 < self.compactness < float("inf"):
            raise ConfigError(f"compactness={self.compactness}: must be greater than 0 and finite")
        _segmentation()

    def __call__(self, images: Tensor) -> Tensor:
        """Images (N, C, H, W) to region numbers (N, H, W), each image by itself.

        Raises:
            DataError: neither 1 nor 3 channels.
        """
        if images.shape[1] not in (1, 3):
            raise DataError(f"images with {images.shape[1]} channels: SLIC takes 1 or 3")
        slic = _segmentation().slic
        colours = images.detach().expand(-1, 3, -1, -1)  # grey as a colour, as compactness is on the scale of Lab
        pictures = colours.permute(0, 2, 3, 1).cpu().double().numpy()
        found = [slic(picture, n_segments=self.num_segments, compactness=self.compactness, channel_axis=-1) for picture in pictures]
        labels = [np.unique(regions, return_inverse=True)[1].reshape(regions.shape) for regions in found]
        return torch.from_numpy(np.stack(labels)).to(images.device, torch.int64)

    def most(self, height: int, width: int) -> int:
        """The most regions that an image of this size can have, about 2 ``num_segments``.

        A connected region of less than half the pixels that a seed has on average joins a neighbour; the one in the corner may have none.
        """
        seeds = require("skimage.util", package="scikit-image", what="SLIC superpixels need").regular_grid(
            (height, width), self.num_segments
        )
        num_seeds = math.prod(len(range(*part.indices(side))) for part, side in zip(seeds, (height, width), strict=True))
        return min(height * width, height * width // max(1, height * width // (2 * num_seeds)) + 1)
