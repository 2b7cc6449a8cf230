"""What all metrics of maps share: precision, ranks with ties, and when a map has no value.

Conventions of every metric here, one value an explicand:
    a map with NaN or infinite pixels has no value: NaN, and the other maps of the batch keep theirs
    an empty mask or box cannot be found or missed: NaN
    a flat map prefers no pixel: it gets what chance would give; two flat maps agree
    no metric depends on a map's scale, nor on the other maps of the batch
"""

from __future__ import annotations

import torch
from torch import Tensor

from cocoa_pl.errors import DataError
from cocoa_pl.streaming import precise_dtype


def precise(values: Tensor) -> Tensor:
    """Float64 wherever the device has it (Apple's GPUs stay at float32)."""
    return values.to(precise_dtype(values.device))


def unit_peak(maps: Tensor) -> Tensor:
    """Maps (N, ...) divided by their largest magnitude, in high precision; zero maps stay zero.

    Example:
        >>> unit_peak(torch.tensor([[2.0, -4.0], [0.0, 0.0]])).tolist()
        [[0.5, -1.0], [0.0, 0.0]]
    """
    values = precise(maps)
    peak = values.flatten(1).abs().amax(1).view(-1, *[1] * (maps.ndim - 1))
    return values / peak.where(peak > 0, 1)


def settle(values: Tensor, *maps: Tensor, masks: Tensor | None = None) -> Tensor:
    """Values (N,) in float32, NaN where one of the maps (N, ...) is not finite or the mask (N, H, W) is empty."""
    known = torch.ones_like(values, dtype=torch.bool)
    for each in maps:
        known &= torch.isfinite(each).flatten(1).all(1)
    if masks is not None:
        known &= (masks != 0).flatten(1).any(1)
    return values.float().masked_fill(~known, torch.nan)


def check_same_shape(first: Tensor, second: Tensor, *, what: str) -> None:
    """Refuse maps that are not laid on the same pixels.

    Raises:
        DataError: not (N, H, W) twice.
    """
    if first.ndim != 3 or first.shape != second.shape:
        raise DataError(f"attributions {tuple(first.shape)} and {what} {tuple(second.shape)}: both must be (N, H, W)")


def rank_spans(values: Tensor) -> tuple[Tensor, Tensor]:
    """How many values of a row are lower, and how many are not higher; (N, P) to int64 (N, P) twice.

    The two differ by the number of values that are tied, the value itself included.

    Example:
        >>> lower, not_higher = rank_spans(torch.tensor([[0.3, 0.1, 0.3, 0.2]]))
        >>> lower.tolist(), not_higher.tolist()
        ([[2, 0, 2, 1]], [[4, 1, 4, 2]])
    """
    ordered, order = values.sort(dim=1)
    place = torch.arange(values.shape[1], device=values.device).expand_as(order)
    edge = torch.ones_like(order, dtype=torch.bool)
    edge[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
    lower = place.where(edge, 0).cummax(1).values
    edge = torch.cat([edge[:, 1:], edge[:, :1]], 1)  # now the last of each run: a row begins with an edge, so the last column has one
    not_higher = (place + 1).where(edge, values.shape[1]).flip(1).cummin(1).values.flip(1)
    return torch.empty_like(order).scatter_(1, order, lower), torch.empty_like(order).scatter_(1, order, not_higher)


def average_ranks(values: Tensor) -> Tensor:
    """Ranks (N, P) to (N, P), 1 the lowest; tied values share the mean of their ranks.

    Example:
        >>> average_ranks(torch.tensor([[0.3, 0.1, 0.3, 0.2]])).tolist()
        [[3.5, 1.0, 3.5, 2.0]]
    """
    lower, not_higher = rank_spans(values)
    return precise(lower + not_higher + 1) / 2


def ranks_from_the_top(values: Tensor) -> tuple[Tensor, Tensor]:
    """How many values of a row are higher, and how many are equal, itself included; (N, P) to float32 (N, P) twice.

    Example:
        >>> [each.tolist() for each in ranks_from_the_top(torch.tensor([[0.3, 0.1, 0.3, 0.2]]))]
        [[[0.0, 3.0, 0.0, 2.0]], [[2.0, 1.0, 2.0, 1.0]]]
    """
    lower, not_higher = rank_spans(values)
    return (values.shape[1] - not_higher).float(), (not_higher - lower).float()
