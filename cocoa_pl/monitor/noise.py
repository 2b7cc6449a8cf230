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


def rows_of(rows: Tensor, size: int, *, seed: int, contrast: int) -> Tensor:
    """One of ``size`` references for every row: rows (N,) to positions (N,)."""
    return (counter_uniform(derive_seed(seed, "one of", contrast, size), rows, num=1)[:, 0] * size).long()


def centred(maps: Tensor) -> Tensor:
    """Maps (..., H, W) to (..., P) without their mean, in high precision."""
    flat = precise(maps).flatten(-2)
    return flat - flat.mean(-1, keepdim=True)


def across(errors: Tensor, maps: Tensor) -> Tensor:
    """Errors (..., N, H, W), centred and without their part along the maps (N, H, W), which only changes a map's scale."""
    error, unit = centred(errors), centred(maps)
    unit = unit / unit.norm(dim=-1, keepdim=True).clamp_min(_TINY)
    left: Tensor = error - (error * unit).sum(-1, keepdim=True) * unit
    return left.view(errors.shape)


def squared_length(maps: Tensor) -> Tensor:
    """Squared length (...) of the centred maps (..., H, W), in float32."""
    return centred(maps).square().sum(-1).float()


def relative_error(noisy: NoisyMaps) -> Tensor:
    """Error (N,) of a pixel, root mean square over the map, in units of the map's own; NaN of a flat map."""
    length = squared_length(noisy.maps)
    return (noisy.variance / length.clamp_min(_TINY)).sqrt().where(length > _TINY, torch.nan).float()


def spread(contrasts: Tensor) -> Tensor:
    """How contrasts (G, N, H, W) spread, (N, 2): the means over pairs of their squared product and of the product of their squared lengths.

    The second over the first is the number of directions; see :func:`~cocoa_pl.attributions.reliability.independent_directions`. Both are
    in units of the row's mean squared length, and zero where there is none, so that they can be summed over rows.
    """
    values = centred(contrasts)
    values = values / values.square().sum(-1).mean(0)[:, None].sqrt().clamp_min(_TINY)
    products, squared = torch.einsum("gnp,hnp->ngh", values, values).square(), values.square().sum(-1)
    same = products.sum((1, 2)) - products.diagonal(dim1=1, dim2=2).sum(1)
    whole = squared.sum(0).square() - squared.square().sum(0)
    num = len(contrasts)
    return (torch.stack([same, whole], dim=1) / max(1, num * (num - 1))).float()


def noisy_maps(
    maps: Tensor, draw: Tensor, *, monte_carlo: Tensor, references: Tensor, spread: Tensor, dims: float | None, num_samples: int | None
) -> NoisyMaps:
    """Maps with the noise of masks and of references taken together.

    Errors of variance v_i that spread alike over d_i directions have tr S_i^2 = v_i^2 / d_i. Those of references lie among those of masks,
    or the other way round, so tr S_1 S_2 = v_1 v_2 / max(d_1, d_2), and together they spread over (v_1 + v_2)^2 / tr (S_1 + S_2)^2
    directions. The degrees of freedom of the variance are Satterthwaite's (1946), (v_1 + v_2)^2 / sum v_i^2 / df_i.

    Args:
        maps: (R, H, W).
        draw: (R, H, W), of the error.
        monte_carlo: (R,), squared length of the error of masks or samples.
        references: (R,), squared length of the error of corpus and foil.
        spread: (R, 2), of the contrasts.
        dims: directions of the error of masks, where the method knows them; else they are read off the draws of different rows.
        num_samples: masks or samples.
    """
    of_chance, of_draw = monte_carlo.double(), references.double()
    variance = of_chance + of_draw
    same, whole = spread.double().sum(0).tolist()
    of_references = min(max(1.0, whole / same), float(maps[0].numel())) if same > 0 else 1.0
    if dims is None:
        known = torch.isfinite(draw).flatten(1).all(1)
        own = centred(draw[known]) / variance[known, None].sqrt().clamp_min(_TINY)
        dims = independent_directions(own) if len(own) > 1 else of_references

    def together(of_masks: float, of_contrasts: float, of_both: float) -> Tensor:
        total = of_chance**2 / of_masks + of_draw**2 / of_contrasts + 2 * of_chance * of_draw / of_both
        return (variance**2 / total.clamp_min(_TINY**2)).where(total > 0, 1.0).clamp_min(1)

    return NoisyMaps(
        maps, draw, variance, dims=together(dims, of_references, max(dims, of_references)),
        df=together(max(1, (num_samples or 2) - 1), NUM_CONTRASTS * of_references, float("inf")),
    )  # fmt: skip
