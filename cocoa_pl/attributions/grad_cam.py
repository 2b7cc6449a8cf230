"""Grad-CAM (Selvaraju et al., ICCV 2017) of many targets, for convolutional networks and vision transformers."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from cocoa_pl.attributions.layers import Layer
from cocoa_pl.attributions.spatial import enlarged, spatial_maps
from cocoa_pl.streaming import in_chunks
from cocoa_pl.types import Baseline, ScoreFn


@dataclass(frozen=True)
class GradCam:
    """Attribution = sum over channels c of w_c A_c, with w_c the mean over positions of d score / dA_c, enlarged bilinearly.

    A are the maps of one layer, or its tokens without class and register tokens. The paper keeps the positive part; here the map is signed:
    a contrastive score is positive or negative, and what speaks for the foil is half of the answer. ``relu=True`` is the paper's form.
    Like every gradient at the explicand, it is zero for the cosine similarity of an explicand to itself. ``FrozenEncoder`` folds a batch
    norm into the convolution before it: a convolution named as ``layer`` then returns what comes after the norm.

    Args:
        layer: dotted name of a layer of the encoder; None for the last one with a spatial output on which the representations depend.
        relu: keep only what speaks for the score.

    Example:
        >>> from torch import nn
        >>> from cocoa_pl.encoding import FrozenEncoder
        >>> from cocoa_pl.targets import DirectionTarget
        >>> from cocoa_pl.types import Scorer
        >>> encoder = FrozenEncoder(nn.Sequential(nn.Conv2d(3, 4, 2, stride=2), nn.AdaptiveAvgPool2d(1), nn.Flatten()))
        >>> score_fn = Scorer(encoder, DirectionTarget(torch.ones(2, 4), names=["a", "b"]))
        >>> GradCam(layer="0")(score_fn, torch.rand(3, 3, 8, 8), torch.zeros(3, 3, 8, 8)).shape
        torch.Size([2, 3, 8, 8])
    """

    layer: str | None = None
    relu: bool = False

    def num_forwards(self, num: int, height: int, width: int) -> int:
        """Every explicand once, and one picture more where the layer has to be found."""
        return num + (self.layer is None)

    def __call__(self, score_fn: ScoreFn, explicands: Tensor, baseline: Baseline, *, seed: int = 0, chunk_size: int = 256) -> Tensor:
        """Explicands (N, C, H, W) to attributions (K, N, H, W); baseline and ``seed`` play no part.

        Raises:
            DataError: the score does not show its encoder, or the layer is not spatial.
            ConfigError: no such layer.
        """
        layer = Layer.find(score_fn, explicands, self.layer, method="grad_cam")
        height, width = explicands.shape[2:]

        def share(output: Tensor, gradient: Tensor) -> Tensor:
            maps, slopes = (spatial_maps(tensor, height, width).float() for tensor in (output, gradient))
            return torch.einsum("bchw,bc->bhw", maps, slopes.mean(dim=(2, 3)))

        def part(rows: Tensor) -> Tensor:
            return layer.gradients(explicands[rows], rows, share)

        maps = torch.cat([shares for _, shares in in_chunks(len(explicands), chunk_size, part, device=explicands.device)], dim=1)
        return enlarged(maps.relu() if self.relu else maps, height, width)
