"""Integrated gradients (Sundararajan, Taly & Yan, ICML 2017) of many targets from shared forward passes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from cocoa_pl.errors import DataError
from cocoa_pl.types import ScoreFn


@dataclass(frozen=True)
class IntegratedGradients:
    """Attribution_i = sum over channels of (x - b) * integral over a in [0, 1] of d score(b + a (x - b)) / dx.

    The integral is taken by Gauss-Legendre quadrature. Each interpolated image goes through the encoder once; every target costs one
    vector-Jacobian product on that pass. Gradients are taken with respect to images only: no ``.grad`` is touched.

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

    def __call__(self, score_fn: ScoreFn, explicands: Tensor, baseline: Tensor, *, seed: int = 0, chunk_size: int = 256) -> Tensor:
        """Explicands and baseline (N, C, H, W) to attributions (K, N, H, W); deterministic, ``seed`` plays no part.

        Raises:
            DataError: the score carries no gradient.
        """
        nodes, weights = np.polynomial.legendre.leggauss(self.num_steps)
        alphas = torch.tensor((nodes + 1) / 2, dtype=torch.float32, device=explicands.device)
        steps = torch.tensor(weights / 2, dtype=torch.float32, device=explicands.device)
        difference = explicands - baseline
        num = len(explicands)
        total: Tensor | None = None
        # one stream of (explicand, step) pairs, explicand by explicand, cut into equal chunks
        for pairs in torch.split(torch.arange(num * self.num_steps, device=explicands.device), chunk_size):
            rows, step = pairs // self.num_steps, pairs % self.num_steps
            gradients = _gradients(score_fn, baseline[rows] + alphas[step, None, None, None] * difference[rows], rows)
            if total is None:
                total = explicands.new_zeros((len(gradients), *explicands.shape))
            total.index_add_(1, rows, gradients * steps[step, None, None, None])
        assert total is not None, "no explicands"
        return (total * difference).sum(dim=2)


def _gradients(score_fn: ScoreFn, images: Tensor, rows: Tensor) -> Tensor:
    """Gradients (K, B, C, H, W) of every score with respect to its own image."""
    with torch.inference_mode(False), torch.enable_grad():
        images = images.clone().requires_grad_()
        scores = score_fn(images, rows.clone()).sum(dim=0)
        if not scores.requires_grad:
            raise DataError("integrated gradients: the score carries no gradient back to the images; the encoder must be differentiable")
        last = len(scores) - 1
        return torch.stack([torch.autograd.grad(score, images, retain_graph=k < last)[0] for k, score in enumerate(scores)])
