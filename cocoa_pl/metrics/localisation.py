"""Does the attribution lie on the object, or on the border? Pure functions of attributions and masks, one value an explicand.

Conventions for flat maps, NaN and empty masks: :mod:`cocoa_pl.metrics.maps`. Chance is the share of the image that the object, or the
border, takes.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from cocoa_pl.errors import ConfigError
from cocoa_pl.metrics.grid_pointing import half_preference as half_preference
from cocoa_pl.metrics.maps import average_ranks, check_same_shape, precise, settle, unit_peak


def pointing_game(attributions: Tensor, masks: Tensor, *, tolerance: float = 0) -> Tensor:
    """1 where the highest attribution lies on the object (Zhang et al., IJCV 2018); (N, H, W) twice to (N,). Higher is better.

    The original counts a hit up to 15 px from the object, on images of about 500 px: 3 % of the side. The default is strict. Pixels that
    tie for the highest count by their share of hits, so a flat map gets what a random point would.

    Args:
        attributions: (N, H, W), signed.
        masks: (N, H, W), 1 on the object.
        tolerance: pixels between the highest attribution and the object that still count as a hit (Euclidean).

    Raises:
        DataError: shapes that do not fit.
        ConfigError: a negative tolerance.

    Example:
        >>> maps, masks = torch.tensor([[[0.0, 0.0, 9.0]]]), torch.tensor([[[1, 0, 0]]])
        >>> [float(pointing_game(maps, masks, tolerance=px)) for px in (0, 1, 2)]
        [0.0, 0.0, 1.0]
    """
    check_same_shape(attributions, masks, what="masks")
    flat, inside = attributions.flatten(1), dilate(masks, tolerance).flatten(1)
    top = flat == flat.amax(dim=1, keepdim=True)
    return settle((top & inside).sum(1) / top.sum(1).clamp_min(1), attributions, masks=masks)


def energy_inside(attributions: Tensor, masks: Tensor) -> Tensor:
    """Share of the positive attribution that lies on the object (Wang et al., CVPRW 2020); (N, H, W) twice to (N,). Higher is better.

    Negative attribution counts for nothing, inside or outside: it says where the score would rise without the pixel. A map without
    positive values gives the object's share of the image.
    """
    check_same_shape(attributions, masks, what="masks")
    positive, inside = unit_peak(attributions).clamp_min(0).flatten(1), precise(masks != 0).flatten(1)
    total = positive.sum(1)
    return settle(torch.where(total > 0, (positive * inside).sum(1) / total.where(total > 0, 1), inside.mean(1)), attributions, masks=masks)


def mask_auroc(attributions: Tensor, masks: Tensor) -> Tensor:
    """Area under the ROC curve of telling object pixels from others by their signed attribution; (N, H, W) twice to (N,). Higher is better.

    The Mann-Whitney statistic with average ranks for ties; .5 says nothing. NaN where a mask is empty or full.
    """
    check_same_shape(attributions, masks, what="masks")
    inside = precise(masks != 0).flatten(1)
    num_in = inside.sum(1)
    num_out = inside.shape[1] - num_in
    rank_sum = (average_ranks(attributions.flatten(1)) * inside).sum(1)
    return settle((rank_sum - num_in * (num_in + 1) / 2) / (num_in * num_out), attributions)


def border_share(attributions: Tensor, *, width: float = 0.125) -> Tensor:
    """Share of the attribution's magnitude that lies in the outer frame of the image; (N, H, W) to (N,) in [0, 1].

    Objects rarely touch the frame: much of a map there hints at backgrounds, at captions, or at the padding of convolutions. Read it beside
    chance, the mean of :func:`border_mask`.

    Args:
        attributions: (N, H, W), signed; evidence against counts like evidence for.
        width: of the frame, as a share of the shorter side.

    Raises:
        ConfigError: a width outside (0, 0.5).
        DataError: attributions that are not (N, H, W).

    Example:
        >>> maps = torch.zeros(2, 4, 4)
        >>> maps[0, 0, 0], maps[0, 1, 1] = -1, 3
        >>> border_share(maps).tolist(), float(border_mask(4, 4).float().mean())
        ([0.25, 0.75], 0.75)
    """
    frames = border_mask(*attributions.shape[-2:], width=width).to(attributions.device).expand_as(attributions)
    return energy_inside(attributions.abs(), frames)


def border_mask(height: int, width_px: int, *, width: float = 0.125) -> Tensor:
    """The outer frame, (H, W) bool, ``width`` of the shorter side thick and at least one pixel.

    Args:
        height, width_px: of the image, in pixels.
        width: of the frame, as a share of the shorter side.

    Raises:
        ConfigError: a width outside (0, 0.5).

    Example:
        >>> border_mask(3, 4).int().tolist()
        [[1, 1, 1, 1], [1, 0, 0, 1], [1, 1, 1, 1]]
    """
    if not 0 < width < 0.5:
        raise ConfigError(f"width={width}: must be above 0 and below 0.5 of the shorter side")
    thickness = max(1, round(width * min(height, width_px)))
    frame = torch.ones(height, width_px, dtype=torch.bool)
    frame[thickness : height - thickness, thickness : width_px - thickness] = False
    return frame


def dilate(masks: Tensor, radius: float) -> Tensor:
    """Masks (N, H, W) grown by a disc: true within ``radius`` pixels (Euclidean, between pixel centres) of the object.

    A disc is a stack of rows, and a row meets the object where the nearest object pixel of that line is close enough: the cost grows with
    the radius, not with its square.

    Raises:
        ConfigError: a negative radius.

    Example:
        >>> dilate(torch.tensor([[[0, 0, 1, 0, 0]]]), 1).int().tolist()
        [[[0, 1, 1, 1, 0]]]
    """
    if not radius >= 0:
        raise ConfigError(f"tolerance={radius}: must be a number of pixels, 0 or more")
    grown = masks != 0
    height, width = masks.shape[-2:]
    radius, never = min(radius, height + width), height + width + 1  # no two pixels are further apart
    column = torch.arange(width, device=masks.device, dtype=torch.int32)
    since = column - column.where(grown, -never).cummax(-1).values
    until = column.where(grown, width + never).flip(-1).cummin(-1).values.flip(-1) - column
    away = torch.minimum(since, until)
    for dy in range(min(math.floor(radius), height - 1) + 1):
        met = away <= math.sqrt(radius**2 - dy**2)
        grown[..., dy:, :] |= met[..., : height - dy, :]
        grown[..., : height - dy, :] |= met[..., dy:, :]
    return grown
