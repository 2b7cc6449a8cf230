"""SmoothGrad: the mean map of noisy copies of an image (Smilkov et al., arXiv 1706.03825, 2017), over any method."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from cocoa_pl.attributions.gradients import Gradient
from cocoa_pl.attributions.sampling import counter_normal, mean_over_samples
from cocoa_pl.errors import ConfigError
from cocoa_pl.rng import derive_seed
from cocoa_pl.streaming import baseline_of
from cocoa_pl.types import Attributed, Attribution, Baseline, ScoreFn, Scorer, Target


@dataclass(frozen=True)
class SmoothGrad:
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

    def __call__(self, score_fn: ScoreFn, explicands: Tensor, baseline: Baseline, *, seed: int = 0, chunk_size: int = 256) -> Tensor:
        """Explicands and baseline (N, C, H, W) to attributions (K, N, H, W)."""
        return self.attribute(score_fn, explicands, baseline, seed=seed, chunk_size=chunk_size).maps

    def attribute(self, score_fn: ScoreFn, explicands: Tensor, baseline: Baseline, *, seed: int = 0, chunk_size: int = 256) -> Attributed:
        """The maps with standard errors and reliability, both over the noise."""
        scale = self.noise * (explicands.amax(dim=(1, 2, 3), keepdim=True) - explicands.amin(dim=(1, 2, 3), keepdim=True))
        stream = derive_seed(seed, "smoothgrad")

        def part(rows: Tensor, samples: Tensor) -> Tensor:
            noise = counter_normal(stream, samples, explicands.shape[1:], copies=len(explicands))
            noisy = torch.addcmul(explicands[rows], scale[rows], noise)
            return self.method(_of_rows(score_fn, rows), noisy, baseline_of(baseline, rows), seed=seed, chunk_size=chunk_size)

        return mean_over_samples(
            part, num=len(explicands), num_samples=self.num_samples, chunk_size=chunk_size, device=explicands.device
        )  # fmt: skip


def _of_rows(score_fn: ScoreFn, rows: Tensor) -> ScoreFn:
    """The score of copies: copy number i stems from the explicand rows[i]."""
    if isinstance(score_fn, Scorer):
        return Scorer(score_fn.encoder, _Copies(score_fn.target, rows))
    return lambda images, copies: score_fn(images, rows[copies])


@dataclass(frozen=True)
class _Copies:
    """A target for copies of explicands."""

    target: Target
    rows: Tensor

    @property
    def names(self) -> tuple[str, ...]:
        return self.target.names

    def __call__(self, reps: Tensor, copies: Tensor) -> Tensor:
        return self.target(reps, self.rows[copies])
