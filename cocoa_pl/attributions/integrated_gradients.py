"""Integrated gradients (Sundararajan, Taly & Yan, ICML 2017) of many targets from shared forward passes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from cocoa_pl.attributions.gradients import image_gradients
from cocoa_pl.attributions.sampling import Summed, sum_over_samples
from cocoa_pl.errors import ConfigError
from cocoa_pl.streaming import baseline_image
from cocoa_pl.types import Attributed, Baseline, Rows, ScoreFn

_SKETCH_STEPS = 2


@dataclass(frozen=True)
class IntegratedGradients(Summed):
    """Attribution_i = sum over channels of (x - b) * integral over a in [0, 1] of d score(b + a (x - b)) / dx.

    The integral is taken by Gauss-Legendre quadrature. Each interpolated image goes through the encoder once; every target costs one
    vector-Jacobian product on that pass. :func:`completeness_residual` says whether the steps are enough.

    Args:
        num_steps: nodes of the quadrature.

    Example:
        >>> weight = torch.tensor([1.0, -2.0])
        >>> score = lambda images, rows: (images.flatten(1) @ weight)[:, None]
        >>> x = torch.tensor([0.5, 1.0]).view(1, 1, 1, 2)
        >>> IntegratedGradients(num_steps=4)(score, x, torch.zeros_like(x)).flatten().tolist()
        [0.5, -2.0]
    """

    num_steps: int = 50

    def __post_init__(self) -> None:
        if self.num_steps < 1:
            raise ConfigError(f"num_steps={self.num_steps}: must be at least 1")

    def sketch(self) -> IntegratedGradients:
        """Two steps: enough to tell how large a map is, at a fraction of the cost."""
        return replace(self, num_steps=min(self.num_steps, _SKETCH_STEPS))

    def num_forwards(self, num: int, height: int, width: int) -> int:
        """One image a step and explicand."""
        return num * self.num_steps

    @property
    def num_parts(self) -> int:
        """Steps, which processes can share out."""
        return self.num_steps

    def part(self, score_fn: ScoreFn, explicands: Tensor, baseline: Baseline, *, seed: int, chunk_size: int, samples: range) -> Rows:
        """The integral (K, N, C, H, W) over some of the steps; integrals add up. Deterministic, ``seed`` plays no part.

        Raises:
            DataError: the score carries no gradient, or the baseline is no image.
        """
        start = baseline_image(baseline, method="integrated gradients")
        alphas, weights = gauss_legendre(self.num_steps, explicands.device)
        difference = (explicands - start).detach()

        def part(rows: Tensor, steps: Tensor) -> Tensor:
            alpha, weight = (values[steps].view(-1, 1, 1, 1) for values in (alphas, weights))
            images = torch.addcmul(start[rows], alpha, difference[rows])
            return image_gradients(score_fn, images, rows, lambda gradient: gradient * weight)

        options: Any = {"num": len(explicands), "chunk_size": chunk_size, "device": explicands.device}
        return {"integral": sum_over_samples(part, samples=samples, **options)}

    def whole(self, total: Rows, explicands: Tensor, baseline: Baseline) -> Attributed:
        """The maps of the integral over all steps."""
        difference = (explicands - baseline_image(baseline, method="integrated gradients")).detach()
        return Attributed((total["integral"] * difference).sum(dim=2))


def gauss_legendre(num_steps: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Nodes and weights (num_steps,) of the Gauss-Legendre quadrature over [0, 1]: exact for polynomials up to degree 2 num_steps - 1."""
    nodes, weights = np.polynomial.legendre.leggauss(num_steps)
    alphas, shares = (torch.tensor(values, dtype=torch.float32, device=device) for values in ((nodes + 1) / 2, weights / 2))
    return alphas, shares


def completeness_residual(maps: Tensor, scores: Tensor, baseline_scores: Tensor) -> Tensor:
    """|sum of the map - (score - baseline score)| / |score - baseline score|: how far a map is from sharing out the whole difference.

    Integrated gradients reach 0 as steps grow, expected gradients as samples do; a few hundredths are usual, and .1 asks for more steps.
    Where the scores hardly differ the ratio says little.

    Args:
        maps: (K, N, H, W).
        scores: (K, N), of the explicands.
        baseline_scores: (K, N), of their baseline.

    Returns:
        (K, N), 0 for a complete map.

    Example:
        >>> completeness_residual(torch.full((1, 1, 2, 2), 0.25), torch.tensor([[2.0]]), torch.tensor([[0.0]])).tolist()
        [[0.5]]
    """
    difference = scores - baseline_scores
    return (maps.sum(dim=(-2, -1)) - difference).abs() / difference.abs().clamp_min(1e-8)
