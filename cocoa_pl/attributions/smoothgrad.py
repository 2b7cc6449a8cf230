"""SmoothGrad: the mean map of noisy copies of an image (Smilkov et al., arXiv 1706.03825, 2017), over any method."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from cocoa_pl.attributions.copies import of_rows
from cocoa_pl.attributions.gradients import Gradient
from cocoa_pl.attributions.sampling import Summed, counter_normal, mean_of_moments, moments_over_samples
from cocoa_pl.errors import ConfigError
from cocoa_pl.rng import derive_seed
from cocoa_pl.streaming import baseline_of
from cocoa_pl.types import Attributed, Attribution, Baseline, Rows, ScoreFn


@dataclass(frozen=True)
class SmoothGrad(Summed):
    """Attribution = mean over s of method(x + noise_s), noise_s normal.

    Noise number s is a function of (seed, s), common to all explicands. ``SmoothGrad(method=IntegratedGradients())`` smooths another one.

    Args:
        num_samples: noisy copies of each explicand.
        noise: standard deviation of the noise as a share of the explicand's own range, its largest pixel minus its smallest.
        method: what is averaged.

    Example:
        >>> score = lambda images, rows: images.pow(3).sum((1, 2, 3))[:, None]
        >>> x = torch.rand(1, 1, 2, 2)
        >>> alone = SmoothGrad(num_samples=1, noise=0)(score, x, torch.zeros_like(x))
        >>> bool(torch.equal(alone, Gradient()(score, x, torch.zeros_like(x))))
        True
    """

    num_samples: int = 50
    noise: float = 0.15
    method: Attribution = field(default_factory=Gradient)

    def __post_init__(self) -> None:
        if self.num_samples < 1:
            raise ConfigError(f"num_samples={self.num_samples}: must be at least 1")
        if not self.noise >= 0:
            raise ConfigError(f"noise={self.noise}: must be at least 0")

    def num_forwards(self, num: int, height: int, width: int) -> int:
        """What the method takes for every noisy copy."""
        return self.method.num_forwards(num * self.num_samples, height, width)

    @property
    def num_parts(self) -> int:
        """Noisy copies, which processes can share out."""
        return self.num_samples

    def part(self, score_fn: ScoreFn, explicands: Tensor, baseline: Baseline, *, seed: int, chunk_size: int, samples: range) -> Rows:
        """Moments over some of the noisy copies; moments add up."""
        scale = self.noise * (explicands.amax(dim=(1, 2, 3), keepdim=True) - explicands.amin(dim=(1, 2, 3), keepdim=True))
        stream = derive_seed(seed, "smoothgrad")

        def part(rows: Tensor, samples: Tensor) -> Tensor:
            noise = counter_normal(stream, samples, explicands.shape[1:], copies=len(explicands))
            noisy = torch.addcmul(explicands[rows], scale[rows], noise)
            return self.method(of_rows(score_fn, rows), noisy, baseline_of(baseline, rows), seed=seed, chunk_size=chunk_size)

        options: Any = {"num": len(explicands), "chunk_size": chunk_size, "device": explicands.device}
        return {"moments": moments_over_samples(part, samples=samples, **options)}

    def whole(self, total: Rows, explicands: Tensor, baseline: Baseline) -> Attributed:
        """The maps of the moments over all noisy copies."""
        return mean_of_moments(total["moments"], num_samples=self.num_samples)
