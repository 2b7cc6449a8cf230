"""Controls: maps that know nothing of the score, which an attribution has to beat.

They take the place of a method but score one image only, to learn the number of targets. Maps that draw random numbers draw them for every
target afresh, from (seed, target) alone: all explicands get the same noise, so that a batch equals single runs, and another seed shows
how much of a control's result is luck.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from cocoa_pl.errors import ConfigError
from cocoa_pl.rng import counter_uniform
from cocoa_pl.types import Baseline, ScoreFn


@torch.no_grad()
def _num_targets(score_fn: ScoreFn, explicands: Tensor) -> int:
    return score_fn(explicands[:1], torch.zeros(1, dtype=torch.int64, device=explicands.device)).shape[1]


def _noise(num: int, height: int, width: int, *, seed: int, device: torch.device) -> Tensor:
    """Uniform noise (num, H, W) in [-1, 1): map k is a function of (seed, k)."""
    draw = counter_uniform(seed, torch.arange(num, device=device), num=height * width)
    return (2 * draw - 1).view(num, height, width)


@dataclass(frozen=True)
class Random:
    """Independent noise in every pixel: ranks the pixels in a random order.

    Example:
        >>> score = lambda images, rows: images.mean(dim=(1, 2, 3))[:, None]
        >>> x = torch.rand(2, 3, 8, 8)
        >>> Random()(score, x, torch.zeros_like(x)).shape
        torch.Size([1, 2, 8, 8])
    """

    def num_forwards(self, num: int, height: int, width: int) -> int:
        """One image, to learn the number of targets."""
        return 1

    def __call__(self, score_fn: ScoreFn, explicands: Tensor, baseline: Baseline, *, seed: int = 0, chunk_size: int = 256) -> Tensor:
        """Maps (K, N, H, W), one for each target."""
        num, _, height, width = explicands.shape
        maps = _noise(_num_targets(score_fn, explicands), height, width, seed=seed, device=explicands.device)
        return maps[:, None].repeat(1, num, 1, 1)


@dataclass(frozen=True)
class SmoothRandom:
    """Noise as smooth as a map of RISE: what smoothness alone earns.

    White noise under the kernel by which RISE enlarges its cells, a tent that falls to zero over one cell along both axes. So two pixels
    are as correlated as they are in a RISE mask, and the map is one that RISE would make of a score of pure chance. Its variance is 1.

    Args:
        grid_size: cells along the shorter side, as RISE's.

    Raises:
        ConfigError: no cell.

    Example:
        >>> score = lambda images, rows: images.mean(dim=(1, 2, 3))[:, None]
        >>> x = torch.rand(1, 3, 32, 32)
        >>> smooth = SmoothRandom()(score, x, torch.zeros_like(x))
        >>> bool(smooth.diff(dim=3).std() < 0.5 * smooth.std())
        True
    """

    grid_size: int = 7

    def __post_init__(self) -> None:
        if self.grid_size < 1:
            raise ConfigError(f"grid_size={self.grid_size}: must be at least 1 cell along the shorter side")

    def num_forwards(self, num: int, height: int, width: int) -> int:
        """One image, to learn the number of targets."""
        return 1

    def __call__(self, score_fn: ScoreFn, explicands: Tensor, baseline: Baseline, *, seed: int = 0, chunk_size: int = 256) -> Tensor:
        """Maps (K, N, H, W), one for each target."""
        num, _, height, width = explicands.shape
        cell = math.ceil(min(height, width) / self.grid_size)
        margin = 2 * (cell - 1)  # pixels at the border are means of as many draws as those inside
        down, across = (_tent(side, cell).to(explicands.device) for side in (height, width))
        noise = _noise(_num_targets(score_fn, explicands), height + margin, width + margin, seed=seed, device=explicands.device)
        maps = down @ noise @ across.T * math.sqrt(3)  # the variance of the noise is a third
        return maps[:, None].repeat(1, num, 1, 1)


def _tent(side: int, cell: int) -> Tensor:
    """Weights (side, side + 2 cell - 2) of a tent of half-width ``cell``, their squares summing to 1."""
    pixel, draw = torch.arange(side)[:, None] + cell - 1, torch.arange(side + 2 * cell - 2)
    tent = (1 - (pixel - draw).abs() / cell).clamp_min(0)
    return F.normalize(tent, dim=1)


@dataclass(frozen=True)
class CentreBias:
    """A Gaussian at the centre of the image, where photographers put their objects.

    Args:
        sigma: its standard deviation along each axis, as a share of that side.

    Raises:
        ConfigError: sigma is not positive.

    Example:
        >>> x = torch.rand(1, 3, 3, 3)
        >>> maps = CentreBias()(lambda images, rows: images.mean(dim=(1, 2, 3))[:, None], x, torch.zeros_like(x))
        >>> int(maps.argmax())  # the fifth of nine pixels
        4
    """

    sigma: float = 0.25

    def __post_init__(self) -> None:
        if not 0 < self.sigma < float("inf"):
            raise ConfigError(f"sigma={self.sigma}: must be greater than 0 and finite")

    def num_forwards(self, num: int, height: int, width: int) -> int:
        """One image, to learn the number of targets."""
        return 1

    def __call__(self, score_fn: ScoreFn, explicands: Tensor, baseline: Baseline, *, seed: int = 0, chunk_size: int = 256) -> Tensor:
        """Maps (K, N, H, W), all the same; ``seed`` plays no part."""
        num, _, height, width = explicands.shape
        down, across = (self._profile(side).to(explicands.device) for side in (height, width))
        return (down[:, None] * across).repeat(_num_targets(score_fn, explicands), num, 1, 1)

    def _profile(self, side: int) -> Tensor:
        place = (torch.arange(side) + 0.5) / side - 0.5
        return torch.exp(-(place**2) / (2 * self.sigma**2))


@dataclass(frozen=True)
class Edges:
    """How steeply the image itself changes, by Sobel's filter: what an edge detector earns.

    The root of the summed squares of both derivatives over all channels. Some attributions look like it whatever the weights of the network
    (Adebayo et al., "Sanity checks for saliency maps", NeurIPS 2018).

    Example:
        >>> flat = torch.full((1, 3, 8, 8), 0.5)
        >>> float(Edges()(lambda images, rows: images.mean(dim=(1, 2, 3))[:, None], flat, flat).abs().max())
        0.0
    """

    def num_forwards(self, num: int, height: int, width: int) -> int:
        """One image, to learn the number of targets."""
        return 1

    def __call__(self, score_fn: ScoreFn, explicands: Tensor, baseline: Baseline, *, seed: int = 0, chunk_size: int = 256) -> Tensor:
        """Maps (K, N, H, W), the same for every target; ``seed`` plays no part."""
        padded = F.pad(explicands.detach(), (1, 1, 1, 1), mode="replicate")
        down, across = _sobel(padded), _sobel(padded.mT).mT
        magnitude = (down.square() + across.square()).sum(dim=1).sqrt()
        return magnitude.repeat(_num_targets(score_fn, explicands), 1, 1, 1)


def _sobel(padded: Tensor) -> Tensor:
    """Derivative along the rows of images (..., H + 2, W + 2), smoothed across: (..., H, W), in units of values a pixel."""
    change = (padded[..., 2:, :] - padded[..., :-2, :]) / 2
    return (change[..., :-2] + 2 * change[..., 1:-1] + change[..., 2:]) / 4
