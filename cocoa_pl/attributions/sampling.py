"""Means over samples, with their Monte-Carlo error, and normal noise that is a function of its coordinates.

Every method that averages over steps or draws makes one stream of (explicand, sample) pairs, sample by sample, cut into full passes through
the encoder. Sample s is a function of (seed, s), common to all explicands: a batch equals single runs, and a draw serves all explicands.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from cocoa_pl.attributions.reliability import stepped_up_correlation
from cocoa_pl.rng import counter_uniform
from cocoa_pl.streaming import in_chunks, precise_dtype
from cocoa_pl.types import Attributed, Baseline, Rows, ScoreFn

Part = Callable[[Tensor, Tensor], Tensor]
"""Explicands (b,) and their samples (b,), samples in ascending order, to shares (K, b, ...)."""


class Summed(ABC):
    """A method whose maps are made of sums over steps or draws: alone it takes all of them, processes share them out (``Divisible``)."""

    @property
    @abstractmethod
    def num_parts(self) -> int:
        """How many steps or draws."""

    @abstractmethod
    def part(self, score_fn: ScoreFn, explicands: Tensor, baseline: Baseline, *, seed: int, chunk_size: int, samples: range) -> Rows:
        """Sums over some of them, even over none. Sums over different ones add up."""

    @abstractmethod
    def whole(self, total: Rows, explicands: Tensor, baseline: Baseline) -> Attributed:
        """The maps of the sums over all of them."""

    def __call__(self, score_fn: ScoreFn, explicands: Tensor, baseline: Baseline, *, seed: int = 0, chunk_size: int = 256) -> Tensor:
        """Explicands and baseline (N, C, H, W) to attributions (K, N, H, W). Raises as :meth:`part` does."""
        return self.attribute(score_fn, explicands, baseline, seed=seed, chunk_size=chunk_size).maps

    def attribute(self, score_fn: ScoreFn, explicands: Tensor, baseline: Baseline, *, seed: int = 0, chunk_size: int = 256) -> Attributed:
        """The maps with what is known of their noise. Raises as :meth:`part` does."""
        samples = range(self.num_parts)
        return self.whole(
            self.part(score_fn, explicands, baseline, seed=seed, chunk_size=chunk_size, samples=samples), explicands, baseline
        )


def sum_over_samples(part: Part, *, num: int, samples: range, chunk_size: int, device: torch.device) -> Tensor:
    """Sum over samples of what ``part`` makes of every explicand, (K, N, ...); never more than one chunk of shares is held.

    Example:
        >>> share = lambda rows, samples: (10 * rows + samples)[None].float()
        >>> sum_over_samples(share, num=2, samples=range(3), chunk_size=4, device=torch.device("cpu")).tolist()
        [[3.0, 33.0]]
    """
    total: Tensor | None = None
    for rows, _, shares in _shares(part, num, samples, chunk_size, device):
        if total is None:
            total = shares.new_zeros(len(shares), num, *shares.shape[2:])
        total.index_add_(1, rows, shares)
    assert total is not None, "no explicands"
    return total


def moments_over_samples(part: Part, *, num: int, samples: range, chunk_size: int, device: torch.device) -> Tensor:
    """Sums (3, K, N, ...) over samples of the shares, of the shares of even samples less those of odd ones, and of their squares.

    Sums over different samples add up, and :func:`mean_of_moments` reads them.
    """
    precise = precise_dtype(device)
    sums: Tensor | None = None
    for rows, drawn, shares in _shares(part, num, samples, chunk_size, device):
        if sums is None:
            sums = torch.zeros(3, len(shares), num, *shares.shape[2:], dtype=precise, device=device)
        total, contrast, square = sums
        shares = shares.to(precise)
        total.index_add_(1, rows, shares)
        sign = (1 - 2 * (drawn % 2)).to(precise).view(-1, *[1] * (shares.ndim - 2))
        contrast.index_add_(1, rows, sign * shares)
        square.index_add_(1, rows, shares.square_())
    assert sums is not None, "no explicands"
    return sums


def mean_of_moments(sums: Tensor, *, num_samples: int) -> Attributed:
    """Mean over samples 0 to ``num_samples`` - 1 from their moments (3, K, N, H, W), its standard error, and its reliability.

    Reliability is the stepped-up correlation of the maps of even and odd samples. A single sample tells nothing of either.
    """
    mean, contrast, square = sums / num_samples
    if num_samples == 1:
        return Attributed(mean.float(), num_samples=1)
    variance = (square - mean.square()).clamp_min(0) / (num_samples - 1)
    # mean + contrast and mean - contrast are the maps of even and of odd samples, up to a factor that no correlation sees
    reliability = stepped_up_correlation(mean + contrast, mean - contrast).float()
    even, odd = (num_samples + 1) // 2, num_samples // 2
    draw = ((mean + contrast) / even - (mean - contrast) / odd) * (num_samples / 4)  # half of how the maps of both differ
    return Attributed(mean.float(), variance.sqrt().float(), reliability, num_samples, draw=draw.float())


def _shares(part: Part, num: int, samples: range, chunk_size: int, device: torch.device) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Explicands (b,), samples (b,) and the shares (K, b, ...) of each pass; of no sample one share of nothing, which has the shape."""

    def call(pairs: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        rows, drawn = pairs % num, pairs // num + samples.start
        return rows, drawn, part(rows, drawn)

    if not samples and num:
        rows, drawn, shares = call(torch.zeros(1, dtype=torch.int64, device=device))
        yield rows, drawn, torch.zeros_like(shares)
    for _, made in in_chunks(num * len(samples), chunk_size, call, device=device):
        yield made


def counter_normal(seed: int, samples: Tensor, shape: torch.Size | tuple[int, ...], *, copies: int = 1) -> Tensor:
    """Standard normal draws (b, *shape), each a function of (seed, its sample), by Box and Muller's transform.

    No value of ``samples`` is read on the host, so that an accelerator is never waited for.

    Args:
        seed: which stream.
        samples: (b,) in ascending order and without gaps.
        shape: of one draw.
        copies: how often each sample but the first and the last occurs, at least; it is drawn once for all of them.

    Example:
        >>> draws = counter_normal(3, torch.tensor([4, 4, 5]), (2, 2), copies=2)
        >>> draws.shape, bool((draws[0] == draws[1]).all()), bool((draws[1] == draws[2]).any())
        (torch.Size([3, 2, 2]), True, False)
    """
    most = (len(samples) + copies - 2) // copies + 1  # the first and the last may occur once
    half = (math.prod(shape) + 1) // 2
    uniform = counter_uniform(seed, samples[0] + torch.arange(most, device=samples.device), num=2 * half)
    radius, angle = (-2 * torch.log1p(-uniform[:, :half])).sqrt(), 2 * math.pi * uniform[:, half:]
    normal = torch.cat([radius * angle.cos(), radius * angle.sin()], dim=1)[:, : math.prod(shape)]
    return normal.view(-1, *shape)[samples - samples[0]]
