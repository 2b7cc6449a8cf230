"""The one place where encoder, target, attribution and removal meet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from cocoa_pl.encoding import FrozenEncoder
from cocoa_pl.errors import DataError
from cocoa_pl.types import Attribution, Baseline, Removal, Scorer, Target


@dataclass(frozen=True)
class Explanation:
    """What the engine returns.

    Attributes:
        attributions: method name to signed attributions (K, N, H, W).
        scores: (K, N), the targets' scores of the explicands.
        targets: K names.
        baseline: (N, C, H, W) or a fill, what stood for absent pixels.
        seed: the seed of all masks and noise.
    """

    attributions: dict[str, Tensor]
    scores: Tensor
    targets: tuple[str, ...]
    baseline: Baseline
    seed: int


class Explainer:
    """Explains the scores that targets give to an encoder's representations.

    Args:
        encoder: images to representations.
        attributions: name to method.
        removal: what absent pixels show.
        chunk_size: images in one pass through the encoder, for all methods.

    Example:
        >>> from torch import nn
        >>> from cocoa_pl.attributions import IntegratedGradients
        >>> from cocoa_pl.removal import Black
        >>> from cocoa_pl.targets import cocoa
        >>> encoder = FrozenEncoder(nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU()))
        >>> images = torch.rand(6, 3, 16, 16)
        >>> target = cocoa(encoder.encode(images[:2]), encoder.encode(images[2:]))
        >>> explainer = Explainer(encoder, attributions={"ig": IntegratedGradients(num_steps=8)}, removal=Black())
        >>> explainer.explain(images[:2], target).attributions["ig"].shape
        torch.Size([1, 2, 16, 16])
    """

    def __init__(self, encoder: FrozenEncoder, *, attributions: Mapping[str, Attribution], removal: Removal, chunk_size: int = 256) -> None:
        self.encoder, self.attributions, self.removal, self.chunk_size = encoder, dict(attributions), removal, chunk_size

    def score_fn(self, target: Target) -> Scorer:
        """Encoder and target as one function: images (B, C, H, W), rows (B,) to scores (B, K)."""
        return Scorer(self.encoder, target)

    def explain(self, explicands: Tensor, target: Target, *, seed: int = 0) -> Explanation:
        """Attributions of every target by every method.

        Args:
            explicands: (N, C, H, W) in [0, 1].
            target: K scalars; with a reference for each explicand, row n belongs to explicand n.
            seed: masks and noise are a function of it.

        Raises:
            DataError: wrong shape, no explicand, bytes instead of floats, or values that are not finite.
        """
        if explicands.ndim != 4 or len(explicands) == 0:
            raise DataError(f"explicands {tuple(explicands.shape)}: must be (N, C, H, W) with N at least 1")
        if not explicands.is_floating_point():
            raise DataError(f"explicands of type {explicands.dtype}: must be floats in [0, 1]; divide bytes by 255")
        if not bool(torch.isfinite(explicands).all()):
            raise DataError("explicands hold NaN or infinite pixels")
        explicands = explicands.to(self.encoder.device)
        baseline = self.removal(explicands)
        score_fn = self.score_fn(target)
        maps = {
            name: method(score_fn, explicands, baseline, seed=seed, chunk_size=self.chunk_size)
            for name, method in self.attributions.items()
        }
        with torch.no_grad():
            rows = torch.arange(len(explicands), device=explicands.device)
            scores = torch.cat([score_fn(explicands[part], part) for part in torch.split(rows, self.chunk_size)]).T
        return Explanation(maps, scores, tuple(target.names), baseline, seed)
