"""Confidence intervals of a mean over seeds or explicands, and of the difference of two methods on the same explicands.

Student's interval for few values, such as seeds; the bootstrap where values are many and skewed; Wilson's for shares. NaN, such as the
value of an explicand without an object, is left out.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from scipy.special import ndtri, stdtrit
from torch import Tensor

from cocoa_pl.errors import ConfigError, DataError
from cocoa_pl.rng import generator

_DRAWS_AT_ONCE = 2**22


@dataclass(frozen=True)
class Interval:
    """A mean with its confidence interval.

    Attributes:
        mean: of the values.
        low: lower end; NaN where fewer than two values say nothing about their spread.
        high: upper end.
        num: how many values.

    Example:
        >>> print(Interval(0.4071, 0.36, 0.4542, 25))
        0.407 [0.360, 0.454] (n = 25)
    """

    mean: float
    low: float
    high: float
    num: int

    def __str__(self) -> str:
        return f"{self.mean:.3f} [{self.low:.3f}, {self.high:.3f}] (n = {self.num})"


IntervalFn = Callable[[Tensor], Interval]
"""Values (n,) to the interval of their mean: :func:`t_interval`, :func:`bootstrap_interval`, or either with options of its own."""


def t_interval(values: Tensor | Sequence[float], *, confidence: float = 0.95) -> Interval:
    """Student's interval, mean +- t s / sqrt(n), with the sample standard deviation s and n - 1 degrees of freedom.

    Args:
        values: (n,), independent: one an explicand, or one a seed.
        confidence: share of such intervals that hold the true mean.

    Raises:
        ConfigError: a confidence outside (0, 1).
        DataError: values that are not one row of numbers.

    Example:
        >>> print(t_interval([0.1, 0.2, 0.3]))
        0.200 [-0.048, 0.448] (n = 3)
    """
    known = _known(values, confidence)
    if len(known) < 2:
        return Interval(_mean(known), math.nan, math.nan, len(known))
    half = float(stdtrit(len(known) - 1, (1 + confidence) / 2)) * float(known.std()) / math.sqrt(len(known))
    return Interval(_mean(known), _mean(known) - half, _mean(known) + half, len(known))


def wilson_interval(values: Tensor | Sequence[float], *, confidence: float = 0.95) -> Interval:
    """Wilson's score interval of a share: it stays within [0, 1], and 10 of 10 do not say that all others would follow.

    Args:
        values: (n,), independent, each 1 or 0; what is undecided may count .5.
        confidence: share of such intervals that hold the true share.

    Raises:
        ConfigError: a confidence outside (0, 1).
        DataError: values that are not one row of numbers in [0, 1].

    Example:
        >>> print(wilson_interval([1.0] * 10))
        1.000 [0.722, 1.000] (n = 10)
    """
    known = _known(values, confidence)
    if bool(((known < 0) | (known > 1)).any()):
        raise DataError("a share is of values between 0 and 1, got others")
    num, share = len(known), _mean(known)
    if num == 0:
        return Interval(math.nan, math.nan, math.nan, 0)
    square = float(ndtri((1 + confidence) / 2)) ** 2
    middle = (share + square / (2 * num)) / (1 + square / num)
    half = math.sqrt(square * (share * (1 - share) / num + square / (4 * num**2))) / (1 + square / num)
    return Interval(share, max(0.0, middle - half), min(1.0, middle + half), num)


def bootstrap_interval(
    values: Tensor | Sequence[float], *, confidence: float = 0.95, method: str = "bca", num_resamples: int = 9999, seed: int = 0
) -> Interval:
    """Bootstrap interval: percentile, or bias-corrected and accelerated (Efron, 1987).

    Args:
        values: (n,), independent.
        confidence: share of such intervals that hold the true mean.
        method: ``bca`` or ``percentile``.
        num_resamples: resamples with replacement.
        seed: the resamples are a function of it and of n.

    Raises:
        ConfigError: an option out of range.
        DataError: values that are not one row of numbers.

    Example:
        >>> interval = bootstrap_interval([0.0, 0.0, 0.0, 0.1, 0.2, 0.9])
        >>> interval.low < 0.2 < interval.high
        True
    """
    if method not in ("bca", "percentile"):
        raise ConfigError(f"method={method!r}: must be bca or percentile")
    if num_resamples < 1:
        raise ConfigError(f"num_resamples={num_resamples}: must be at least 1")
    known = _known(values, confidence)
    if len(known) < 2:
        return Interval(_mean(known), math.nan, math.nan, len(known))
    if bool((known == known[0]).all()):
        return Interval(float(known[0]), float(known[0]), float(known[0]), len(known))
    means = resampled_means(known, num_resamples=num_resamples, seed=seed)
    ends = torch.tensor([(1 - confidence) / 2, (1 + confidence) / 2], dtype=torch.float64)
    if method == "bca":
        ends = _bca(ends, means, known)
    low, high = torch.quantile(means, ends).tolist()
    return Interval(_mean(known), low, high, len(known))


def paired_difference(
    first: Tensor | Sequence[float], second: Tensor | Sequence[float], *, interval_fn: IntervalFn = t_interval
) -> Interval:
    """Interval of the mean of first minus second on the same explicands; pairs with a NaN are left out.

    What the explicands have in common cancels, so two methods are told apart by far fewer of them than by two intervals side by side. With
    :func:`t_interval` this is the paired t test: the interval leaves out 0 exactly where p < 1 - confidence.

    Args:
        first: (n,).
        second: (n,), of the same explicands in the same order.
        interval_fn: :func:`t_interval` or :func:`bootstrap_interval`, or either with options by ``functools.partial``.

    Raises:
        DataError: rows of unequal length.

    Example:
        >>> print(paired_difference([0.5, 0.9, 0.1], [0.4, 0.8, 0.0]))
        0.100 [0.100, 0.100] (n = 3)
    """
    a, b = (torch.as_tensor(values, dtype=torch.float64, device="cpu") for values in (first, second))
    if a.shape != b.shape:
        raise DataError(f"{tuple(a.shape)} and {tuple(b.shape)} values: a paired difference needs both of every explicand")
    return interval_fn(a - b)


def resampled_means(values: Tensor, *, num_resamples: int, seed: int) -> Tensor:
    """Means of resamples with replacement, values (n,) to (num_resamples,); a function of (seed, n)."""
    draw = generator(seed, "bootstrap")
    blocks = torch.split(torch.arange(num_resamples), max(1, _DRAWS_AT_ONCE // len(values)))
    return torch.cat([values[torch.randint(len(values), (len(block), len(values)), generator=draw)].mean(1) for block in blocks])


def _bca(ends: Tensor, means: Tensor, values: Tensor) -> Tensor:
    """The percentiles to read, for the bias of the resamples and the skewness of the mean, whose acceleration has a closed form."""
    mean = values.mean()
    below = ((means < mean).double().mean() + (means <= mean).double().mean()) / 2
    bias = torch.special.ndtri(below)
    centred = values - mean
    acceleration = centred.pow(3).sum() / (6 * centred.square().sum().pow(1.5))
    shifted = bias + torch.special.ndtri(ends)
    percentiles: Tensor = torch.special.ndtr(bias + shifted / (1 - acceleration * shifted))
    return percentiles


def _known(values: Tensor | Sequence[float], confidence: float) -> Tensor:
    if not 0 < confidence < 1:
        raise ConfigError(f"confidence={confidence}: must be between 0 and 1")
    row = torch.as_tensor(values, dtype=torch.float64, device="cpu")
    if row.ndim != 1:
        raise DataError(f"values {tuple(row.shape)}: must be one row (n,)")
    return row[~row.isnan()]


def _mean(values: Tensor) -> float:
    return float(values.mean()) if len(values) else math.nan
