"""Euclidean distances, with a minus sign: like every other score, higher means closer.

They serve as measures along insertion and deletion: a good order of pixels lets any score rise early (insertion) and fall early (deletion),
and with the minus sign these too. The paper reports the distance itself: its curves are these turned upside down.
"""

from __future__ import annotations

import torch
from torch import Tensor

from cocoa_pl.targets.base import BaseTarget, check_reps, keep, of_rows


class DistanceTarget(BaseTarget):
    """Minus the mean distance to references.

    Args:
        references: (M, D), or (N, M, D), some for each explicand.
        name: of the score.
    """

    def __init__(self, references: Tensor, *, name: str) -> None:
        self._references, self._name = keep(references), name

    @property
    def names(self) -> tuple[str, ...]:
        return (self._name,)

    @property
    def num_rows(self) -> int | None:
        return len(self._references) if self._references.ndim == 3 else None

    def __call__(self, reps: Tensor, rows: Tensor) -> Tensor:
        """Reps (B, D), rows (B,) to scores (B, 1), none above 0; where a distance is zero, so is its gradient."""
        shared, own = self.num_rows is None, reps.float()
        references = self._references if shared else of_rows(self._references, rows)
        # not by matrix products: their rounding is seen where two representations are the same
        distances = torch.cdist(own if shared else own[:, None], references, compute_mode="donot_use_mm_for_euclid_dist")
        return -distances.flatten(1).mean(dim=1, keepdim=True)


def corpus_distance(corpus_reps: Tensor, *, name: str = "corpus_distance") -> DistanceTarget:
    """Minus the mean distance |h(x) - h(c)| to the corpus (M, D), or to a corpus for each explicand (N, M, D).

    Raises:
        DataError: representations that no target can be made of.

    Example:
        >>> target = corpus_distance(torch.tensor([[0.0, 0.0], [0.0, 4.0]]))
        >>> target(torch.tensor([[3.0, 0.0]]), torch.tensor([0])).tolist()
        [[-4.0]]
    """
    return DistanceTarget(check_reps(corpus_reps, what="corpus", own=True), name=name)


def representation_shift(explicand_reps: Tensor, *, name: str = "representation_shift") -> DistanceTarget:
    """Minus the distance |h(x) - h(x_e)| to the explicand itself, reps (N, D); 0 for the whole picture.

    Raises:
        DataError: representations that no target can be made of.

    Example:
        >>> target = representation_shift(torch.tensor([[0.0, 0.0], [0.0, 4.0]]))
        >>> target(torch.tensor([[3.0, 0.0], [3.0, 0.0]]), torch.tensor([0, 1])).tolist()
        [[-3.0], [-5.0]]
    """
    return DistanceTarget(check_reps(explicand_reps, what="explicand")[:, None], name=name)
