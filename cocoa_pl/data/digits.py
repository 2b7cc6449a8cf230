"""Real handwritten digits drawn on cluttered backgrounds: what generated scenes are made of.

Digits come from scikit-learn (UCI ML hand-written digits, 8 x 8 pixels). The first 1400 are used for training images only, the rest for
validation images only.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from cocoa_pl.rng import counter_uniform

_NUM_TRAIN_DIGITS = 1400
MASK_THRESHOLD = 0.4
"""Opacity above which a pixel belongs to a digit."""


def digits(split: str) -> tuple[Tensor, Tensor]:
    """The digits of a split as (n, 8, 8) floats in [0, 1], and their labels."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    images = torch.from_numpy(bunch.images).float() / 16
    labels = torch.from_numpy(bunch.target).long()
    part = slice(None, _NUM_TRAIN_DIGITS) if split == "train" else slice(_NUM_TRAIN_DIGITS, None)
    return images[part], labels[part]


def placed(chosen: Tensor, *, extent: Tensor, x: Tensor, y: Tensor, size: int) -> Tensor:
    """Opacity (n, S, S) of digits (n, 8, 8) enlarged to ``extent`` (n,) pixels, their centres ``x``, ``y`` (n,) pixels from the middle."""
    scale = size / extent
    theta = torch.zeros(len(chosen), 2, 3)
    theta[:, 0, 0] = theta[:, 1, 1] = scale
    theta[:, 0, 2], theta[:, 1, 2] = -x / (size / 2) * scale, -y / (size / 2) * scale
    # bicubic to 4x first: a bilinear enlargement of 8 x 8 pixels shows its grid
    smooth = F.interpolate(chosen[:, None], scale_factor=4, mode="bicubic", align_corners=False).clamp(0, 1)
    grid = F.affine_grid(theta, [len(chosen), 1, size, size], align_corners=False)
    return F.grid_sample(smooth, grid, mode="bilinear", padding_mode="zeros", align_corners=False)[:, 0]


def clutter(ids: Tensor, size: int, *, seed: int, strength: float) -> tuple[Tensor, Tensor]:
    """Low-frequency noise (n, 3, S, S) around a background's colour, and the pixel noise to be added last."""
    coarse = counter_uniform(seed, 1, ids, num=3 * 5 * 5).view(-1, 3, 5, 5) - 0.5
    low = F.interpolate(coarse, size=(size, size), mode="bicubic", align_corners=False)
    fine = counter_uniform(seed, 2, ids, num=3 * size * size).view(-1, 3, size, size) - 0.5
    return 2 * strength * low, 0.3 * strength * fine
