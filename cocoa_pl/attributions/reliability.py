"""How far a Monte-Carlo map would repeat itself, from its two halves, and in how many directions it errs."""

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


def independent_directions(draws: Tensor) -> float:
    """In how many directions random vectors spread alike, from draws (n, ..., P) of them: (tr S)^2 / tr S^2, S their covariance (P, P).

    The square of the cosine of two independent draws has the expectation tr S^2 / (tr S)^2. It is averaged over all pairs along the first
    dimension, and over whatever lies between: sets of draws that have as many directions. Never below 1; P where nothing varies.

    Example:
        >>> draws = torch.randn(200, 5, generator=torch.Generator().manual_seed(0))
        >>> round(independent_directions(draws))
        5
    """
    sets = draws.flatten(1, -2) if draws.ndim > 2 else draws[:, None]
    unit = sets.double().movedim(0, 1)  # (sets, n, P)
    length = unit.norm(dim=-1, keepdim=True)
    unit = unit / length.clamp_min(_TINY)
    gram = (unit @ unit.mT).square()
    pairs = gram.sum((-2, -1)) - gram.diagonal(dim1=-2, dim2=-1).sum(-1)
    known = (length[..., 0] > _TINY).sum(-1)
    count = (known * (known - 1)).sum()
    cosine = float(pairs.sum() / count) if count else 0.0
    return max(1.0, 1 / cosine) if cosine > 0 else float(draws.shape[-1])
