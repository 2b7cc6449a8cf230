"""Targets that are linear in the representation: score(x) = <h^(x), d> with h^ = h / |h|, or <h(x), d> for dot products.

Every cosine target of the paper is one direction d (N explicands, K targets, D elements; see ``types.py``):

    label-free               d = h^(x_e)                    (Crabbe & van der Schaar 2022; cosine form RELAX, Wickstrom et al. 2022)
    contrastive label-free   d = h^(x_e) - mean f^
    corpus similarity        d = mean c^
    COCOA                    d = mean c^ - mean f^          (Lin, Chen, Kim & Lee, ICLR 2023)

so K targets cost one encoding of the perturbed images and a matrix product. The dot-product forms leave out every ^.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import overload

import torch
from torch import Tensor

from cocoa_pl.errors import DataError
from cocoa_pl.targets.base import (
    BaseTarget,
    Similarity,
    as_compared,
    check_lengths,
    check_pair,
    check_reps,
    check_similarity,
    common_rows,
    keep,
    lengths,
    of_rows,
    unique_names,
)
from cocoa_pl.targets.statistics import warn_of_overlap
from cocoa_pl.types import Target


class DirectionTarget(BaseTarget):
    """K directions to which representations are compared by cosine or dot product.

    Direction k of explicand n is ``shared[k] + sum_j mix[j, k] own[n, j]``: what all explicands have in common, and a mixture of references
    of the explicand's own. Sums of direction targets are direction targets.

    Args:
        directions: (K, D), the same for every explicand, or (K, N, D), one for each explicand.
        names: K names.
        similarity: ``cosine``: representations are normalised first; ``dot``: they are taken as they are.

    Raises:
        DataError: shapes that do not fit.
        ConfigError: unknown similarity.

    Example:
        >>> target = DirectionTarget(torch.tensor([[1.0, 0.0]]), names=["east"])
        >>> target(torch.tensor([[3.0, 4.0], [0.0, 0.0]]), torch.tensor([0, 0])).tolist()
        [[0.6000000238418579], [0.0]]
    """

    def __init__(self, directions: Tensor, *, names: Sequence[str], similarity: Similarity = "cosine") -> None:
        if directions.ndim not in (2, 3) or len(directions) != len(names):
            raise DataError(f"directions {tuple(directions.shape)} must be (K, D) or (K, N, D) with K = {len(names)} names")
        check_similarity(similarity)
        self._names, num = tuple(names), len(names)
        with torch.inference_mode(False):  # what is made in inference mode cannot carry gradients
            self._shared = keep(directions)  # (K, D)
            self._own: Tensor | None = None  # (N, J, D)
            self._mix = self._shared.new_zeros(0, num)  # (J, K)
            if directions.ndim == 3:
                self._own, self._mix = self._shared.transpose(0, 1).contiguous(), torch.eye(num, device=directions.device)
                self._shared = self._shared.new_zeros(num, directions.shape[-1])
            self._cosine = torch.full((num,), similarity == "cosine", device=directions.device)

    @classmethod
    def mixture(
        cls, shared: Tensor, own: Tensor, mix: Tensor, *, names: Sequence[str], similarity: Similarity = "cosine"
    ) -> DirectionTarget:
        """K directions shared (K, D) plus mixtures, mix (J, K), of each explicand's own references (N, J, D): no (K, N, D) is ever made."""
        target = cls(shared, names=names, similarity=similarity)
        target._own, target._mix = keep(own), keep(mix)
        return target

    @classmethod
    def joined(cls, targets: Sequence[DirectionTarget]) -> DirectionTarget:
        """All directions of several targets, in their order. Raises as :func:`~cocoa_pl.targets.stack.stack`."""
        if len(targets) == 1:
            return targets[0]
        check_lengths(**{f"target {k}": target._shared for k, target in enumerate(targets)})
        common_rows(targets)
        names = unique_names(name for target in targets for name in target.names)
        owns = [target._own for target in targets if target._own is not None]
        with torch.inference_mode(False):
            whole = cls(torch.cat([target._shared for target in targets]), names=names)
            whole._own = torch.cat(owns, dim=1) if owns else None
            whole._mix = torch.block_diag(*[target._mix for target in targets])  # type: ignore[no-untyped-call]
            whole._cosine = torch.cat([target._cosine for target in targets])
        return whole

    @property
    def names(self) -> tuple[str, ...]:
        return self._names

    @property
    def num_rows(self) -> int | None:
        return None if self._own is None else len(self._own)

    @property
    def directions(self) -> Tensor:
        """The directions (K, D), or (K, N, D) where explicands have references of their own."""
        return self._shared if self._own is None else self._shared[:, None] + torch.einsum("jk,njd->knd", self._mix, self._own)

    def __call__(self, reps: Tensor, rows: Tensor) -> Tensor:
        """Reps (B, D), rows (B,) to scores (B, K); of cosines, none is longer than its direction."""
        if reps.shape[-1] != self._shared.shape[-1]:
            raise DataError(f"representations of length {reps.shape[-1]} met a target of length {self._shared.shape[-1]}")
        reps = reps.float()
        scores = reps @ self._shared.T
        if self._own is not None:
            scores = scores + torch.einsum("bd,bjd->bj", reps, of_rows(self._own, rows)) @ self._mix
        return torch.where(self._cosine, scores / lengths(reps), scores)

    @overload
    def __add__(self, other: DirectionTarget) -> DirectionTarget: ...
    @overload
    def __add__(self, other: Target) -> BaseTarget: ...
    def __add__(self, other: Target) -> BaseTarget:
        """Both sets of targets in one pass."""
        return super().__add__(other)


