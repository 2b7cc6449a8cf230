"""Does the map of a text find the object that the text names? All measures of place at once, and the boxes that they are judged beside.

Masks and boxes are those of a map's positive part: a place that speaks against the text is no part of the object. Values kept by explicand
in an :class:`~cocoa_pl.metrics.attribution_quality.AttributionQuality` give means, intervals and paired differences. Conventions for flat
maps, NaN and empty masks: :mod:`cocoa_pl.metrics.maps`.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from cocoa_pl.metrics.boxes import box_iou, boxes_of_masks, located
from cocoa_pl.metrics.localisation import energy_inside, mask_auroc, pointing_game
from cocoa_pl.metrics.maps import check_same_shape, precise, settle, unit_peak
from cocoa_pl.metrics.masks import largest_component, mask_iou, mask_or_all

_STRIDE = 4  # pixels at most from one place of a fixed box to the next
PLACEMENT = ("pointing_game", "box_iou", "corloc", "energy_inside", "mask_iou", "mask_auroc")
"""What :func:`measure_placement` gives; higher is better for all."""


def measure_placement(maps: Tensor, masks: Tensor, *, quantile: float | None = None, largest: bool = False) -> dict[str, Tensor]:
    """All measures of place, each (N,) in [0, 1].

    The box is that of the largest component of the map's mask; CorLoc asks for an overlap above one half with the box of the object. A map
    without a mask is measured as if its mask were the whole image.

    Args:
        maps: (N, H, W), signed.
        masks: (N, H, W), 1 on the object.
        quantile: see :func:`~cocoa_pl.metrics.masks.map_mask`.
        largest: of the mask too the largest component alone counts.

    Returns:
        Name, one of ``PLACEMENT``, to values; NaN without an object, and for a map that is not finite.

    Raises:
        ConfigError: a quantile outside [0, 1).
        DataError: shapes that do not fit.

    Example:
        >>> maps = torch.tensor([[[0.0, 4.0, 5.0, 0.0]]])
        >>> {name: round(float(value), 3) for name, value in measure_placement(maps, maps > 4).items()}
        {'pointing_game': 1.0, 'box_iou': 0.5, 'corloc': 0.0, 'energy_inside': 0.556, 'mask_iou': 0.5, 'mask_auroc': 1.0}
    """
    check_same_shape(maps, masks, what="masks")
    found = mask_or_all(maps, quantile=quantile)
    component = largest_component(found)
    values = {
        "pointing_game": pointing_game(maps, masks),
        "energy_inside": energy_inside(maps, masks),
        "mask_iou": mask_iou(component if largest else found, masks),
        "mask_auroc": mask_auroc(maps, masks),
    } | measure_boxes(boxes_of_masks(component), masks)
    return {name: settle(values[name], maps) for name in PLACEMENT}


def measure_boxes(boxes: Tensor, masks: Tensor) -> dict[str, Tensor]:
    """``box_iou`` and ``corloc`` of boxes (N, 4) that no map has drawn, such as :func:`centre_boxes`.

    Args:
        boxes: (N, 4).
        masks: (N, H, W), 1 on the object.

    Returns:
        Name to (N,); NaN without an object.
    """
    overlaps = box_iou(boxes.to(masks.device), boxes_of_masks(masks))
    return {"box_iou": overlaps, "corloc": located(overlaps)}


def centre_boxes(masks: Tensor) -> Tensor:
    """The control: one box in the middle of the image, of its form, that knows nothing but how large the boxes of objects are on average.

    Args:
        masks: (N, H, W), 1 on the object, of all explicands: a part of them would have a box of its own.

    Returns:
        (N, 4), all the same.

    Example:
        >>> masks = torch.zeros(2, 4, 8)
        >>> masks[0, :2, 5:], masks[1, 2:, :5] = 1, 1  # boxes of 6 and 10 pixels, 8 on average of 32
        >>> centre_boxes(masks).tolist()
        [[2.0, 1.0, 6.0, 3.0], [2.0, 1.0, 6.0, 3.0]]
    """
    boxes, (height, width) = boxes_of_masks(masks), masks.shape[1:]
    share = (boxes[:, 2:] - boxes[:, :2]).prod(1).nanmean() / (height * width)
    sides = torch.tensor([width, height], device=masks.device)
    half = sides * share.sqrt() / 2
    return torch.cat([sides / 2 - half, sides / 2 + half]).repeat(len(masks), 1)


def best_fixed_box(masks: Tensor) -> Tensor:
    """The control that knows where objects usually are: of boxes of the objects' mean size, the place that finds most of them.

    It is chosen with the truth in hand, so it is what a map that looks at no picture could reach at most; of equal places the one with the
    larger mean overlap counts. Places are a few pixels apart.

    Args:
        masks: (N, H, W), 1 on the object, of all explicands.

    Returns:
        (N, 4), all the same; NaN where there is no object at all.

    Example:
        >>> masks = torch.zeros(3, 8, 8)
        >>> masks[:2, 0:3, 0:3], masks[2, 5:8, 5:8] = 1, 1
        >>> best_fixed_box(masks)[0].tolist()
        [0.0, 0.0, 3.0, 3.0]
    """
    boxes, (height, width) = boxes_of_masks(masks), masks.shape[1:]
    boxes = boxes[boxes.isfinite().all(1)]
    if len(boxes) == 0:
        return torch.full((len(masks), 4), torch.nan, device=masks.device)
    wide, high = (boxes[:, 2:] - boxes[:, :2]).mean(0).tolist()
    best, found = boxes[0], (-1.0, -1.0)
    for top in _places(height - high):
        for left in _places(width - wide):
            box = boxes.new_tensor([left, top, left + wide, top + high])
            overlaps = box_iou(box.expand(len(boxes), 4), boxes)
            reached = float(located(overlaps).mean()), float(overlaps.mean())
            if reached > found:
                best, found = box, reached
    return best.repeat(len(masks), 1)


def _places(room: float) -> list[float]:
    """Where a box may begin that leaves so much room, both ends and the middle among them."""
    num = 2 * math.ceil(room / (2 * _STRIDE)) if room > 0 else 0
    return [room * place / max(1, num) for place in range(num + 1)]


def larger_on(maps: Tensor, named: Tensor, other: Tensor) -> Tensor:
    """1 where the mean attribution on the object that the text names exceeds that on another, 0.5 where both are the same, else 0.

    Args:
        maps: (N, H, W), signed.
        named: (N, H, W), 1 on the object named.
        other: (N, H, W), 1 on the other.

    Returns:
        (N,); chance is .5, higher is better. NaN where one of the objects is not there, or the map is not finite.

    Raises:
        DataError: shapes that do not fit.

    Example:
        >>> maps, named = torch.tensor([[[3.0, 2.0, 2.0]]] * 2), torch.tensor([[[1, 0, 0]], [[0, 1, 0]]])
        >>> larger_on(maps, named, torch.tensor([[[0, 0, 1]]] * 2)).tolist()
        [1.0, 0.5]
    """
    values = unit_peak(maps).flatten(1)
    means = []
    for masks in (named, other):
        check_same_shape(maps, masks, what="masks")
        inside = precise(masks != 0).flatten(1)
        means.append((values * inside).sum(1) / inside.sum(1).clamp_min(1))
    won = precise(means[0] > means[1]) + precise(means[0] == means[1]) / 2
    return settle(settle(won, maps, masks=named), masks=other)
