"""What is known of the noise of a look's maps: that of masks, told by the method, and that of corpus and foil, told by contrasts.

Corpus and foil are random draws, and another draw would have given another direction d. Split a corpus and a foil at random into halves:
half the difference of the directions of both halves is a draw of the error of d, and the map towards it, a *contrast*, a draw of the map's
error. A few contrasts tell how large that error is and in how many directions it spreads; they cost no further encoding where a method only
masks.
"""

from __future__ import annotations

import torch
from torch import Tensor

from cocoa_pl.attributions.reliability import independent_directions
from cocoa_pl.metrics.drift import NoisyMaps
from cocoa_pl.metrics.maps import precise
from cocoa_pl.rng import counter_uniform, derive_seed

NUM_CONTRASTS = 4
_TINY = 1e-24


def balanced_signs(rows: Tensor, size: int, *, seed: int, contrast: int) -> Tensor:
    """Which half each of ``size`` references falls into, for every row anew: rows (N,) to (N, size) of 1 and -1; 0 for one left over.

    Example:
        >>> balanced_signs(torch.arange(2), 5, seed=0, contrast=0).sum(1).tolist()
        [0.0, 0.0]
    """
    rank = counter_uniform(derive_seed(seed, "contrast", contrast, size), rows, num=size).argsort(1).argsort(1)
    return (rank < size // 2).float() - (rank >= size - size // 2).float()


def centred(maps: Tensor) -> Tensor:
    """Maps (..., H, W) to (..., P) without their mean, in high precision."""
    flat = precise(maps).flatten(-2)
    return flat - flat.mean(-1, keepdim=True)


def squared_length(maps: Tensor) -> Tensor:
    """Squared length (...) of the centred maps (..., H, W), in float32."""
    return centred(maps).square().sum(-1).float()


def mean_squared_cosine(contrasts: Tensor) -> Tensor:
    """Mean squared cosine of all pairs of contrasts (G, N, H, W), (N,): its inverse is how many directions they spread in."""
    values = centred(contrasts)
    unit = values / values.norm(dim=-1, keepdim=True).clamp_min(_TINY)
    pairs = torch.einsum("gnp,hnp->ngh", unit, unit).square()
    num = len(contrasts)
    return ((pairs.sum((1, 2)) - pairs.diagonal(dim1=1, dim2=2).sum(1)) / max(1, num * (num - 1))).float()


def noisy_maps(
    maps: Tensor, draw: Tensor, *, monte_carlo: Tensor, references: Tensor, cosines: Tensor, dims: float | None, num_samples: int | None
) -> NoisyMaps:
    """Maps with the noise of masks and of references taken together.

    Two independent errors of variances v_i, spread over d_i directions, spread over v^2 / sum v_i^2 / d_i together (Satterthwaite, 1946).

    Args:
        maps: (R, H, W).
        draw: (R, H, W), of the error.
        monte_carlo: (R,), squared length of the error of masks or samples.
        references: (R,), squared length of the error of corpus and foil.
        cosines: (R,), mean squared cosines of the contrasts.
        dims: directions of the error of masks, where the method knows them; else they are read off the draws of different rows.
        num_samples: masks or samples.
    """
    of_references = 1 / float(cosines.double().mean().clamp(1 / maps[0].numel(), 1)) if len(cosines) else 1.0
    if dims is None:
        known = torch.isfinite(draw).flatten(1).all(1)
        dims = independent_directions(centred(draw[known])) if int(known.sum()) > 1 else of_references
    variance = monte_carlo.double() + references.double()

    def together(of_masks: float, of_contrasts: float) -> Tensor:
        total = monte_carlo.double() ** 2 / of_masks + references.double() ** 2 / of_contrasts
        return (variance**2 / total.clamp_min(_TINY**2)).where(total > 0, 1.0).clamp_min(1)

    return NoisyMaps(
        maps, draw, variance, dims=together(dims, of_references),
        df=together(max(1, (num_samples or 2) - 1), NUM_CONTRASTS * of_references),
    )  # fmt: skip
