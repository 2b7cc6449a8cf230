"""Integrated gradients (Sundararajan, Taly & Yan, ICML 2017) of many targets from shared forward passes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from cocoa_pl.attributions.gradients import image_gradients
from cocoa_pl.streaming import baseline_image, in_chunks
from cocoa_pl.types import Baseline, ScoreFn


@dataclass(frozen=True)
class IntegratedGradients:
    """Attribution_i = sum over channels of (x - b) * integral over a in [0, 1] of d score(b + a (x - b)) / dx.

    The integral is taken by Gauss-Legendre quadrature. Each interpolated image goes through the encoder once; every target costs one
    vector-Jacobian product on that pass.

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

    def num_forwards(self, num: int, height: int, width: int) -> int:
        """One image a step and explicand."""
        return num * self.num_steps

    def __call__(self, score_fn: ScoreFn, explicands: Tensor, baseline: Baseline, *, seed: int = 0, chunk_size: int = 256) -> Tensor:
        """Explicands and baseline (N, C, H, W) to attributions (K, N, H, W); deterministic, ``seed`` plays no part.

        Raises:
            DataError: the score carries no gradient, or the baseline is no image.
        """
        nodes, weights = np.polynomial.legendre.leggauss(self.num_steps)
        alphas = torch.tensor((nodes + 1) / 2, dtype=torch.float32, device=explicands.device)
        steps = torch.tensor(weights / 2, dtype=torch.float32, device=explicands.device)
        start = baseline_image(baseline, method="integrated gradients")
        difference = explicands - start

        def part(pairs: Tensor) -> Tensor:
            rows, step = pairs // self.num_steps, pairs % self.num_steps
            gradients = image_gradients(score_fn, torch.addcmul(start[rows], alphas[step, None, None, None], difference[rows]), rows)
            return (gradients * difference[rows]).sum(dim=2) * steps[step, None, None]

        total: Tensor | None = None
        # one stream of (explicand, step) pairs, explicand by explicand, cut into equal chunks
        for pairs, shares in in_chunks(len(explicands) * self.num_steps, chunk_size, part, device=explicands.device):
            if total is None:
                total = shares.new_zeros(len(shares), len(explicands), *shares.shape[2:])
            total.index_add_(1, pairs // self.num_steps, shares)
        assert total is not None, "no explicands"
        return total
