"""Integrated gradients with respect to a layer's output, for convolutional networks and vision transformers."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from cocoa_pl.attributions.integrated_gradients import gauss_legendre
from cocoa_pl.attributions.layers import Layer
from cocoa_pl.attributions.sampling import sum_over_samples
from cocoa_pl.attributions.spatial import enlarged, spatial_maps
from cocoa_pl.errors import ConfigError
from cocoa_pl.streaming import baseline_image, in_chunks
from cocoa_pl.types import Baseline, ScoreFn


@dataclass(frozen=True)
class LayerIntegratedGradients:
    """Attribution = sum over channels of (A(x) - A(b)) * integral over a of d score(A(b) + a (A(x) - A(b))) / dA, enlarged bilinearly.

    A is the output of one layer (Sundararajan, Taly & Yan, ICML 2017, with the layer's output for the input). Where all that the score sees
    passes through the layer, the map sums to the score difference; the share of a class token is left out. Enlarging keeps the sum
    where the image's sides are multiples of the map's. Tokens of late layers have looked at one another, and what goes round a norm by a
    residual connection has no share: of a transformer the first layer of tokens is taken, where each still stands for its patch.
    ``FrozenEncoder`` folds a batch norm into the convolution before it: a convolution named as ``layer`` then returns what comes after the
    norm.

    Args:
        num_steps: nodes of the Gauss-Legendre quadrature.
        layer: dotted name of a layer of the encoder; None for the last one with a spatial output on which the representations depend, of
            transformers the first one of tokens.

    Example:
        >>> from torch import nn
        >>> from cocoa_pl.encoding import FrozenEncoder
        >>> from cocoa_pl.targets import DirectionTarget
        >>> from cocoa_pl.types import Scorer
        >>> encoder = FrozenEncoder(nn.Sequential(nn.Conv2d(3, 4, 2, stride=2), nn.AdaptiveAvgPool2d(1), nn.Flatten()))
        >>> score_fn, images = Scorer(encoder, DirectionTarget(torch.ones(1, 4), names=["a"])), torch.rand(2, 3, 8, 8)
        >>> maps = LayerIntegratedGradients(layer="0")(score_fn, images, torch.zeros_like(images))
        >>> difference = score_fn(images, torch.arange(2)) - score_fn(torch.zeros_like(images), torch.arange(2))
        >>> bool((maps.sum(dim=(2, 3)).T - difference).abs().max() < 1e-3)
        True
    """

    num_steps: int = 50
    layer: str | None = None

    def __post_init__(self) -> None:
        if self.num_steps < 1:
            raise ConfigError(f"num_steps={self.num_steps}: must be at least 1")

    def num_forwards(self, num: int, height: int, width: int) -> int:
        """Every step, explicand and baseline once, and one picture more where the layer has to be found."""
        return num * (self.num_steps + 2) + (self.layer is None)

    def __call__(self, score_fn: ScoreFn, explicands: Tensor, baseline: Baseline, *, seed: int = 0, chunk_size: int = 256) -> Tensor:
        """Explicands and baseline (N, C, H, W) to attributions (K, N, H, W); deterministic, ``seed`` plays no part.

        Raises:
            DataError: the score does not show its encoder, the layer is not spatial, or the baseline is no image.
            ConfigError: no such layer.
        """
        start = baseline_image(baseline, method="layer_integrated_gradients")
        layer = Layer.find(score_fn, explicands, self.layer, method="layer_integrated_gradients", first_of_tokens=True)
        alphas, weights = gauss_legendre(self.num_steps, explicands.device)
        height, width = explicands.shape[2:]

        def block(own: Tensor) -> Tensor:
            """Maps (K, n, h, w) of as many explicands as fill one pass with their steps."""
            images, first = explicands[own], layer.output(start[own]).float()
            difference = layer.output(images).float() - first

            def part(rows: Tensor, steps: Tensor) -> Tensor:
                gap, alpha = difference[rows], alphas[steps].view(-1, *[1] * (first.ndim - 1))

                def share(output: Tensor, gradient: Tensor) -> Tensor:
                    return spatial_maps(gradient.float() * gap, height, width).sum(dim=1) * weights[steps, None, None]

                return layer.gradients(images[rows], own[rows], share, swap=torch.addcmul(first[rows], alpha, gap))

            return sum_over_samples(part, num=len(own), samples=range(self.num_steps), chunk_size=chunk_size, device=own.device)

        blocks = in_chunks(len(explicands), max(1, chunk_size // self.num_steps), block, device=explicands.device)
        maps = torch.cat([shares for _, shares in blocks], dim=1)
        return enlarged(maps, height, width) * (maps.shape[2] * maps.shape[3] / (height * width))
