"""Gradients of many scores with respect to their own images, from one forward pass, and the two methods that are little more."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from cocoa_pl.errors import DataError
from cocoa_pl.streaming import in_chunks
from cocoa_pl.types import Baseline, ScoreFn


def plain(tensor: Tensor) -> Tensor:
    """The tensor without its past, fit for autograd even where it was made in inference mode."""
    return tensor.clone() if tensor.is_inference() else tensor.detach()


def pull_back(scores: Tensor, at: Tensor, share: Callable[[Tensor], Tensor]) -> Tensor:
    """One vector-Jacobian product for each of K scores, handed to ``share`` at once so that never more than one is held.

    Args:
        scores: (B, K); a score depends on its own row of ``at`` only.
        at: (B, ...), what the scores were computed from.
        share: gradient (B, ...) of one score to what is kept of it.

    Returns:
        What ``share`` made, K of them stacked.

    Raises:
        DataError: the scores carry no gradient.
    """
    totals = scores.sum(dim=0)
    shares = []
    for k, total in enumerate(totals):
        gradient = None
        if total.requires_grad:
            (gradient,) = torch.autograd.grad(total, at, retain_graph=k < len(totals) - 1, allow_unused=True)
        if gradient is None:
            raise DataError(
                "the score carries no gradient back to the images; the encoder must be differentiable, or use rise or occlusion"
            )
        with torch.no_grad():
            shares.append(share(gradient))
    return torch.stack(shares)


def image_gradients(score_fn: ScoreFn, images: Tensor, rows: Tensor, share: Callable[[Tensor], Tensor]) -> Tensor:
    """``share`` of the gradient (B, C, H, W) of each of K scores with respect to its own image: one forward pass, K backward.

    Gradients are taken with respect to the images only: no ``.grad`` is touched, and it works in inference mode too.

    Raises:
        DataError: the score carries no gradient.

    Example:
        >>> square = lambda images, rows: images.square().sum((1, 2, 3))[:, None]
        >>> image_gradients(square, torch.ones(2, 3, 1, 1), torch.arange(2), lambda gradient: gradient.sum(1)).flatten().tolist()
        [6.0, 6.0]
    """
    with torch.inference_mode(False), torch.enable_grad():
        images = plain(images).requires_grad_()
        # a channels-last network returns channels-last gradients, and sums over channels are slow across two layouts
        return pull_back(score_fn(images, plain(rows)), images, lambda gradient: share(gradient.contiguous()))


@dataclass(frozen=True)
class Gradient:
    """Attribution = sum over channels of d score / dx (Simonyan, Vedaldi & Zisserman, ICLR workshop 2014), with its sign.

    The cosine similarity of an explicand to itself is at its maximum and has no gradient there: explain a target with a corpus or a foil.

    Example:
        >>> weight = torch.tensor([1.0, -2.0])
        >>> score = lambda images, rows: (images.flatten(1) @ weight)[:, None]
        >>> x = torch.tensor([0.5, 1.0]).view(1, 1, 1, 2)
        >>> Gradient()(score, x, torch.zeros_like(x)).flatten().tolist()
        [1.0, -2.0]
    """

    def num_forwards(self, num: int, height: int, width: int) -> int:
        """Every explicand once."""
        return num

    def __call__(self, score_fn: ScoreFn, explicands: Tensor, baseline: Baseline, *, seed: int = 0, chunk_size: int = 256) -> Tensor:
        """Explicands (N, C, H, W) to attributions (K, N, H, W); baseline and ``seed`` play no part.

        Raises:
            DataError: the score carries no gradient.
        """
        return _in_one_pass(score_fn, explicands, chunk_size, lambda gradient, images: gradient.sum(dim=1))


@dataclass(frozen=True)
class GradientXInput:
    """Attribution = sum over channels of x * d score / dx (Shrikumar et al., arXiv 1605.01713).

    x are pixels in [0, 1], before the encoder's own normalisation: a black pixel gets nothing. It is the first-order share of the way from
    black to the image; where another baseline is meant, take integrated gradients.

    Example:
        >>> weight = torch.tensor([1.0, -2.0])
        >>> score = lambda images, rows: (images.flatten(1) @ weight)[:, None]
        >>> x = torch.tensor([0.5, 1.0]).view(1, 1, 1, 2)
        >>> GradientXInput()(score, x, torch.zeros_like(x)).flatten().tolist()
        [0.5, -2.0]
    """

    def num_forwards(self, num: int, height: int, width: int) -> int:
        """Every explicand once."""
        return num

    def __call__(self, score_fn: ScoreFn, explicands: Tensor, baseline: Baseline, *, seed: int = 0, chunk_size: int = 256) -> Tensor:
        """Explicands (N, C, H, W) to attributions (K, N, H, W); baseline and ``seed`` play no part.

        Raises:
            DataError: the score carries no gradient.
        """
        return _in_one_pass(score_fn, explicands, chunk_size, lambda gradient, images: (gradient * images).sum(dim=1))


def _in_one_pass(score_fn: ScoreFn, explicands: Tensor, chunk_size: int, share: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """``share`` (b, H, W) of gradient and images, for every explicand: (K, N, H, W)."""

    def part(rows: Tensor) -> Tensor:
        images = explicands[rows]
        return image_gradients(score_fn, images, rows, lambda gradient: share(gradient, images))

    return torch.cat([shares for _, shares in in_chunks(len(explicands), chunk_size, part, device=explicands.device)], dim=1)
