"""How far a Monte-Carlo map would repeat itself, from its two halves."""

from __future__ import annotations

import torch
from torch import Tensor

_TINY = 1e-24


def stepped_up_correlation(first: Tensor, second: Tensor) -> Tensor:
    """The correlation to expect between two maps of all samples, from maps (K, N, H, W) of two halves of them: (K, N).

    The correlation r of the halves, stepped up to the full number of samples by Spearman and Brown's 2 r / (1 + r) (1910). Maps that are
    constant, as of a constant score, repeat exactly: 1.

    Example:
        >>> half = torch.arange(6.0).view(1, 1, 2, 3)
        >>> stepped_up_correlation(half, 2 * half + 1).tolist(), stepped_up_correlation(half * 0, half * 0).tolist()
        ([[1.0]], [[1.0]])
    """
    first, second = (half.flatten(2) - half.flatten(2).mean(-1, keepdim=True) for half in (first, second))
    scale = first.norm(dim=-1) * second.norm(dim=-1)
    r = torch.where(scale <= _TINY, torch.ones_like(scale), (first * second).sum(-1) / scale)  # NaN stays NaN
    return (2 * r / (1 + r).clamp_min(1e-6)).clamp(-1, 1)
