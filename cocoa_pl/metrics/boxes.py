"""The box that a map draws around the object, that of its mask's largest component, and its overlap with the truth.

Boxes are float (N, 4): left, top, right, bottom in pixels, right and bottom exclusive. NaN is no box. After the weakly supervised
localisation of Zhou et al. (CVPR 2016). Conventions for flat maps, NaN and empty masks: :mod:`cocoa_pl.metrics.maps`.
"""

from __future__ import annotations

import torch
from torch import Tensor

from cocoa_pl.errors import ConfigError, DataError
from cocoa_pl.metrics.masks import foreground, largest_component


def best_box(attributions: Tensor, *, quantile: float | None = None) -> Tensor:
    """The tightest box around the largest connected component (8 neighbours) of a map's foreground.

    Of components of one size the first in reading order counts. A flat map's box is the whole image. Negative values count as they are;
    the box of the positive part is ``boxes_of_masks(map_mask(attributions, largest=True))``.

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
    return boxes_of_masks(largest_component(foreground(attributions, quantile=quantile)))


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
    return located(box_iou(best_box(attributions, quantile=quantile), boxes.to(attributions.device)), threshold=threshold)


def located(overlaps: Tensor, *, threshold: float = 0.5) -> Tensor:
    """1 where boxes overlap by more than the threshold, else 0, (N,) to (N,); NaN where an overlap is.

    Raises:
        ConfigError: a threshold outside [0, 1).

    Example:
        >>> located(torch.tensor([0.5, 0.51, torch.nan])).tolist()
        [0.0, 1.0, nan]
    """
    if not 0 <= threshold < 1:
        raise ConfigError(f"threshold={threshold}: must be at least 0 and below 1")
    return (overlaps > threshold).float().where(overlaps.isfinite(), torch.nan)
