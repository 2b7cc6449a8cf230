"""Gradients of many scores with respect to their own images, from one forward pass."""

from __future__ import annotations

import torch
from torch import Tensor

from cocoa_pl.errors import DataError
from cocoa_pl.types import ScoreFn


def image_gradients(score_fn: ScoreFn, images: Tensor, rows: Tensor) -> Tensor:
    """Gradients (K, B, C, H, W) of every score with respect to its own image: one forward pass, K vector-Jacobian products.

    Gradients are taken with respect to the images only: no ``.grad`` is touched, and it works in inference mode too.

    Raises:
        DataError: the score carries no gradient.
    """
    with torch.inference_mode(False), torch.enable_grad():
        images = images.clone().requires_grad_()
        scores = score_fn(images, rows.clone()).sum(dim=0)
        if not scores.requires_grad:
            raise DataError(
                "the score carries no gradient back to the images; the encoder must be differentiable, or use rise or occlusion"
            )
        last = len(scores) - 1
        return torch.stack([torch.autograd.grad(score, images, retain_graph=k < last)[0] for k, score in enumerate(scores)])
