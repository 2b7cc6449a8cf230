"""Class probabilities under a linear head on the encoder: the paper's measures along insertion and deletion.

A head is any function of representations (B, D) to logits (B, L), in evaluation mode; a batch must give what single rows give.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from cocoa_pl.errors import DataError
from cocoa_pl.targets.base import BaseTarget, check_reps, of_rows

Head = Callable[[Tensor], Tensor]


class ProbabilityTarget(BaseTarget):
    """Probability of a class under a head.

    Args:
        labels: (), one class for every explicand, or (N,), one for each.
        head: reps (B, D) to logits (B, L).
        name: of the score.
    """

    def __init__(self, labels: Tensor, head: Head, *, name: str) -> None:
        with torch.inference_mode(False):
            self.labels, self.head, self._name = labels.clone(), head, name

    @property
    def names(self) -> tuple[str, ...]:
        return (self._name,)

    @property
    def num_rows(self) -> int | None:
        return len(self.labels) if self.labels.ndim else None

    def __call__(self, reps: Tensor, rows: Tensor) -> Tensor:
        """Reps (B, D), rows (B,) to probabilities (B, 1)."""
        labels = self.labels.expand(len(reps)) if self.num_rows is None else of_rows(self.labels, rows)
        return torch.softmax(self.head(reps.float()).float(), dim=1).gather(1, labels[:, None])


def corpus_majority(corpus_reps: Tensor, head: Head, *, name: str = "corpus_majority") -> ProbabilityTarget:
    """Probability of the class that the head predicts most often in the corpus (M, D), or in each explicand's own (N, M, D).

    Of classes predicted equally often it is the first (Lin, Chen, Kim & Lee, ICLR 2023, the main measure of their evaluation).

    Raises:
        DataError: representations that no target can be made of, or a head that gives something else than two or more logits an image.

    Example:
        >>> target = corpus_majority(torch.tensor([[3.0, 1.0], [2.0, 0.0], [0.0, 1.0]]), lambda reps: reps)
        >>> round(float(target(torch.tensor([[1.0, 0.0]]), torch.tensor([0]))), 4)
        0.7311
    """
    corpus = check_reps(corpus_reps, what="corpus", own=True)
    predicted, num = _predict(corpus.flatten(0, -2), head)
    votes = torch.nn.functional.one_hot(predicted, num).reshape(*corpus.shape[:-1], num).sum(dim=-2)
    return ProbabilityTarget(votes.argmax(dim=-1), head, name=name)


def explicand_probability(explicand_reps: Tensor, head: Head, *, name: str = "explicand_probability") -> ProbabilityTarget:
    """Probability of the class that the head predicts for the explicand itself, reps (N, D).

    Raises:
        DataError: as :func:`corpus_majority`.
    """
    return ProbabilityTarget(_predict(check_reps(explicand_reps, what="explicand"), head)[0], head, name=name)


@torch.no_grad()
def _predict(reps: Tensor, head: Head) -> tuple[Tensor, int]:
    """Predicted classes (M,) and how many classes there are."""
    logits = head(reps)
    if logits.ndim != 2 or len(logits) != len(reps) or logits.shape[1] < 2:
        raise DataError(f"the head made {tuple(logits.shape)} of {tuple(reps.shape)}; it must give (images, classes), 2 classes at least")
    return logits.argmax(dim=1), logits.shape[1]
