"""RISE: attribution by random masks (Petsiuk, Das & Saenko, BMVC 2018), for many targets from one encoding, with a centred estimator.

The map is E[score * M(p)] / E[M(p)] = Cov(score, M(p)) / E[M(p)] + E[score]. The last term is the same for every pixel, yet its sampling
noise dominates the literal estimator, which divides by keep_prob: each pixel gets the mean score times its own realised coverage over
keep_prob. The centred estimator leaves that term out, divides by the realised coverage, and needs far fewer masks for the same map.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import torch
from torch import Tensor

from cocoa_pl.attributions.reliability import stepped_up_correlation
from cocoa_pl.attributions.rise_masks import mask_directions, rise_masks
from cocoa_pl.attributions.rise_sums import RiseSums
from cocoa_pl.errors import ConfigError, DataError, choices_hint
from cocoa_pl.streaming import blend, in_chunks, in_ranges, precise_dtype
from cocoa_pl.types import Attributed, Baseline, Rows, ScoreFn

ESTIMATORS = ("centred", "petsiuk")
_ROUND = 32  # fewest masks in a round; fewer would leave passes through the encoder part empty
_FEWEST = 64  # masks before precision is judged: a standard error of fewer says little


@dataclass(frozen=True)
class Rise:
    """Mean score of the masked images in which a pixel is kept, relative to the mean of all of them.

    Args:
        num_masks: masks, at most; mask i is a function of (seed, i), common to all explicands, so a run of n is a prefix of a run of 2 n.
        grid_size: cells along the shorter side; the paper takes 7 at 224 px and 4 at 32 px.
        keep_prob: share of cells kept.
        estimator: ``centred`` (default) or ``petsiuk``, the mean of score * mask over keep_prob, to the letter of the paper.
        precision: stop when the standard error is at most this share of the map's standard deviation, for every explicand and target.
        time_budget: stop after this many seconds, with whole rounds of masks.

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
    precision: float | None = None
    time_budget: float | None = None

    def __post_init__(self) -> None:
        if self.num_masks < 2:
            raise ConfigError(f"num_masks={self.num_masks}: must be at least 2")
        if self.grid_size < 1:
            raise ConfigError(f"grid_size={self.grid_size}: must be at least 1")
        if not 0 < self.keep_prob < 1:
            raise ConfigError(f"keep_prob={self.keep_prob}: must lie between 0 and 1")
        if self.estimator not in ESTIMATORS:
            raise ConfigError(f"estimator={self.estimator}: unknown; {choices_hint(self.estimator, ESTIMATORS)}")
        if self.precision is not None and self.estimator == "petsiuk":
            raise ConfigError(f"precision={self.precision}: judges the centred estimator; leave it out with estimator=petsiuk")
        for name, value in (("precision", self.precision), ("time_budget", self.time_budget)):
            if value is not None and not value > 0:
                raise ConfigError(f"{name}={value}: must be greater than 0")

    def num_forwards(self, num: int, height: int, width: int) -> int:
        """Every mask on every explicand, and the explicands themselves; an upper bound with ``precision`` or ``time_budget``."""
        return num * (self.num_masks + 1)

    def __call__(self, score_fn: ScoreFn, explicands: Tensor, baseline: Baseline, *, seed: int = 0, chunk_size: int = 256) -> Tensor:
        """Explicands and baseline (N, C, H, W) to attributions (K, N, H, W)."""
        return self.attribute(score_fn, explicands, baseline, seed=seed, chunk_size=chunk_size).maps

    def attribute(self, score_fn: ScoreFn, explicands: Tensor, baseline: Baseline, *, seed: int = 0, chunk_size: int = 256) -> Attributed:
        """The maps with the number of masks taken and, of the centred estimator, standard errors and reliability."""
        return self._read(self.sums(score_fn, explicands, baseline, seed=seed, chunk_size=chunk_size))

    @property
    def num_parts(self) -> int:
        """Masks, which processes can share out; 0 where the number of masks is not known beforehand, or scores enter as they are."""
        return self.num_masks if self.estimator == "centred" and self.precision is None and self.time_budget is None else 0

    def part(self, score_fn: ScoreFn, explicands: Tensor, baseline: Baseline, *, seed: int, chunk_size: int, samples: range) -> Rows:
        """Sums over some of the masks; sums add up."""
        return self._sum(score_fn, explicands, baseline, seed=seed, masks=samples, chunk_size=chunk_size).tensors()

    def whole(self, total: Rows, explicands: Tensor, baseline: Baseline) -> Attributed:
        """The maps of the sums over all masks."""
        return self._read(RiseSums.of_tensors(total, keep_prob=self.keep_prob))

    def sums(
        self, score_fn: ScoreFn, explicands: Tensor, baseline: Baseline, *, seed: int = 0, first: int = 0, chunk_size: int = 256
    ) -> RiseSums:
        """Sums over masks ``first`` to ``first + num_masks``; sums of adjacent runs add up to the run of both.

        Masks come in rounds. The (explicand, mask) pairs of a round are one stream of passes through the encoder, and its scores meet its
        masks in one matrix product for all explicands and targets.

        Raises:
            DataError: the grid has more cells than the images have pixels.
        """
        return self._sum(score_fn, explicands, baseline, seed=seed, masks=range(first, first + self.num_masks), chunk_size=chunk_size)

    def _read(self, sums: RiseSums) -> Attributed:
        if self.estimator == "petsiuk":
            return Attributed(sums.attribution(centred=False), num_samples=sums.num_masks)
        maps, halves, (height, width) = sums.attribution(), sums.halves(), sums.mask.shape[-2:]
        return Attributed(
            maps, sums.standard_error(maps), stepped_up_correlation(*halves), sums.num_masks, draw=(halves[0] - halves[1]) / 2,
            dims=mask_directions(height, width, grid_size=self.grid_size, keep_prob=self.keep_prob),
        )  # fmt: skip

    @torch.no_grad()
    def _sum(
        self, score_fn: ScoreFn, explicands: Tensor, baseline: Baseline, *, seed: int, masks: range, chunk_size: int
    ) -> RiseSums:  # fmt: skip
        num, (height, width), device = len(explicands), explicands.shape[-2:], explicands.device
        side = min(height, width)
        if side < self.grid_size:
            raise DataError(f"grid_size={self.grid_size} has more cells than images of {height} x {width} pixels have; take at most {side}")
        began = time.monotonic()
        own = [scores for _, scores in in_chunks(num, chunk_size, lambda rows: score_fn(explicands[rows], rows), device=device)]
        sums = RiseSums.empty(torch.cat(own).to(precise_dtype(device)).T.contiguous(), height, width, keep_prob=self.keep_prob)
        round_size = max(_ROUND, 2 * chunk_size // num)
        for start in range(masks.start, masks.stop, round_size):
            indices = torch.arange(start, min(start + round_size, masks.stop), device=device)
            keep = rise_masks(indices, seed=seed, height=height, width=width, grid_size=self.grid_size, keep_prob=self.keep_prob)
            scores, chunk_size = _scores(score_fn, explicands, baseline, keep, chunk_size)
            sums.add_(scores, keep, first=start)
            if self._enough(sums, began=began):
                break
        return sums

    def _enough(self, sums: RiseSums, *, began: float) -> bool:
        if self.time_budget is not None:
            if sums.pivot.device.type == "cuda":
                torch.cuda.synchronize(sums.pivot.device)  # what is only queued has not been paid for yet
            if time.monotonic() - began >= self.time_budget:
                return True
        if self.precision is None or sums.num_masks < _FEWEST:
            return False
        return bool((sums.relative_error() <= self.precision).all())


def _scores(score_fn: ScoreFn, explicands: Tensor, baseline: Baseline, masks: Tensor, chunk_size: int) -> tuple[Tensor, int]:
    """Scores (K, N, m) of every explicand under every mask (m, H, W), and the images in a pass that memory had room for.

    Pairs come explicand by explicand. A pass is whole explicands with all masks, or one explicand with some: either way pictures and masks
    meet by broadcasting, without a copy of each for every pair.
    """
    num, keep, device = len(masks), masks[:, None], explicands.device
    pass_size = max(1, chunk_size // num) * num if num <= chunk_size else chunk_size

    def part(first: int, end: int) -> Tensor:
        rows = torch.arange(first, end, device=device) // num
        if isinstance(baseline, Tensor) and first % num == 0 and end % num == 0:
            block = slice(first // num, end // num)
            return score_fn(torch.lerp(baseline[block, None], explicands[block, None], keep).flatten(0, 1), rows)
        if isinstance(baseline, Tensor) and first // num == (end - 1) // num:
            one, some = first // num, slice(first % num, first % num + end - first)
            return score_fn(torch.lerp(baseline[one], explicands[one], keep[some]), rows)
        return score_fn(blend(explicands[rows], baseline, keep[torch.arange(first, end, device=device) % num], rows), rows)

    parts, largest = [], 0
    for first, end, scores in in_ranges(len(explicands) * num, pass_size, part):
        parts.append(scores)
        largest = max(largest, end - first)
    fits = chunk_size if largest >= min(pass_size, len(explicands) * num) else largest
    return torch.cat(parts).T.reshape(-1, len(explicands), num), fits
