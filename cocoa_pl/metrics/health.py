"""How healthy the representation is: alignment, uniformity, collapse, effective rank."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor


def alignment(first: Tensor, second: Tensor) -> float:
    """Mean squared distance of the normalised reps of two views (N, D), 0 is perfect (Wang & Isola, ICML 2020)."""
    return float((F.normalize(first.float(), dim=1) - F.normalize(second.float(), dim=1)).square().sum(1).mean())


def uniformity(reps: Tensor) -> float:
    """log mean exp(-2 |u - v|^2) over pairs of normalised reps (N, D), lower is better, 0 is collapsed (Wang & Isola, ICML 2020)."""
    return float(torch.pdist(F.normalize(reps.float(), dim=1)).square().mul(-2).exp().mean().log())


def collapse_level(reps: Tensor) -> float:
    """0 for reps (N, D) spread over the sphere, 1 for a single direction (Chen & He, 2021): max(0, 1 - sqrt(D) * mean std of unit reps)."""
    unit = F.normalize(reps.float(), dim=1)
    return max(0.0, 1 - float(unit.std(0, correction=0).mean()) * math.sqrt(unit.shape[1]))


def effective_rank(reps: Tensor) -> float:
    """exp of the entropy of the normalised singular values of centred reps (N, D), 1 to D (Roy & Vetterli, 2007; RankMe, 2023)."""
    if not bool(torch.isfinite(reps).all()):
        return float("nan")
    singular = torch.linalg.svdvals(reps.float() - reps.float().mean(0))
    share = singular / singular.sum().clamp_min(1e-12)
    return float((-(share * share.clamp_min(1e-12).log()).sum()).exp())
