"""Does the attribution lie on the object? Pure functions of attributions and object masks, one value an explicand."""

from __future__ import annotations

import torch
from torch import Tensor


def pointing_game(attributions: Tensor, masks: Tensor) -> Tensor:
    """1 where the highest attribution lies on the object (Zhang et al., IJCV 2018); (N, H, W) twice to (N,).

    A flat map points nowhere: its value is the object's share of the image, what a random point would hit.
    """
    flat, inside = attributions.flatten(1), masks.flatten(1).float()
    top = flat == flat.max(dim=1, keepdim=True).values
    return (top * inside).sum(1) / top.sum(1).clamp_min(1)


def energy_inside(attributions: Tensor, masks: Tensor) -> Tensor:
    """Share of the positive attribution that lies on the object (Wang et al., CVPRW 2020); (N, H, W) twice to (N,).

    A map without positive values gives the object's share of the image.
    """
    positive, inside = attributions.clamp_min(0).flatten(1), masks.flatten(1).float()
    total = positive.sum(1)
    return torch.where(total > 0, (positive * inside).sum(1) / total.where(total > 0, 1), inside.mean(1))


def mask_auroc(attributions: Tensor, masks: Tensor) -> Tensor:
    """Area under the ROC curve of telling object pixels from others by their attribution; (N, H, W) twice to (N,).

    The Mann-Whitney statistic with average ranks for ties; .5 says nothing. NaN where a mask is empty or full.
    """
    flat, inside = attributions.flatten(1), masks.flatten(1).double()
    num_in = inside.sum(1)
    num_out = inside.shape[1] - num_in
    rank_sum = (average_ranks(flat) * inside).sum(1)
    return ((rank_sum - num_in * (num_in + 1) / 2) / (num_in * num_out)).float()


def average_ranks(values: Tensor) -> Tensor:
    """Ranks (N, P) to float64 (N, P), 1 the lowest; tied values share the mean of their ranks.

    Example:
        >>> average_ranks(torch.tensor([[0.3, 0.1, 0.3, 0.2]])).tolist()
        [[3.5, 1.0, 3.5, 2.0]]
    """
    ordered, order = values.sort(dim=1)
    first = torch.searchsorted(ordered.contiguous(), ordered.contiguous(), right=False)
    last = torch.searchsorted(ordered.contiguous(), ordered.contiguous(), right=True)
    return torch.empty_like(values, dtype=torch.float64).scatter_(1, order, (first + 1 + last).double() / 2)


def half_preference(attributions: Tensor) -> Tensor:
    """Two-object test: 1 where the attribution's sum over the left half exceeds the right half's, .5 on a tie; (N, H, W) to (N,).

    Sums, not sums of positive parts: they need no object masks, so the test works on any labelled data. The middle column of an odd width
    counts for neither half.
    """
    half = attributions.shape[-1] // 2
    left, right = attributions[..., :half].sum((1, 2)), attributions[..., -half:].sum((1, 2))
    return ((left > right).float() + (left >= right).float()) / 2
