"""Shapley values by weighted least squares over pairs of coalitions (KernelSHAP: Lundberg & Lee, NeurIPS 2017).

A coalition z says which of d features are kept; v(z) is its score. The Shapley values phi minimise

    sum over z of w(z) (v(z) - v(0) - z . phi)^2    where    sum of phi = v(1) - v(0) = delta,    w(z) = (d - 1) / (C(d, k) k (d - k)),

k being the size of z. Coalitions come in pairs z, 1 - z of equal weight (Covert & Lee, "Improving KernelSHAP", AISTATS 2021). The two
residuals of a pair add up to the same whatever phi is, so only their difference is left to be minimised: with signs s = 2 z - 1,

    sum over pairs of w(z) (v(z) - v(1 - z) - s . phi)^2 .

Taking phi = delta / d + u with sum of u = 0 leaves a least-squares problem without a constraint, its matrix the same for all targets.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from cocoa_pl.rng import counter_uniform


def all_pairs(num_features: int) -> tuple[Tensor, Tensor]:
    """One coalition of every pair there is, with its weight.

    Returns:
        (2^(d - 1) - 1, d) bool and (2^(d - 1) - 1,) float64.

    Example:
        >>> all_pairs(3)[0].int().tolist()
        [[1, 0, 0], [0, 1, 0], [1, 1, 0]]
    """
    d = num_features
    numbers = torch.arange(1, 2 ** (d - 1))  # those without the last feature, of which the others are complements
    keep = (numbers[:, None] >> torch.arange(d)) & 1 == 1
    weight = [(d - 1) / (math.comb(d, k) * k * (d - k)) for k in range(1, d)]
    return keep, torch.tensor(weight, dtype=torch.float64)[keep.sum(dim=1) - 1]


def drawn_pairs(num_features: int, num_pairs: int, *, seed: int) -> Tensor:
    """One coalition of each of ``num_pairs`` pairs drawn by w, (P, d) bool; number i is a function of (seed, d, i).

    The size k has a probability in proportion to 1 / (k (d - k)); all coalitions of one size are equally likely.
    """
    d = num_features
    draw = counter_uniform(seed, d, torch.arange(num_pairs), num=1 + d)
    size = torch.arange(1, d, dtype=torch.float64)
    chance = (1 / (size * (d - size))).cumsum(0)
    drawn = 1 + torch.searchsorted(chance, draw[:, 0] * chance[-1], right=True)
    rank = draw[:, 1:].argsort(dim=1, stable=True).argsort(dim=1)
    return rank < drawn[:, None]


def shapley_values(keep: Tensor, weight: Tensor | None, difference: Tensor, delta: Tensor) -> tuple[Tensor, Tensor]:
    """Values from the differences of scores v(z) - v(1 - z), for any number of targets at once, in float64.

    Args:
        keep: (P, d), one coalition z of each pair.
        weight: (P,) of all pairs there are; ``None`` where the pairs were drawn by their weight.
        difference: (..., P).
        delta: (...), the difference v(1) - v(0) that the values sum to.

    Returns:
        Values (..., d) and their standard errors: 0 where nothing was drawn, else from the residuals e_i and leverages h_i of the pairs,
        whatever the residuals' distribution: sqrt(sum over i of (weight of pair i in the value)^2 e_i^2 / (1 - h_i)) (MacKinnon & White,
        "Some heteroskedasticity-consistent covariance matrix estimators", Journal of Econometrics 29, 1985, HC2). They are right to a
        tenth from P = 2 d on.

    Example:
        >>> keep, weight = all_pairs(2)
        >>> shapley_values(keep, weight, torch.tensor([3.0 - 1.0]), torch.tensor(5.0))[0].float().tolist()  # v = 3 and 1 alone, 5 together
        [3.5, 1.5]
    """
    signs = 2 * keep.double() - 1
    mean = signs.mean(dim=1)
    design = signs - mean[:, None]  # a constant added to all values changes their sum alone, which is given
    root = torch.ones_like(mean) if weight is None else weight.sqrt()
    influence = torch.linalg.pinv(root[:, None] * design) * root
    delta = delta.double()[..., None]
    offset = difference.double() - mean * delta
    deviation = offset @ influence.T
    values = delta / keep.shape[1] + deviation
    if weight is not None:
        return values, torch.zeros_like(values)
    residual = offset - deviation @ design.T
    free = (1 - (design * influence.T).sum(dim=1)).clamp_min(1e-9)  # a pair of leverage 1 has no residual
    return values, (residual**2 / free @ (influence**2).T).sqrt()
