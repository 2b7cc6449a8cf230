"""RISE: attribution by random masks (Petsiuk, Das & Saenko, BMVC 2018), for many targets from one encoding, with a centred estimator.

The map is E[score * M(p)] / E[M(p)] = Cov(score, M(p)) / E[M(p)] + E[score]. The last term is the same for every pixel, yet its sampling
noise dominates the literal estimator, which divides by keep_prob: each pixel gets the mean score times its own realised coverage over
keep_prob. The centred estimator leaves that term out, divides by the realised coverage, and needs far fewer masks for the same map.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from cocoa_pl.errors import DataError
from cocoa_pl.rng import counter_uniform
from cocoa_pl.types import ScoreFn


def rise_masks(indices: Tensor, *, seed: int, height: int, width: int, grid_size: int = 7, keep_prob: float = 0.5) -> Tensor:
    """Masks number ``indices`` of the sequence ``seed``: each a function of (seed, its number) alone.

    A mask is a grid of cells, each kept with ``keep_prob``, enlarged bilinearly and shifted by its own random part of a cell.

    Args:
        indices: (m,) int64.
        seed: which sequence.
        height: in pixels.
        width: in pixels; a wide image gets more columns, so that cells stay square.
        grid_size: cells along the shorter side.
        keep_prob: share of cells kept.

    Returns:
        (m, H, W) floats in [0, 1], 1 where the pixel is kept.
    """
    cell = math.ceil(min(height, width) / grid_size)
    rows, cols = math.ceil(height / cell) + 1, math.ceil(width / cell) + 1
    draw = counter_uniform(seed, indices, num=2 + rows * cols)
    bits = (draw[:, 2:] < keep_prob).float().view(-1, rows, cols)
    return _interpolation(draw[:, 0], height, rows, cell) @ bits @ _interpolation(draw[:, 1], width, cols, cell).mT


def _interpolation(shift: Tensor, pixels: int, cells: int, cell: int) -> Tensor:
    """Weights (m, pixels, cells) of linear interpolation between cell centres, shifted by a share of a cell."""
    axis = torch.arange(pixels, device=shift.device, dtype=torch.float32)
    position = ((axis + 0.5) / cell + shift[:, None]).clamp(0.5, cells - 0.5) - 0.5
    centres = torch.arange(cells, device=shift.device, dtype=torch.float32)
    return (1 - (position[:, :, None] - centres).abs()).clamp_min(0)


@dataclass(frozen=True)
class RiseSums:
    """Running sums over masks: all that a RISE map needs, and additive, so that two runs over different masks merge.

    Attributes:
        num: masks summed.
        score: sum of score - pivot, (K, N).
        mask: sum of masks, (H, W).
        product: sum of (score - pivot) * mask, (K, N, H, W).
        pivot: (K, N), a constant taken off the scores for precision; the same in runs that are merged.
        keep_prob: the masks' expected coverage.
    """

    num: int
    score: Tensor
    mask: Tensor
    product: Tensor
    pivot: Tensor
    keep_prob: float

    def __add__(self, other: RiseSums) -> RiseSums:
        return RiseSums(
            self.num + other.num, self.score + other.score, self.mask + other.mask, self.product + other.product, self.pivot, self.keep_prob
        )  # fmt: skip

    def attribution(self, *, centred: bool = True) -> Tensor:
        """The map (K, N, H, W): covariance of score and mask over the realised coverage, or the mean of score * mask over keep_prob."""
        coverage = self.mask / self.num
        if centred:
            covariance = self.product / self.num - (self.score / self.num)[..., None, None] * coverage
            return (covariance / coverage.clamp_min(1e-6)).float()
        return ((self.product / self.num + self.pivot[..., None, None] * coverage) / self.keep_prob).float()


@dataclass(frozen=True)
class Rise:
    """Mean score of the masked images in which a pixel is kept, relative to the mean of all of them.

    Args:
        num_masks: masks; mask i is a function of (seed, i), common to all explicands, so a run of n is a prefix of a run of 2 n.
        grid_size: cells along the shorter side; the paper takes 7 at 224 px and 4 at 32 px.
        keep_prob: share of cells kept.
        estimator: ``centred`` (default) or ``petsiuk``, the mean of score * mask over keep_prob, to the letter of the paper.

    Example:
        >>> constant = lambda images, rows: torch.ones(len(images), 1)
        >>> image = torch.rand(1, 3, 8, 8)
        >>> float(Rise(num_masks=32)(constant, image, torch.zeros_like(image)).abs().max())
        0.0
    """

    num_masks: int = 1000
    grid_size: int = 7
    keep_prob: float = 0.5
    estimator: str = "centred"

    def num_forwards(self, num: int, height: int, width: int) -> int:
        """Every mask on every explicand, and the explicands themselves."""
        return num * (self.num_masks + 1)

    def __call__(self, score_fn: ScoreFn, explicands: Tensor, baseline: Tensor, *, seed: int = 0, chunk_size: int = 256) -> Tensor:
        """Explicands and baseline (N, C, H, W) to attributions (K, N, H, W)."""
        sums = self.sums(score_fn, explicands, baseline, seed=seed, chunk_size=chunk_size)
        return sums.attribution(centred=self.estimator == "centred")

    def sums(
        self, score_fn: ScoreFn, explicands: Tensor, baseline: Tensor, *, seed: int = 0, first: int = 0, chunk_size: int = 256
    ) -> RiseSums:
        """Sums over masks ``first`` to ``first + num_masks``; sums of adjacent runs add up to the run of both.

        Raises:
            DataError: the grid has more cells than the images have pixels.
        """
        height, width = explicands.shape[-2:]
        side = min(height, width)
        if side < self.grid_size:
            raise DataError(f"grid_size={self.grid_size} has more cells than images of {height} x {width} pixels have; take at most {side}")
        blocks = [
            self._block(score_fn, *block, seed=seed, first=first, chunk_size=chunk_size, start=start)
            for start, block in _blocks(explicands, baseline, chunk_size)
        ]
        return RiseSums(
            self.num_masks, torch.cat([b.score for b in blocks], 1), blocks[0].mask, torch.cat([b.product for b in blocks], 1),
            torch.cat([b.pivot for b in blocks], 1), self.keep_prob,
        )  # fmt: skip

    @torch.no_grad()
    def _block(
        self, score_fn: ScoreFn, explicands: Tensor, baseline: Tensor, *, seed: int, first: int, chunk_size: int, start: int
    ) -> RiseSums:
        """Sums for at most ``chunk_size`` explicands, the ``start``-th and following."""
        num, _, height, width = explicands.shape
        rows = torch.arange(start, start + num, device=explicands.device)
        precise = torch.float32 if explicands.device.type == "mps" else torch.float64  # Apple's GPUs have no double precision
        pivot = score_fn(explicands, rows).to(precise).T
        score = torch.zeros_like(pivot)
        mask_sum = torch.zeros(height, width, dtype=precise, device=explicands.device)
        product = torch.zeros(*pivot.shape, height * width, dtype=precise, device=explicands.device)
        difference = explicands - baseline
        for indices in torch.split(torch.arange(first, first + self.num_masks, device=explicands.device), max(1, chunk_size // num)):
            masks = rise_masks(
                indices, seed=seed, height=height, width=width, grid_size=self.grid_size, keep_prob=self.keep_prob
            )  # fmt: skip
            images = torch.addcmul(baseline[:, None], masks[None, :, None], difference[:, None]).flatten(0, 1)
            scores = score_fn(images, rows.repeat_interleave(len(masks))).T.view(len(pivot), num, len(masks))
            centred = scores.to(precise) - pivot[..., None]
            score += centred.sum(-1)
            mask_sum += masks.to(precise).sum(0)
            product += centred @ masks.flatten(1).to(precise)
        return RiseSums(self.num_masks, score, mask_sum, product.view(*pivot.shape, height, width), pivot, self.keep_prob)


def _blocks(explicands: Tensor, baseline: Tensor, size: int) -> list[tuple[int, tuple[Tensor, Tensor]]]:
    return [(k * size, pair) for k, pair in enumerate(zip(torch.split(explicands, size), torch.split(baseline, size), strict=True))]
