"""The box that a map draws around the object: Otsu's threshold, the largest component, its bounding box, and its overlap with the truth.

Boxes are float (N, 4): left, top, right, bottom in pixels, right and bottom exclusive. NaN is no box. After the weakly supervised
localisation of Zhou et al. (CVPR 2016). Conventions for flat maps, NaN and empty masks: :mod:`cocoa_pl.metrics.maps`.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor

from cocoa_pl.errors import ConfigError, DataError
from cocoa_pl.metrics.maps import precise

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


def best_box(attributions: Tensor, *, quantile: float | None = None) -> Tensor:
    """The tightest box around the largest connected component (8 neighbours) of a map's foreground.

    Of components of one size the first in reading order counts. A flat map's box is the whole image.

    Args:
        attributions: (N, H, W), signed.
        quantile: the foreground is what reaches this quantile of the map's values; default: what exceeds Otsu's threshold.

    Returns:
        (N, 4); NaN for a map that is not finite.

    Raises:
        ConfigError: a quantile outside [0, 1).

    Example:
        >>> best_box(torch.tensor([[[0.0, 5.0, 0.0, 6.0], [0.0, 7.0, 0.0, 0.0]]])).tolist()
        [[1.0, 0.0, 2.0, 2.0]]
    """
    if quantile is not None and not 0 <= quantile < 1:
        raise ConfigError(f"quantile={quantile}: must be at least 0 and below 1")
    flat = attributions.flatten(1)
    if quantile is None:
        foreground = (flat > otsu_threshold(attributions)[:, None]) | (flat == flat.amin(1, keepdim=True)).all(1, keepdim=True)
    else:
        foreground = flat >= flat.kthvalue(math.ceil(quantile * (flat.shape[1] - 1)) + 1, dim=1, keepdim=True).values
    foreground &= torch.isfinite(flat).all(1, keepdim=True)
    return boxes_of_masks(_largest_component(foreground.view(attributions.shape)))


def boxes_of_masks(masks: Tensor) -> Tensor:
    """The tightest box around each mask, (N, H, W) to (N, 4); NaN for an empty mask.

    Example:
        >>> boxes_of_masks(torch.tensor([[[0, 0, 0], [0, 1, 1]], [[0, 0, 0], [0, 0, 0]]])).tolist()
        [[1.0, 1.0, 3.0, 2.0], [nan, nan, nan, nan]]
    """
    sides = []
    for hit in ((masks != 0).any(1), (masks != 0).any(2)):  # columns, rows
        place = torch.arange(hit.shape[1], device=masks.device)
        sides.append((place.where(hit, hit.shape[1]).amin(1), (place + 1).where(hit, 0).amax(1)))
    (left, right), (top, bottom) = sides
    return torch.stack([left, top, right, bottom], 1).float().where((right > 0)[:, None], torch.nan)


def box_iou(first: Tensor, second: Tensor) -> Tensor:
    """Intersection over union of each pair of boxes, (N, 4) twice to (N,) in [0, 1]; NaN where one is no box. Higher is better.

    Raises:
        DataError: shapes that do not fit.

    Example:
        >>> box_iou(torch.tensor([[0.0, 0.0, 2.0, 2.0]]), torch.tensor([[1.0, 0.0, 3.0, 2.0]])).tolist()
        [0.3333333432674408]
    """
    if first.ndim != 2 or first.shape != second.shape or first.shape[1] != 4:
        raise DataError(f"boxes {tuple(first.shape)} and {tuple(second.shape)}: both must be (N, 4)")
    sides = (torch.minimum(first[:, 2:], second[:, 2:]) - torch.maximum(first[:, :2], second[:, :2])).clamp_min(0)
    common = sides.prod(1)
    areas = [(box[:, 2:] - box[:, :2]).prod(1) for box in (first, second)]
    return common / (areas[0] + areas[1] - common)


def corloc(attributions: Tensor, boxes: Tensor, *, threshold: float = 0.5, quantile: float | None = None) -> Tensor:
    """1 where the map's best box overlaps the object's box by more than the threshold, else 0 (CorLoc, Deselaers et al., IJCV 2012).

    Args:
        attributions: (N, H, W), signed.
        boxes: (N, 4), the object's.
        threshold: of the intersection over union, in [0, 1).
        quantile: see :func:`best_box`.

    Returns:
        (N,), higher is better; NaN without an object's box.

    Raises:
        ConfigError: a threshold or a quantile out of range.
        DataError: shapes that do not fit.
    """
    if not 0 <= threshold < 1:
        raise ConfigError(f"threshold={threshold}: must be at least 0 and below 1")
    overlap = box_iou(best_box(attributions, quantile=quantile), boxes.to(attributions.device))
    return (overlap > threshold).float().where(overlap.isfinite(), torch.nan)


def _largest_component(masks: Tensor) -> Tensor:
    """The largest component of each mask, bool (N, H, W) twice."""
    kept = np.zeros(tuple(masks.shape), dtype=bool)
    for n, mask in enumerate(masks.cpu().numpy()):
        labels, num = ndimage.label(mask, structure=np.ones((3, 3)))
        if num:
            kept[n] = labels == 1 + np.bincount(labels.ravel())[1:].argmax()
    return torch.from_numpy(kept).to(masks.device)
