"""Gaussian forms: a kernel instead of the cosine, so that only corpus images nearby count.

    C(x) = mean_c exp(-|h(x) - h(c)|^2 / (2 sigma^2 D))                     (Lin, Chen, Kim & Lee, ICLR 2023)
    contrastive: C / (C + F), with F the same mean over the foil

Representations are taken as they are. Both are computed in logarithms: C / (C + F) = logistic(log C - log F) keeps its value where C and F
are too small for a float, so that a representation far from everything belongs to whichever is less far.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from cocoa_pl.errors import ConfigError
from cocoa_pl.targets.base import BaseTarget, check_pair, check_reps, keep, of_rows
from cocoa_pl.targets.statistics import warn_of_overlap


class GaussianTarget(BaseTarget):
    """The mean Gaussian kernel to a corpus, or its share in the kernels to corpus and foil.

    Args:
        corpus_reps: (M, D), or (N, M, D), a corpus for each explicand.
        foil_reps: (F, D) for the contrastive form.
        sigma: width, in standard deviations of one element of the representation.
        name: of the score.

    Raises:
        DataError: representations that no target can be made of.
        ConfigError: sigma is not positive.
    """

    def __init__(self, corpus_reps: Tensor, foil_reps: Tensor | None = None, *, sigma: float = 1.0, name: str) -> None:
        if not sigma > 0:
            raise ConfigError(f"sigma={sigma}: must be greater than 0")
        self.sigma, self._name, self._foil = sigma, name, None
        if foil_reps is None:
            corpus = check_reps(corpus_reps, what="corpus", own=True)
        else:
            corpus, foil = check_pair(corpus_reps, foil_reps)
            self._foil = _Kernel(foil, sigma)
        self._corpus = _Kernel(corpus, sigma)

    @property
    def names(self) -> tuple[str, ...]:
        return (self._name,)

    @property
    def num_rows(self) -> int | None:
        return self._corpus.num_rows

    def __call__(self, reps: Tensor, rows: Tensor) -> Tensor:
        """Reps (B, D), rows (B,) to scores (B, 1) in [0, 1]."""
        reps = reps.float()
        near = self._corpus(reps, rows)
        score = near.exp() if self._foil is None else torch.sigmoid(near - self._foil(reps, rows))
        return score[:, None]


class _Kernel:
    """The logarithm of the mean kernel to references (M, D) or (N, M, D)."""

    def __init__(self, references: Tensor, sigma: float) -> None:
        self.centre = keep(references.flatten(0, -2).mean(0))  # distances do not see it, rounding does
        self.references = keep(references - self.centre)
        self.squares = keep(self.references.square().sum(-1))
        self.scale = 2 * sigma**2 * references.shape[-1]

    @property
    def num_rows(self) -> int | None:
        return len(self.references) if self.references.ndim == 3 else None

    def __call__(self, reps: Tensor, rows: Tensor) -> Tensor:
        """Reps (B, D), rows (B,) to (B,)."""
        reps = reps - self.centre
        if self.num_rows is None:
            products, squares = reps @ self.references.T, self.squares
        else:
            products, squares = torch.einsum("bd,bmd->bm", reps, of_rows(self.references, rows)), self.squares[rows]
        distances = (reps.square().sum(-1, keepdim=True) + squares - 2 * products).clamp_min(0)
        return torch.logsumexp(-distances / self.scale, dim=-1) - math.log(self.squares.shape[-1])


def gaussian(corpus_reps: Tensor, *, sigma: float = 1.0, name: str = "gaussian") -> GaussianTarget:
    """Mean Gaussian kernel to the corpus (M, D), or to a corpus for each explicand (N, M, D); 1 in the middle of it, 0 far away.

    Raises:
        DataError: representations that no target can be made of.
        ConfigError: sigma is not positive.

    Example:
        >>> target = gaussian(torch.tensor([[0.0, 0.0]]))
        >>> [round(float(score), 4) for score in target(torch.tensor([[0.0, 0.0], [0.0, 2.0]]), torch.tensor([0, 0]))]
        [1.0, 0.3679]
    """
    return GaussianTarget(corpus_reps, sigma=sigma, name=name)


def contrastive_gaussian(
    corpus_reps: Tensor, foil_reps: Tensor, *, sigma: float = 1.0, name: str = "contrastive_gaussian"
) -> GaussianTarget:
    """C / (C + F): the share of the corpus (M, D) or (N, M, D) in the mean kernels to corpus and foil (F, D); 0.5 where they are equal.

    Raises:
        DataError: as :func:`~cocoa_pl.targets.cosine.cocoa`.
        ConfigError: sigma is not positive.

    Example:
        >>> target = contrastive_gaussian(torch.tensor([[0.0, 0.0]]), torch.tensor([[0.0, 4.0]]))
        >>> [round(float(score), 4) for score in target(torch.tensor([[0.0, 0.0], [9.0, 2.0]]), torch.tensor([0, 0]))]
        [0.982, 0.5]
    """
    target = GaussianTarget(corpus_reps, foil_reps, sigma=sigma, name=name)
    warn_of_overlap(corpus_reps, foil_reps)
    return target
