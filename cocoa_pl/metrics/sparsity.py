"""How few pixels carry a map. Neither end is better: a map may be sharp and wrong. Read beside localisation.

Values follow the magnitude |a|, so that evidence against counts like evidence for. Zero maps are spread over all pixels.
"""

from __future__ import annotations

import torch
from torch import Tensor

from cocoa_pl.metrics.maps import precise, settle, unit_peak


def gini(attributions: Tensor) -> Tensor:
    """Gini index of |a|, (N, H, W) to (N,): 0 where all pixels weigh the same, 1 - 1 / (H W) where one pixel carries all.

    G = sum_k (2 k - P - 1) |a|_(k) / (P sum |a|), with |a|_(k) the k-th lowest of P magnitudes (Hurley & Rickard, 2009). Higher is
    sparser.

    Example:
        >>> gini(torch.tensor([[[0.0, 0.0], [0.0, -2.0]], [[1.0, 1.0], [-1.0, 1.0]]])).tolist()
        [0.75, 0.0]
    """
    ordered = unit_peak(attributions).flatten(1).abs().sort(dim=1).values
    num = ordered.shape[1]
    weight = 2 * torch.arange(1, num + 1, device=ordered.device, dtype=ordered.dtype) - num - 1
    total = ordered.sum(1)
    return settle((ordered * weight).sum(1) / (num * total.where(total > 0, 1)), attributions)


def entropy(attributions: Tensor) -> Tensor:
    """Entropy of |a| / sum |a| in nats, (N, H, W) to (N,): 0 where one pixel carries all, log(H W) where all weigh the same.

    Lower is sparser.

    Example:
        >>> entropy(torch.tensor([[[0.0, 0.0], [0.0, -2.0]]])).tolist()
        [0.0]
    """
    magnitude = unit_peak(attributions).flatten(1).abs()
    total = magnitude.sum(1, keepdim=True)
    share = torch.where(total > 0, magnitude / total.where(total > 0, 1), 1 / magnitude.shape[1])
    return settle(torch.special.entr(share).sum(1), attributions)


def effective_share(attributions: Tensor) -> Tensor:
    """Share of the pixels over which the map is spread, exp(entropy) / (H W), (N, H, W) to (N,) in (0, 1].

    A map that weighs m pixels alike and no others has m / (H W). Lower is sparser.

    Example:
        >>> round(float(effective_share(torch.tensor([[[0.0, 1.0], [0.0, -1.0]]]))), 6)
        0.5
    """
    return (precise(entropy(attributions)).exp() / attributions[0].numel()).float()
