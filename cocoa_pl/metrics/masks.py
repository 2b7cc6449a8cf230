"""The mask that a map draws around the object: Otsu's threshold or a quantile, the largest component, and the overlap with the truth.

Conventions for flat maps, NaN and empty masks: :mod:`cocoa_pl.metrics.maps`.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor

from cocoa_pl.errors import ConfigError
from cocoa_pl.metrics.maps import check_same_shape, precise, settle

_NUM_BINS = 256


def otsu_threshold(attributions: Tensor) -> Tensor:
    """The threshold that parts each map's values into the two classes of largest between-class variance (Otsu, 1979).

    Args:
        attributions: (N, H, W), signed.

    Returns:
        (N,), centre of the lower class's last of 256 bins: the upper class lies above. A flat map's threshold is its value; NaN for a map
        that is not finite.

    Example:
        >>> otsu_threshold(torch.tensor([[[0.0, 0.0, 1.0, 1.0]]])) < 0.01
        tensor([True])
    """
    flat = precise(attributions).flatten(1)
    known = torch.isfinite(flat).all(1)
    flat = flat.where(known[:, None], 0)
    low, high = flat.aminmax(dim=1)
    width = (high - low) / _NUM_BINS
    bins = ((flat - low[:, None]) / width.where(width > 0, 1)[:, None]).long().clamp_max(_NUM_BINS - 1)
    row = torch.arange(len(flat), device=flat.device)[:, None] * _NUM_BINS
    counts = torch.bincount((bins + row).flatten(), minlength=len(flat) * _NUM_BINS).view(-1, _NUM_BINS)
    number, total = counts.cumsum(1), (counts * torch.arange(_NUM_BINS, device=flat.device)).cumsum(1)
    below, above = precise(number[:, :-1]), precise(number[:, -1:] - number[:, :-1])
    apart = precise(total[:, :-1]) / below.clamp_min(1) - precise(total[:, -1:] - total[:, :-1]) / above.clamp_min(1)
    best = (below * above * apart**2).argmax(1)
    return torch.where(width > 0, low + (best + 0.5) * width, low).where(known, torch.nan).float()


def foreground(attributions: Tensor, *, quantile: float | None = None) -> Tensor:
    """What stands out of signed maps, (N, H, W) to bool (N, H, W): all of a flat map, nothing of one that is not finite.

    Args:
        attributions: (N, H, W).
        quantile: the foreground is what reaches this quantile of the map's values; default: what exceeds Otsu's threshold.

    Raises:
        ConfigError: a quantile outside [0, 1).
    """
    if quantile is not None and not 0 <= quantile < 1:
        raise ConfigError(f"quantile={quantile}: must be at least 0 and below 1")
    flat = attributions.flatten(1)
    if quantile is None:
        above = (flat > otsu_threshold(attributions)[:, None]) | (flat == flat.amin(1, keepdim=True)).all(1, keepdim=True)
    else:
        above = flat >= flat.kthvalue(math.ceil(quantile * (flat.shape[1] - 1)) + 1, dim=1, keepdim=True).values
    return (above & torch.isfinite(flat).all(1, keepdim=True)).view(attributions.shape)


def map_mask(attributions: Tensor, *, quantile: float | None = None, largest: bool = False) -> Tensor:
    """The mask of each map, (N, H, W) to bool (N, H, W): what stands out of its positive part.

    The positive part is what raises the score; a strong negative place must not make a mask of everything else. A map without a positive
    value has no mask, nor has one that prefers no pixel, or is not finite.

    Args:
        attributions: (N, H, W), signed.
        quantile: see :func:`foreground`; of the map with zeros for what is negative, and only positive pixels count.
        largest: keep the largest component alone.

    Raises:
        ConfigError: a quantile outside [0, 1).

    Example:
        >>> maps = torch.tensor([[[-9.0, 5.0, 0.0, 6.0, 7.0]]])
        >>> map_mask(maps).int().tolist(), map_mask(maps, quantile=0.8).int().tolist(), map_mask(maps, largest=True).int().tolist()
        ([[[0, 1, 0, 1, 1]]], [[[0, 0, 0, 0, 1]]], [[[0, 0, 0, 1, 1]]])
    """
    positive = attributions.clamp_min(0).where(torch.isfinite(attributions), torch.nan)
    some = positive.flatten(1).amax(1) > positive.flatten(1).amin(1)
    masks = foreground(positive, quantile=quantile) & (positive > 0) & some[:, None, None]
    return largest_component(masks) if largest else masks


def largest_component(masks: Tensor) -> Tensor:
    """The largest connected component (8 neighbours) of each mask, (N, H, W) to bool (N, H, W); of equal ones the first in reading order.

    Example:
        >>> largest_component(torch.tensor([[[1, 0, 0, 1], [0, 0, 1, 0]]])).int().tolist()
        [[[0, 0, 0, 1], [0, 0, 1, 0]]]
    """
    kept = np.zeros(tuple(masks.shape), dtype=bool)
    for n, mask in enumerate((masks != 0).cpu().numpy()):
        labels, num = ndimage.label(mask, structure=np.ones((3, 3)))
        if num:
            kept[n] = labels == 1 + np.bincount(labels.ravel())[1:].argmax()
    return torch.from_numpy(kept).to(masks.device)


def mask_iou(found: Tensor, masks: Tensor) -> Tensor:
    """Intersection over union of each mask found with the object's, (N, H, W) twice to (N,) in [0, 1]; NaN without an object.

    Raises:
        DataError: shapes that do not fit.

    Example:
        >>> mask_iou(torch.tensor([[[1, 1, 0]], [[1, 1, 0]]]), torch.tensor([[[0, 1, 1]], [[0, 0, 0]]])).tolist()
        [0.3333333432674408, nan]
    """
    check_same_shape(found, masks, what="masks")
    first, second = (found != 0).flatten(1), (masks != 0).flatten(1)
    return settle((first & second).sum(1) / (first | second).sum(1).clamp_min(1), masks=masks)


def map_mask_iou(attributions: Tensor, masks: Tensor, *, quantile: float | None = None, largest: bool = False) -> Tensor:
    """Intersection over union of the map's mask with the object's, (N, H, W) twice to (N,) in [0, 1]. Higher is better.

    A map without a mask gets the object's share of the image, as if its mask were the whole image.

    Args:
        attributions: (N, H, W), signed.
        masks: (N, H, W), 1 on the object.
        quantile: see :func:`map_mask`.
        largest: see :func:`map_mask`.

    Raises:
        ConfigError: a quantile outside [0, 1).
        DataError: shapes that do not fit.
    """
    check_same_shape(attributions, masks, what="masks")
    return settle(mask_iou(mask_or_all(attributions, quantile=quantile, largest=largest), masks), attributions)


def mask_or_all(attributions: Tensor, *, quantile: float | None = None, largest: bool = False) -> Tensor:
    """:func:`map_mask`, and the whole image where a map has none, so that it finds the object as chance would."""
    found = map_mask(attributions, quantile=quantile, largest=largest)
    return found | ~found.flatten(1).any(1)[:, None, None]
