"""How much two attributions of one explicand agree; drift is one minus that."""

from __future__ import annotations

import torch
from torch import Tensor

from cocoa_pl.metrics.localisation import average_ranks


def spearman(first: Tensor, second: Tensor) -> Tensor:
    """Spearman rank correlation over pixels, with average ranks for ties; (N, H, W) twice to (N,) in [-1, 1].

    Two flat maps agree (1); a flat map and another one do not (0).

    Example:
        >>> a = torch.tensor([[[1.0, 2.0], [3.0, 4.0]]])
        >>> spearman(a, -a).tolist(), spearman(a, a**3).tolist()
        ([-1.0], [1.0])
    """
    return cosine(*(ranks - ranks.mean(1, keepdim=True) for ranks in (average_ranks(first.flatten(1)), average_ranks(second.flatten(1)))))


def cosine(first: Tensor, second: Tensor) -> Tensor:
    """Cosine similarity over all but the first dimension, (N, ...) twice to (N,); 1 for two zero maps, 0 where only one is zero."""
    a, b = first.flatten(1).double(), second.flatten(1).double()
    norms = a.norm(dim=1) * b.norm(dim=1)
    both_flat = (a.norm(dim=1) + b.norm(dim=1)) == 0
    value = torch.where(norms > 0, (a * b).sum(1) / norms.clamp_min(1e-300), both_flat.double())
    return value.clamp(-1, 1).float()
