"""Occlusion: what the score loses where a window is removed (Zeiler & Fergus, ECCV 2014), for many targets from one stream of images."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from cocoa_pl.attributions.masking import masked_scores
from cocoa_pl.errors import ConfigError, DataError
from cocoa_pl.types import Baseline, ScoreFn


@dataclass(frozen=True)
class Occlusion:
    """Score lost when a window is removed, averaged over the windows that cover a pixel.

    Square windows stand every ``stride`` pixels from the upper left corner; the last ones are cut off by the border, so that every pixel is
    covered. Attribution_i = mean over the windows W that cover pixel i of score(x) - score(x without W).

    Args:
        window: side in pixels; default: an eighth of the image's shorter side, rounded up.
        stride: distance of neighbouring windows in pixels; default: half a window, rounded up.

    Raises:
        ConfigError: window or stride is not positive, or the stride leaves gaps between windows.

    Example:
        >>> weight = torch.tensor([1.0, 2.0, -3.0, 0.0])
        >>> score = lambda images, rows: (images.flatten(1) @ weight)[:, None]
        >>> x = torch.ones(1, 1, 1, 4)
        >>> Occlusion(window=1)(score, x, torch.zeros_like(x)).flatten().tolist()
        [1.0, 2.0, -3.0, 0.0]
    """

    window: int | None = None
    stride: int | None = None

    def __post_init__(self) -> None:
        for name, value in (("window", self.window), ("stride", self.stride)):
            if value is not None and value < 1:
                raise ConfigError(f"{name}={value}: must be at least 1 pixel")
        if self.window and self.stride and self.stride > self.window:
            raise ConfigError(f"stride={self.stride}: must be at most window={self.window}, or pixels between windows are never removed")

    def num_forwards(self, num: int, height: int, width: int) -> int:
        """Every window of every explicand, and the explicands themselves."""
        window, stride = self._window(height, width)
        return num * (1 + _steps(height, window, stride) * _steps(width, window, stride))

    def __call__(self, score_fn: ScoreFn, explicands: Tensor, baseline: Baseline, *, seed: int = 0, chunk_size: int = 256) -> Tensor:
        """Explicands (N, C, H, W) and their baseline to attributions (K, N, H, W); deterministic, ``seed`` plays no part.

        Raises:
            DataError: the window is larger than the images, or the stride larger than the default window.
        """
        height, width = explicands.shape[-2:]
        window, stride = self._window(height, width)
        down, across = (_cover(side, window, stride).to(explicands.device) for side in (height, width))
        num_windows = len(down) * len(across)

        def keep(rows: Tensor, masks: Tensor) -> Tensor:
            removed = down[masks % num_windows // len(across), :, None] * across[masks % len(across), None, :]
            return (1 - removed * (masks < num_windows)[:, None, None])[:, None]  # the last mask removes nothing

        rows = torch.arange(len(explicands), device=explicands.device)
        scores = masked_scores(score_fn, explicands, baseline, keep, rows=rows, num_masks=num_windows + 1, chunk_size=chunk_size)
        lost = (scores[..., -1:] - scores[..., :-1]).float().view(*scores.shape[:2], len(down), len(across))
        return (down / down.sum(dim=0)).T @ lost @ (across / across.sum(dim=0))

    def _window(self, height: int, width: int) -> tuple[int, int]:
        side = min(height, width)
        window = self.window or math.ceil(side / 8)
        stride = self.stride or math.ceil(window / 2)
        if window > side:
            raise DataError(f"window={window} is larger than images of {height} x {width} pixels; take at most {side}")
        if stride > window:
            raise DataError(f"stride={stride} is larger than the window of {window} pixels that images of {height} x {width} get")
        return window, stride


def _steps(side: int, window: int, stride: int) -> int:
    return math.ceil((side - window) / stride) + 1


def _cover(side: int, window: int, stride: int) -> Tensor:
    """Which pixels each window covers along one axis: (steps, side), 1 where it does."""
    start = torch.arange(_steps(side, window, stride))[:, None] * stride
    pixel = torch.arange(side)
    return ((pixel >= start) & (pixel < start + window)).float()
