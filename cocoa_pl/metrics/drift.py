"""Did a map change, or would it have come out as differently by chance? Changes of maps against the noise that they have.

A map is a mean over random masks, towards a direction that is a mean over a random foil: had other masks and another foil been drawn, it
would have come out as a + e. :class:`NoisyMaps` holds what is known of e. Maps are compared when centred and of unit length, so that a
change of scale is none:

    correlation r = <a, b>        change |a - b|^2 = 2 - 2 r        noise of the change V = kappa (|e_a|^2 + |e_b|^2)

Noise along a map changes its scale alone, so only noise across it counts. kappa is 1 for independent noise and falls to 0 where both maps
share theirs, as maps of two epochs with the same masks and foil do. If nothing changed, |a - b|^2 / V follows an F distribution with as
many degrees of freedom as e has independent directions, and as V was estimated with. The interval of the change comes from that of the
non-centrality of F (Steiger, "Beyond the F test", Psychological Methods 9, 2004), which tells of the change in units of V. How well V is
known matters to the change itself only as far as V was taken off |a - b|^2: its degrees of freedom count for (|a - b|^2 / V)^2 times as
many where the change is the larger of the two.

The correlation that maps without noise would have is Spearman's correction for attenuation (1904), less the noise that is shared.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import torch
from scipy.special import fdtr, ncfdtr
from torch import Tensor

from cocoa_pl.errors import ConfigError
from cocoa_pl.metrics.agreement import spearman
from cocoa_pl.metrics.maps import check_same_shape, precise

_TINY = 1e-12
_BISECTIONS = 60
_SURE = 1e2  # ratio of a change to its noise from where on the noise is as good as known
_LARGEST = 1e7  # non-centrality beyond which a change is certain, and the distribution function of little use


@dataclass(frozen=True)
class NoisyMaps:
    """Maps with what is known of their noise.

    Attributes:
        maps: (N, H, W).
        draw: (N, H, W), one draw of their error, of NaN where there is none to be had. Maps that share masks and foil share it too, which
            is how the shared part is found out.
        variance: (N,), the expected squared length of the centred error across the map.
        dims: (N,), independent directions of the error.
        df: (N,), degrees of freedom with which ``variance`` was estimated.
    """

    maps: Tensor
    draw: Tensor
    variance: Tensor
    dims: Tensor
    df: Tensor

    def __getitem__(self, rows: Tensor | slice) -> NoisyMaps:
        """Some of the maps."""
        return NoisyMaps(*(getattr(self, part.name)[rows] for part in fields(self)))


@dataclass(frozen=True)
class Change:
    """How each of N maps changed.

    Attributes:
        drift: (N,), 1 - Spearman's rank correlation of the maps as they are.
        corrected: (N,), 1 - correlation that maps without noise would have; NaN where noise outweighs a map.
        low: (N,), lower end of its interval, 0 where the change is within the noise.
        high: (N,), upper end.
        flagged: (N,) bool, whether the change exceeds the noise: the interval leaves out 0. Never where noise outweighs a map, or of NaN.
        noise: (N,), the drift, 1 - correlation, that noise makes by itself; noise that both maps share makes none.
        covariance: (N,), the correlation of the maps less what shared noise adds to it.
        signal: (N,), the correlation that noise leaves to equal maps, 0 where it outweighs one: corrected = 1 - covariance / signal.
    """

    drift: Tensor
    corrected: Tensor
    low: Tensor
    high: Tensor
    flagged: Tensor
    noise: Tensor
    covariance: Tensor
    signal: Tensor


def signal_share(noisy: NoisyMaps) -> Tensor:
    """Reliability (N,) in [0, 1]: the share of a map's squared length that is no noise, the correlation to expect with a second run.

    Example:
        >>> maps = torch.tensor([[[1.0, -1.0]], [[0.0, 0.0]]])
        >>> noisy = NoisyMaps(maps, torch.zeros_like(maps), torch.tensor([0.5, 0.0]), torch.ones(2), torch.ones(2))
        >>> signal_share(noisy).tolist()
        [0.75, 1.0]
    """
    return (1 - _relative_noise(noisy)).clamp_min(0).float()


def change(first: NoisyMaps, second: NoisyMaps, *, confidence: float = 0.95) -> Change:
    """How maps changed, and whether by more than redrawing masks and foil would have changed them.

    Args:
        first: N maps.
        second: N others, of the same explicands.
        confidence: of the intervals; a map that did not change is flagged with a probability of (1 - confidence) / 2.

    Raises:
        ConfigError: a confidence outside (0, 1).
        DataError: shapes that do not fit.

    Example:
        >>> maps = torch.randn(1, 8, 8, generator=torch.Generator().manual_seed(0))
        >>> sure = NoisyMaps(maps, torch.zeros_like(maps), torch.zeros(1), torch.ones(1), torch.ones(1))
        >>> same, other = change(sure, sure), change(sure, NoisyMaps(-maps, sure.draw, sure.variance, sure.dims, sure.df))
        >>> same.flagged.tolist(), other.flagged.tolist(), round(float(other.corrected))
        ([False], [True], 2)
    """
    if not 0 < confidence < 1:
        raise ConfigError(f"confidence={confidence}: must be between 0 and 1")
    check_same_shape(first.maps, second.maps, what="the others")
    (a, draw_a), (b, draw_b) = _unit(first), _unit(second)
    noise_a, noise_b = _relative_noise(first), _relative_noise(second)
    flat = ~(a.any(1) | b.any(1))  # both: they agree
    correlation, total = (a * b).sum(1).where(~flat, 1.0), noise_a + noise_b
    dims = _in_proportion(noise_a * first.dims.rsqrt(), noise_b * second.dims.rsqrt(), total) ** 2
    kappa, kappa_df = _unshared(draw_a, draw_b, total, dims)
    df = _in_proportion(noise_a**2 / first.df, noise_b**2 / second.df, total**2) / (1 + (1 - kappa) ** 2)  # shared noise is judged once
    noise = kappa * total
    shared = (1 - kappa) * (noise_a + noise_b) / 2
    signal = ((1 - noise_a).clamp_min(0) * (1 - noise_b).clamp_min(0)).sqrt()
    known = signal.where(signal > 0, torch.nan)
    moved = 2 - 2 * correlation  # |a - b|^2

    def drift_of(squared: Tensor) -> Tensor:
        """1 - correlation without noise, from the squared distance of the maps without noise."""
        return (1 - ((1 - noise_a) + (1 - noise_b) - squared) / (2 * known)).clamp(0, 2)

    low, high = _change_interval(moved, noise, dims, 1 / (1 / df + 1 / kappa_df), confidence)
    corrected = (1 - (correlation - shared) / known).clamp(0, 2)
    flagged = (low > 0) & (signal > 0)  # a map that noise outweighs says nothing
    return Change(
        drift=1 - spearman(first.maps, second.maps),
        corrected=corrected.float(),
        low=torch.minimum(drift_of(low).where(flagged, 0), corrected).float(),
        high=torch.maximum(drift_of(high), corrected).float(),
        flagged=flagged,
        noise=(noise / 2).float(),
        covariance=(correlation - shared).float(),
        signal=signal.float(),
    )


def _unit(noisy: NoisyMaps) -> tuple[Tensor, Tensor]:
    """Centred maps of unit length, (N, P), and their draws on the same scale, across the maps; zeros for a flat map."""
    maps, draw = (precise(each).flatten(1) for each in (noisy.maps, noisy.draw))
    maps, draw = (each - each.mean(1, keepdim=True) for each in (maps, draw))
    length = maps.norm(dim=1, keepdim=True).clamp_min(_TINY)
    maps, draw = maps / length, draw / length
    return maps, draw - (draw * maps).sum(1, keepdim=True) * maps


def _relative_noise(noisy: NoisyMaps) -> Tensor:
    """Noise (N,) as a share of the squared length of the centred map; a flat map has none."""
    maps = precise(noisy.maps).flatten(1)
    squared = (maps - maps.mean(1, keepdim=True)).square().sum(1)
    return precise(noisy.variance).where(squared > _TINY**2, 0) / squared.clamp_min(_TINY**2)


def _in_proportion(first: Tensor, second: Tensor, total: Tensor) -> Tensor:
    """total / (first + second) (N,): what Satterthwaite (1946) makes of a sum of two; 1 where neither is known."""
    return (total / (first + second).clamp_min(_TINY**2)).where(first + second > 0, 1.0).clamp_min(1)


def _unshared(first: Tensor, second: Tensor, noise: Tensor, dims: Tensor) -> tuple[Tensor, Tensor]:
    """kappa, and with how many degrees of freedom it is known.

    It is the squared length of the difference of draws (N, P) against that of independent ones, over all rows, each in units of its noise
    (N,); 1 and certain where there are no draws. Every row tells of as many directions as its error has, dims (N,); rows with the same
    error tell as much as one. Nothing keeps noise from being opposed: kappa may exceed 1, and cut there would be too low on average.
    """
    known = torch.isfinite(first).all(1) & torch.isfinite(second).all(1) & (noise > _TINY)
    first, second = (each[known] / noise[known, None].sqrt() for each in (first, second))
    apart = first.square().sum() + second.square().sum()
    if not bool(apart > 0):
        return torch.ones_like(apart), torch.full_like(apart, torch.inf)
    kappa = (first - second).square().sum() / apart
    num, alone, alike = int(known.sum()), 1 / dims[known].mean(), (_alikeness(first) + _alikeness(second)) / 2
    beyond = ((alike - alone) / (1 - alone).clamp_min(_TINY)).clamp(0, 1)  # independent errors are as alike as one of so many directions
    told = num / alone / (1 + (num - 1) * beyond)
    return kappa, told / (2 * (1 - kappa / 2) ** 2)  # |a - b|^2 and |a + b|^2 are independent, each with so many degrees of freedom


def _alikeness(draws: Tensor) -> Tensor:
    """Mean squared cosine between the rows of (N, P); 0 for a single one."""
    unit = draws / draws.norm(dim=1, keepdim=True).clamp_min(_TINY)
    num = len(unit)
    pairs: Tensor = (unit @ unit.T).square().sum() - num
    return pairs / max(1, num * (num - 1))


def _change_interval(moved: Tensor, noise: Tensor, dims: Tensor, df: Tensor, confidence: float) -> tuple[Tensor, Tensor]:
    """The interval (N,), (N,) of the squared distance without noise, from the one observed."""
    exact = noise <= _TINY  # nothing was left to chance: any change is real
    moved = moved.where(moved > 1e-9, 0)
    across, known, ratio = (each.double().cpu().numpy() for each in (dims.clamp_min(1), df.clamp_min(1), moved / noise.clamp_min(_TINY)))
    real = fdtr(across, known, ratio) > (1 + confidence) / 2
    better = known * ratio.clip(1, _SURE) ** 2
    ends = [_non_centrality(across, better, ratio, probability) for probability in ((1 + confidence) / 2, (1 - confidence) / 2)]
    ends[0] = np.where(real, ends[0], 0.0)
    scale = noise / dims.clamp_min(1)
    low, high = (torch.from_numpy(end).to(moved) * scale for end in ends)
    return low.where(~exact, moved), high.where(~exact, moved)


def _non_centrality(
    dims: np.ndarray, df: np.ndarray, ratio: np.ndarray, probability: float
) -> np.ndarray:  # fmt: skip
    """The non-centrality (N,) under which F is at most ``ratio`` with ``probability``, 0 where none is so low; by bisection."""
    ratio = np.nan_to_num(ratio, nan=0.0, posinf=_LARGEST)
    lower, upper = np.zeros_like(ratio), 2 * dims * ratio + 100 * dims + 100
    far = ratio > _LARGEST / 100  # there F is as good as its mean: (dims + non-centrality) / dims
    for _ in range(_BISECTIONS):
        middle = (lower + upper) / 2
        below = ncfdtr(dims, df, middle, ratio) > probability  # falls as the non-centrality rises
        lower, upper = np.where(below, middle, lower), np.where(below, upper, middle)
    found = np.where(ncfdtr(dims, df, 0.0, ratio) > probability, (lower + upper) / 2, 0.0)
    return np.where(far, dims * ratio, found)
