"""The masks of RISE (Petsiuk, Das & Saenko, BMVC 2018): each a function of (seed, its number) alone."""

from __future__ import annotations

import math
from functools import cache

import torch
from torch import Tensor

from cocoa_pl.attributions.reliability import independent_directions
from cocoa_pl.rng import counter_uniform

_MASKS, _SIDE = 1024, 64  # enough masks, and pixels along a side, to tell how masks vary


def rise_masks(indices: Tensor, *, seed: int, height: int, width: int, grid_size: int = 7, keep_prob: float = 0.5) -> Tensor:
    """Masks number ``indices`` of the sequence ``seed``.

    A mask is a grid of cells, each kept with ``keep_prob``, enlarged bilinearly and shifted by its own random part of a cell.

    Args:
        indices: (m,) int64.
        seed: which sequence.
        height: in pixels.
        width: in pixels; a wide image gets more columns, so that cells stay square.
        grid_size: cells along the shorter side; where it does not divide the side, cells are rounded up and the last one is cut.
        keep_prob: share of cells kept.

    Returns:
        (m, H, W) floats in [0, 1], 1 where the pixel is kept.
    """
    cell = math.ceil(min(height, width) / grid_size)
    rows, cols = math.ceil(height / cell) + 1, math.ceil(width / cell) + 1
    draw = counter_uniform(seed, indices, num=2 + rows * cols)
    bits = (draw[:, 2:] < keep_prob).float().view(-1, rows, cols)
    return _interpolation(draw[:, 0], height, rows, cell) @ bits @ _interpolation(draw[:, 1], width, cols, cell).mT


@cache
def mask_directions(height: int, width: int, *, grid_size: int, keep_prob: float) -> float:
    """In how many independent directions masks vary about their mean, and so the error of a map of RISE.

    Example:
        >>> round(mask_directions(32, 32, grid_size=4, keep_prob=0.5))
        17
    """
    masks = rise_masks(torch.arange(_MASKS), seed=0, height=height, width=width, grid_size=grid_size, keep_prob=keep_prob)
    step = max(1, min(height, width) // _SIDE)
    varied = (masks - masks.mean(0))[:, ::step, ::step].flatten(1)
    return independent_directions(varied - varied.mean(1, keepdim=True))


def _interpolation(shift: Tensor, pixels: int, cells: int, cell: int) -> Tensor:
    """Weights (m, pixels, cells) of linear interpolation between cell centres, shifted by a share of a cell."""
    axis = (torch.arange(pixels, device=shift.device, dtype=torch.float32) + 0.5) / cell - 0.5
    position = (axis + shift[:, None]).clamp_(0, cells - 1)
    centres = torch.arange(cells, device=shift.device, dtype=torch.float32)
    return (position[:, :, None] - centres).abs_().neg_().add_(1).clamp_min_(0)
