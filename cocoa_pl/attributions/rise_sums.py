"""What RISE adds up over masks, and everything that can be read off the sums: map, standard error, reliability."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from cocoa_pl.attributions.reliability import stepped_up_correlation
from cocoa_pl.errors import ConfigError

_TINY = 1e-12
_ADDITIVE = ("num", "score", "square", "mask", "mask_square", "product")


@dataclass(frozen=True)
class RiseSums:
    """Running sums over masks, apart for masks of even and odd number; additive, so that two runs over different masks merge.

    Attributes:
        num: masks summed, (2,): even, odd.
        score: sum of score - pivot, (2, K, N).
        square: sum of (score - pivot)^2, (2, K, N).
        mask: sum of masks, (2, H, W).
        mask_square: sum of squared masks, (2, H, W).
        product: sum of (score - pivot) * mask, (2, K, N, H, W).
        pivot: (K, N), a constant taken off the scores for precision, the explicands' own scores; the same in runs that are merged.
        keep_prob: the masks' expected coverage.
    """

    num: Tensor
    score: Tensor
    square: Tensor
    mask: Tensor
    mask_square: Tensor
    product: Tensor
    pivot: Tensor
    keep_prob: float

    @staticmethod
    def empty(pivot: Tensor, height: int, width: int, *, keep_prob: float) -> RiseSums:
        """Sums over no mask, in the type and on the device of the pivot (K, N)."""
        zeros = pivot.new_zeros
        halves = (2, *pivot.shape)
        return RiseSums(
            zeros(2), zeros(halves), zeros(halves), zeros(2, height, width), zeros(2, height, width), zeros(*halves, height, width), pivot,
            keep_prob,
        )  # fmt: skip

    def add_(self, scores: Tensor, masks: Tensor, *, first: int) -> None:
        """Take in scores (K, N, m) of masks (m, H, W), of which the foremost has the number ``first``."""
        # one round in single precision, its mean score taken off by the pivot; the sums in double
        centred = (scores.to(self.pivot.dtype) - self.pivot[..., None]).float().flatten(0, 1)
        kept = masks.flatten(1)
        for half in (0, 1):
            mine = slice((half + first) % 2, None, 2)
            own, pixels = centred[:, mine], kept[mine]
            ones = own.new_ones(1, own.shape[1])
            sums = torch.cat([own, ones]) @ pixels  # products, and below them the sum of masks
            self.num[half] += own.shape[1]
            self.score[half] += own.sum(1).view_as(self.score[half])
            self.square[half] += own.square().sum(1).view_as(self.square[half])
            self.mask[half] += sums[-1].view_as(self.mask[half])
            self.mask_square[half] += torch.einsum("mp,mp->p", pixels, pixels).view_as(self.mask[half])
            self.product[half] += sums[:-1].view_as(self.product[half])

    def __add__(self, other: RiseSums) -> RiseSums:
        """Sums over the masks of both runs.

        Raises:
            ConfigError: they are not runs of one thing: other explicands, targets, sizes or coverage.
        """
        if self.product.shape != other.product.shape or self.keep_prob != other.keep_prob or not torch.allclose(self.pivot, other.pivot):
            raise ConfigError("sums over masks merge only where explicands, targets and keep_prob are the same")
        return RiseSums(
            self.num + other.num, self.score + other.score, self.square + other.square, self.mask + other.mask,
            self.mask_square + other.mask_square, self.product + other.product, self.pivot, self.keep_prob,
        )  # fmt: skip

    def tensors(self) -> dict[str, Tensor]:
        """What adds up, by name; the pivot does not, and the centred map needs none."""
        return {name: getattr(self, name) for name in _ADDITIVE}

    @staticmethod
    def of_tensors(tensors: Mapping[str, Tensor], *, keep_prob: float) -> RiseSums:
        """Sums from what :meth:`tensors` gave, or from totals of it, with a pivot of zero."""
        return RiseSums(**tensors, pivot=torch.zeros_like(tensors["score"][0]), keep_prob=keep_prob)

    @property
    def num_masks(self) -> int:
        """Masks summed, even and odd."""
        return int(self.num.sum())

    def attribution(self, *, centred: bool = True) -> Tensor:
        """The map (K, N, H, W).

        Cov(score, mask) over the realised coverage or, not ``centred``, the mean of score * mask over ``keep_prob``, Petsiuk's equation 6.
        """
        num = self.num.sum()
        coverage, mean_score, product = self.mask.sum(0) / num, self.score.sum(0) / num, self.product.sum(0) / num
        if centred:
            return _centred(product, mean_score, coverage).float()
        return ((product + self.pivot[..., None, None] * coverage) / self.keep_prob).float()

    def halves(self) -> Tensor:
        """The centred maps (2, K, N, H, W) of even and of odd masks: two independent estimates; zeros where a half has no mask."""
        num = self.num.clamp_min(1)
        parts = [_centred(self.product[h] / num[h], self.score[h] / num[h], self.mask[h] / num[h]) for h in (0, 1)]
        return torch.stack(parts).float()

    def standard_error(self, attribution: Tensor | None = None) -> Tensor:
        """Monte-Carlo standard error (K, N, H, W) of every pixel of the centred map, which need not be made again where it is at hand.

        Var = (Var(score) Var(mask) - Cov(score, mask)^2) / (num * coverage^2). The squared deviations of score and mask are taken as
        uncorrelated, which is exact for masks of zeros and ones at a keep probability of one half.
        """
        num = self.num.sum()
        coverage, mean_score = self.mask.sum(0) / num, self.score.sum(0) / num
        variance = (self.square.sum(0) / num - mean_score**2).clamp_min(0).float()
        relative_spread = ((self.mask_square.sum(0) / num - coverage**2).clamp_min(0) / coverage.clamp_min(1e-6) ** 2).float()
        maps = self.attribution() if attribution is None else attribution  # the covariance over the coverage
        return (variance[..., None, None] * relative_spread - maps**2).clamp_min_(0).div_(num.float()).sqrt_()

    def relative_error(self) -> Tensor:
        """(K, N): root mean square standard error over the standard deviation of the map; 0 where score and map are constant."""
        maps = self.attribution()
        error = self.standard_error(maps).square().mean((-2, -1)).sqrt()
        return torch.where(error == 0, torch.zeros_like(error), error / maps.std((-2, -1)).clamp_min(_TINY))  # NaN stays NaN

    def reliability(self) -> Tensor:
        """(K, N): the correlation to expect between this map and the one of as many other masks, from the two halves."""
        return stepped_up_correlation(*self.halves())


def _centred(product: Tensor, mean_score: Tensor, coverage: Tensor) -> Tensor:
    return (product - mean_score[..., None, None] * coverage) / coverage.clamp_min(1e-6)
