"""What a text is set beside in each picture: the other texts of its foil, and texts whose maps should differ from its own.

A map that is the same for *any* text shows what stands out to the encoder, not what was asked. So every text has company: a nonsense text
in the same sentences, and of the foil's texts the one that the picture is least like. All are contrasted with the same texts.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from cocoa_pl.metrics.prompts import presence

_ALSO_THERE = 3  # other things of the foil that a picture may well show
_SHARE_ALSO_THERE = 0.1  # of a long list's names: some mean nearly the same, or are near by habit
_ROUNDING = 1e-4


@dataclass(frozen=True)
class Prompted:
    """What the texts of one target are compared with, beside their foil.

    Attributes:
        key: targets of one key are compared with the same.
        texts: (F, D) means of the unit representations of each text of the foil; (0, D) where it has none.
        nonsense: (D,), the same of nonsense.
        words: of the first prompt, in order; empty where their attributions are not wanted.
        word_directions: (W, D), each word's attribution along every dimension of a representation.
    """

    key: str
    texts: Tensor
    nonsense: Tensor
    words: tuple[str, ...]
    word_directions: Tensor

    def least_like(self, explicands: Tensor) -> Tensor | None:
        """Of the foil's texts the one (n, D) that each unit representation (n, D) is least like; None where there are fewer than two."""
        return None if len(self.texts) < 2 else self.texts[(explicands @ self.texts.T).argmin(1)]

    def ranks(self, own: Tensor, reps: Tensor) -> Tensor:
        """Shares (n,) of the foil's texts that score lower than scores (n,) do for unit representations (n, D); NaN without texts."""
        return presence(own, reps @ self.texts.T) if len(self.texts) else torch.full_like(own, torch.nan)

    def ranks_among(self, labels: Tensor, reps: Tensor) -> Tensor:
        """The same of the foil's own texts labels (n,), among the others."""
        scores, num = reps @ self.texts.T, len(self.texts)
        return (presence(scores.gather(1, labels[:, None])[:, 0], scores) * num - 0.5) / (num - 1)


def best_concepts(explicands: Tensor, prompts: Tensor) -> Tensor:
    """Concepts (C, M, D) in the order in which explicands (n, D) are like them, (n, C).

    Example:
        >>> best_concepts(torch.tensor([[0.6, 0.8]]), torch.eye(2)[:, None]).tolist()
        [[1, 0]]
    """
    return (explicands @ prompts.mean(1).T).argsort(dim=1, descending=True, stable=True)


def can_tell(num_texts: int) -> bool:
    """Whether a rank among so many texts can ever say that something is missing."""
    return num_texts > _ALSO_THERE


def is_missing(ranks: Tensor, num_texts: int) -> Tensor:
    """Whether ranks (n,) are so low that what a text names is probably not in the picture; never of NaN.

    That is where more than a tenth of the foil's texts score higher, and more than three: a picture shows more than one thing. A text that
    has nothing to do with the picture has any rank with equal chance, so 90 of 100 such are found against the 99 other names of CIFAR-100,
    64 against ten texts, and none against three, which are too few to tell.

    Example:
        >>> is_missing(torch.tensor([0.95, 0.85]), 99).tolist(), is_missing(torch.tensor([0.0]), 3).tolist()
        ([False, True], [False])
    """
    above = (1 - ranks) * num_texts
    return (above > max(_ALSO_THERE, _SHARE_ALSO_THERE * num_texts) + _ROUNDING) & ~ranks.isnan()