def mean_direction(reps: Tensor, *, what: str, similarity: Similarity = "cosine") -> Tensor:
    """Mean of reps (..., M, D) over M, normalised beforehand for cosines.

    Raises:
        DataError: as :func:`~cocoa_pl.targets.base.check_reps`.
    """
    return as_compared(check_reps(reps, what=what, own=True), similarity).mean(dim=-2)


def label_free(explicand_reps: Tensor, *, similarity: Similarity = "cosine", name: str = "label_free") -> DirectionTarget:
    """Similarity to the explicand itself, reps (N, D).

    Raises:
        DataError: no representation, a wrong shape, NaN or infinite values; so do all targets below.
    """
    explicands = check_reps(explicand_reps, what="explicand")
    return DirectionTarget(as_compared(explicands, similarity)[None], names=[name], similarity=similarity)


def contrastive_label_free(
    explicand_reps: Tensor, foil_reps: Tensor, *, similarity: Similarity = "cosine", name: str = "contrastive_label_free"
) -> DirectionTarget:
    """Similarity to the explicand (N, D), minus the mean similarity to the foil (F, D)."""
    explicands, foil = check_reps(explicand_reps, what="explicand"), check_reps(foil_reps, what="foil")
    check_lengths(explicands=explicands, foil=foil)
    return _contrast(explicands[:, None], foil, similarity, name)


def corpus_similarity(corpus_reps: Tensor, *, similarity: Similarity = "cosine", name: str = "corpus") -> DirectionTarget:
    """Mean similarity to the corpus (M, D), or to a corpus for each explicand (N, M, D)."""
    return DirectionTarget(mean_direction(corpus_reps, what="corpus", similarity=similarity)[None], names=[name], similarity=similarity)


def cocoa(corpus_reps: Tensor, foil_reps: Tensor, *, similarity: Similarity = "cosine", name: str = "cocoa") -> DirectionTarget:
    """COCOA: mean similarity to the corpus (M, D) or (N, M, D), minus mean similarity to the foil (F, D).

    A corpus of one image is allowed and says what that image has beyond a typical one; the paper finds maps stable from about 20 images on.
    Foil images that are in the corpus as well cancel out of the score, so they are warned of.

    Raises:
        DataError: corpus or foil empty, of a wrong shape, of different lengths, or with NaN or infinite values.

    Example:
        >>> target = cocoa(torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 2.0], [1.0, 1.0]]))
        >>> [round(value, 3) for value in target.directions[0].tolist()]
        [0.646, -0.854]
    """
    corpus, foil = check_pair(corpus_reps, foil_reps)
    warn_of_overlap(corpus, foil)
    return _contrast(corpus, foil, similarity, name)


def label_free_dot(explicand_reps: Tensor, *, name: str = "label_free_dot") -> DirectionTarget:
    """Dot product with the explicand itself, reps (N, D) (Crabbe & van der Schaar 2022)."""
    return label_free(explicand_reps, similarity="dot", name=name)


def contrastive_label_free_dot(explicand_reps: Tensor, foil_reps: Tensor, *, name: str = "contrastive_label_free_dot") -> DirectionTarget:
    """Dot product with the explicand (N, D), minus the mean dot product with the foil (F, D)."""
    return contrastive_label_free(explicand_reps, foil_reps, similarity="dot", name=name)


def corpus_dot(corpus_reps: Tensor, *, name: str = "corpus_dot") -> DirectionTarget:
    """Mean dot product with the corpus (M, D) or (N, M, D)."""
    return corpus_similarity(corpus_reps, similarity="dot", name=name)


def cocoa_dot(corpus_reps: Tensor, foil_reps: Tensor, *, name: str = "cocoa_dot") -> DirectionTarget:
    """Mean dot product with the corpus (M, D) or (N, M, D), minus the mean dot product with the foil (F, D)."""
    return cocoa(corpus_reps, foil_reps, similarity="dot", name=name)


def _contrast(corpus: Tensor, foil: Tensor, similarity: Similarity, name: str) -> DirectionTarget:
    direction = as_compared(corpus, similarity).mean(dim=-2) - as_compared(foil, similarity).mean(dim=-2)
    return DirectionTarget(direction[None], names=[name], similarity=similarity)
