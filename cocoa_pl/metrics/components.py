"""Which component of a picture carries its score: its colour, its texture or its shape.

The three components are those of Yarici, Kokilepersaud, Prabhushankar & AlRegib, "Explaining representation learning with perceptual
components", ICIP 2024; pictures without one of them are made by :mod:`cocoa_pl.removal.components`.
"""

from __future__ import annotations

import torch
from torch import Tensor

from cocoa_pl.errors import DataError
from cocoa_pl.metrics.maps import precise


def component_shares(scores: Tensor, without: Tensor) -> Tensor:
    """Share of the score that each component carries, in [0, 1], adding up to 1 over the components of an explicand.

    share_c = drop_c / sum_c' drop_c' with drop_c = max(score - score without c, 0): a component without which the score rises carries
    nothing. Components overlap, so that the drops need not add up to the score.

    Args:
        scores: (N,), of whole explicands.
        without: (C, N), of the explicands without each of C components.

    Returns:
        (C, N); NaN for explicands whose score falls without no component, or with a score that is not finite.

    Raises:
        DataError: shapes that do not fit.

    Example:
        >>> component_shares(torch.tensor([1.0, 0.25]), torch.tensor([[0.25, 0.5], [0.75, 0.5], [1.5, 0.25]])).tolist()
        [[0.75, nan], [0.25, nan], [0.0, nan]]
    """
    if scores.ndim != 1 or without.ndim != 2 or without.shape[1:] != scores.shape:
        raise DataError(f"scores {tuple(scores.shape)} and those without components {tuple(without.shape)}: must be (N,) and (C, N)")
    drops = (precise(scores) - precise(without)).clamp_min(0)
    total = drops.sum(0)
    known = (total > 0) & torch.isfinite(precise(without)).all(0) & torch.isfinite(scores)
    return (drops / total.where(known, torch.nan)).float()
