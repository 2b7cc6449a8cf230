"""Targets that are linear in the normalised representation: score(x) = <h^(x), d> with h^ = h / |h|.

Every cosine target of the paper is one direction d (N explicands, K targets, D elements; see ``types.py``):

    label-free               d = h^(x_e)                    (Crabbe & van der Schaar 2022; cosine form RELAX, Wickstrom et al. 2022)
    contrastive label-free   d = h^(x_e) - mean f^
    corpus similarity        d = mean c^
    COCOA                    d = mean c^ - mean f^          (Lin, Chen, Kim & Lee, ICLR 2023)

so K targets cost one encoding of the perturbed images and a matrix product.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from cocoa_pl.errors import DataError

_EPS = 1e-8


def normalize(reps: Tensor) -> Tensor:
    """Reps (..., D) to unit length; an all-zero representation stays zero instead of turning into NaN."""
    unit: Tensor = reps / reps.norm(dim=-1, keepdim=True).clamp_min(_EPS)
    return unit


class DirectionTarget:
    """K directions to which normalised representations are compared by dot product.

    Args:
        directions: (K, D), the same for every explicand, or (K, N, D), one for each explicand.
        names: K names.

    Raises:
        DataError: shapes that do not fit.

    Example:
        >>> target = DirectionTarget(torch.tensor([[1.0, 0.0]]), names=["east"])
        >>> target(torch.tensor([[3.0, 4.0], [0.0, 0.0]]), torch.tensor([0, 0])).tolist()
        [[0.6000000238418579], [0.0]]
    """

    def __init__(self, directions: Tensor, *, names: Sequence[str]) -> None:
        if directions.ndim not in (2, 3) or len(directions) != len(names):
            raise DataError(f"directions {tuple(directions.shape)} must be (K, D) or (K, N, D) with K = {len(names)} names")
        with torch.inference_mode(False):  # a direction made in inference mode could not carry gradients
            self.directions = directions.detach().float().clone()
        self._names = tuple(names)

    @property
    def names(self) -> tuple[str, ...]:
        return self._names

    def __call__(self, reps: Tensor, rows: Tensor) -> Tensor:
        """Reps (B, D), rows (B,) to scores (B, K) in [-2, 2]."""
        if reps.shape[-1] != self.directions.shape[-1]:
            raise DataError(f"representations of length {reps.shape[-1]} met a target of length {self.directions.shape[-1]}")
        unit = normalize(reps.float())
        if self.directions.ndim == 2:
            return unit @ self.directions.T
        return torch.einsum("bd,kbd->bk", unit, self.directions[:, rows])

    def __add__(self, other: DirectionTarget) -> DirectionTarget:
        """Both sets of targets in one pass."""
        mine, theirs = self.directions, other.directions
        if mine.ndim != theirs.ndim:
            num = max(d.shape[1] for d in (mine, theirs) if d.ndim == 3)
            mine, theirs = (d if d.ndim == 3 else d[:, None].expand(-1, num, -1) for d in (mine, theirs))
        return DirectionTarget(torch.cat([mine, theirs]), names=self._names + other._names)


def mean_direction(reps: Tensor, *, what: str) -> Tensor:
    """Mean of normalised reps (..., M, D) over M.

    Raises:
        DataError: no representations at all.
    """
    if reps.shape[-2] == 0:
        raise DataError(f"the {what} is empty: at least one image is needed")
    return normalize(reps.float()).mean(dim=-2)


def label_free(explicand_reps: Tensor, *, name: str = "label_free") -> DirectionTarget:
    """Cosine similarity to the explicand itself, reps (N, D)."""
    return DirectionTarget(normalize(explicand_reps.float())[None], names=[name])


def contrastive_label_free(explicand_reps: Tensor, foil_reps: Tensor, *, name: str = "contrastive_label_free") -> DirectionTarget:
    """Cosine similarity to the explicand (N, D), minus the mean similarity to the foil (F, D)."""
    return DirectionTarget((normalize(explicand_reps.float()) - mean_direction(foil_reps, what="foil"))[None], names=[name])


def corpus_similarity(corpus_reps: Tensor, *, name: str = "corpus") -> DirectionTarget:
    """Mean cosine similarity to the corpus (M, D), or to a corpus for each explicand (N, M, D)."""
    return DirectionTarget(mean_direction(corpus_reps, what="corpus")[None], names=[name])


def cocoa(corpus_reps: Tensor, foil_reps: Tensor, *, name: str = "cocoa") -> DirectionTarget:
    """COCOA: mean similarity to the corpus (M, D) or (N, M, D), minus mean similarity to the foil (F, D)."""
    direction = mean_direction(corpus_reps, what="corpus") - mean_direction(foil_reps, what="foil")
    return DirectionTarget(direction[None], names=[name])
