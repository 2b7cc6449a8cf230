"""GradientSHAP (Lundberg & Lee, NeurIPS 2017) and expected gradients (Erion et al., Nature Machine Intelligence 2021)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from cocoa_pl.attributions.gradients import image_gradients
from cocoa_pl.attributions.sampling import Summed, counter_normal, mean_of_moments, moments_over_samples
from cocoa_pl.errors import ConfigError, DataError
from cocoa_pl.rng import counter_uniform, derive_seed
from cocoa_pl.streaming import baseline_image
from cocoa_pl.types import Attributed, Baseline, Rows, ScoreFn


@dataclass(frozen=True)
class GradientShap(Summed):
    """Attribution = mean over s of sum over channels of (x_s - b) * d score(b + a_s (x_s - b)) / dx, with x_s = x + noise_s, a_s uniform.

    It is integrated gradients by Monte Carlo, of a noisy explicand. Every explicand starts from its own row of the baseline. Sample number
    s, that is its place on the way, its noise and its image of the pool, is a function of (seed, s), common to all explicands.

    Args:
        num_samples: draws for each explicand; the COCOA paper takes 50.
        noise: standard deviation of the noise in pixels of [0, 1]; the COCOA paper takes .2.
        stratified: draw a_s from the s-th of ``num_samples`` equal parts of [0, 1], which lowers the variance; the standard error is then
            an upper bound.
        pool: images (P, C, H, W) from which every sample draws its baseline instead of the explicand's own: expected gradients.

    Example:
        >>> weight = torch.tensor([1.0, -2.0])
        >>> score = lambda images, rows: (images.flatten(1) @ weight)[:, None]
        >>> x = torch.tensor([0.5, 1.0]).view(1, 1, 1, 2)
        >>> GradientShap(num_samples=4, noise=0)(score, x, torch.zeros_like(x)).flatten().tolist()
        [0.5, -2.0]
    """

    num_samples: int = 50
    noise: float = 0.2
    stratified: bool = False
    pool: Tensor | None = field(default=None, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.num_samples < 1:
            raise ConfigError(f"num_samples={self.num_samples}: must be at least 1")
        if not self.noise >= 0:
            raise ConfigError(f"noise={self.noise}: must be at least 0")
        if self.pool is not None and (self.pool.ndim != 4 or len(self.pool) == 0):
            raise DataError(f"pool {tuple(self.pool.shape)}: must be images (P, C, H, W) with P at least 1")

    def num_forwards(self, num: int, height: int, width: int) -> int:
        """One image a sample and explicand."""
        return num * self.num_samples

    @property
    def num_parts(self) -> int:
        """Samples, which processes can share out."""
        return self.num_samples

    def part(self, score_fn: ScoreFn, explicands: Tensor, baseline: Baseline, *, seed: int, chunk_size: int, samples: range) -> Rows:
        """Moments over some of the samples; moments add up.

        Raises:
            DataError: the score carries no gradient, the baseline is no image, or the pool has images of another size.
        """
        starts = self._starts(baseline, explicands)
        way, noise = (derive_seed(seed, "gradient_shap", name) for name in ("way", "noise"))

        def part(rows: Tensor, samples: Tensor) -> Tensor:
            alphas, choice = counter_uniform(way, samples, num=2).T
            if self.stratified:
                alphas = (samples + alphas) / self.num_samples
            start = starts[rows] if self.pool is None else starts[(choice * len(starts)).long()]
            gap = explicands[rows].sub_(start)
            if self.noise:
                gap.add_(counter_normal(noise, samples, explicands.shape[1:], copies=len(explicands)), alpha=self.noise)
            images = torch.addcmul(start, alphas.view(-1, 1, 1, 1), gap)
            return image_gradients(score_fn, images, rows, lambda gradient: (gradient * gap).sum(dim=1))

        options: Any = {"num": len(explicands), "chunk_size": chunk_size, "device": explicands.device}
        return {"moments": moments_over_samples(part, samples=samples, **options)}

    def whole(self, total: Rows, explicands: Tensor, baseline: Baseline) -> Attributed:
        """The maps of the moments over all samples."""
        return mean_of_moments(total["moments"], num_samples=self.num_samples)

    def _starts(self, baseline: Baseline, explicands: Tensor) -> Tensor:
        if self.pool is None:
            return baseline_image(baseline, method="gradient_shap")
        if self.pool.shape[1:] != explicands.shape[1:]:
            raise DataError(f"pool of images {tuple(self.pool.shape[1:])} met explicands {tuple(explicands.shape[1:])}: must be the same")
        return self.pool.to(explicands.device)
