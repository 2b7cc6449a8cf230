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

    The square of the product of two independent draws has the expectation tr S^2, the product of their squared lengths (tr S)^2. Both are
    averaged over all pairs along the first dimension, and over whatever lies between: sets of draws that have as many directions, each set
    in its own unit. (The mean squared cosine would not do: it leans towards more directions, the more the fewer there are.) Between 1 and
    P; P where nothing varies.

    Example:
        >>> draws = torch.randn(200, 5, generator=torch.Generator().manual_seed(0))
        >>> round(independent_directions(draws))
        5
    """
    sets = draws.flatten(1, -2) if draws.ndim > 2 else draws[:, None]
    sets = sets.double().movedim(0, 1)  # (sets, n, P)
    sets = sets / sets.square().sum(-1).mean(-1)[:, None, None].sqrt().clamp_min(_TINY)
    products, squared = (sets @ sets.mT).square(), sets.square().sum(-1)
    same = float((products.sum((-2, -1)) - products.diagonal(dim1=-2, dim2=-1).sum(-1)).sum())
    whole = float((squared.sum(-1).square() - squared.square().sum(-1)).sum())
    return min(max(1.0, whole / same), float(draws.shape[-1])) if same > 0 else float(draws.shape[-1])
