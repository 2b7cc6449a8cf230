"""Do maps and scores depend on what the text says? Correlation between the maps of different texts, and absent objects beside present ones.

Some image-text encoders draw one map for any prompt, even for one without a meaning. So the maps of a picture are compared between the real
text, that of another object in the picture, that of an object that is not there, and nonsense. Conventions for flat maps and NaN:
:mod:`cocoa_pl.metrics.maps`.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from cocoa_pl.errors import ConfigError, DataError
from cocoa_pl.metrics.intervals import Interval
from cocoa_pl.metrics.maps import average_ranks, check_same_shape, precise, settle
from cocoa_pl.rng import generator

TOO_ALIKE = 0.8
"""Rank correlation between the maps of different texts above which they say little of the text.

If a map is the sum of a part that all texts of a picture share and a part of its own, the correlation is the shared part's share of the
variance: above .8, less than a fifth of what one sees is there because of what the text says."""
_PIXELS_AT_ONCE = 2**22
_DRAWS_AT_ONCE = 2**22


def map_correlations(maps: Tensor) -> Tensor:
    """Rank correlation of the maps of every two texts, explicand by explicand, with every map ranked once.

    Args:
        maps: (K, N, H, W) of K texts, signed.

    Returns:
        (K, K, N), what :func:`~cocoa_pl.metrics.agreement.spearman` gives for each pair.

    Raises:
        DataError: maps that are not (K, N, H, W).

    Example:
        >>> a = torch.tensor([[[1.0, 2.0, 3.0]]])
        >>> map_correlations(torch.stack([a, -a, a**3]))[:, :, 0].round(decimals=4).tolist()
        [[1.0, -1.0, 1.0], [-1.0, 1.0, -1.0], [1.0, -1.0, 1.0]]
    """
    if maps.ndim != 4:
        raise DataError(f"maps {tuple(maps.shape)}: must be (K, N, H, W), the maps of K texts")
    at_once = max(1, _PIXELS_AT_ONCE // max(1, maps[:, :1].numel()))
    return torch.cat([_correlations(part.flatten(2)) for part in torch.split(maps, at_once, dim=1)], dim=2)


def _correlations(flat: Tensor) -> Tensor:
    """Maps (K, n, P) to (K, K, n)."""
    ranks = average_ranks(flat.flatten(0, 1)).view(flat.shape)
    ranks = ranks - ranks.mean(2, keepdim=True)
    norm = ranks.norm(dim=2)
    unit = ranks / norm.where(norm > 0, 1)[:, :, None]
    flats, broken = norm == 0, ~torch.isfinite(flat).all(2)
    alike = torch.einsum("inp,jnp->ijn", unit, unit).clamp(-1, 1).masked_fill(flats[:, None] & flats, 1)
    return alike.float().masked_fill(broken[:, None] | broken, torch.nan)


def agree_too_well(agreement: Tensor, *, threshold: float = TOO_ALIKE) -> Tensor:
    """Whether maps of different texts are so alike that they deserve a warning: the mean over explicands exceeds the threshold.

    Args:
        agreement: (..., N) of :func:`map_correlations`; NaN is left out.
        threshold: in (0, 1].

    Returns:
        (...) bool; false where nothing is known.

    Raises:
        ConfigError: a threshold out of range.

    Example:
        >>> agree_too_well(torch.tensor([[0.95, 0.9, torch.nan], [0.1, 0.99, 0.2]])).tolist()
        [True, False]
    """
    if not 0 < threshold <= 1:
        raise ConfigError(f"threshold={threshold}: must be above 0 and at most 1")
    return precise(agreement).nanmean(-1) > threshold


def brightness_of_absent(present: Tensor, absent: Tensor, *, share: float = 0.05) -> Tensor:
    """How bright the map of an object that is not there is beside that of one that is: B(absent) / (B(absent) + B(present)).

    The brightness B of a map is the mean of its highest pixels, or 0 where that is negative. Both maps must be of one scale, as they are
    drawn: from one picture, one method, and directions made in one way.

    Args:
        present: (N, H, W), maps of a text that names an object in the picture, signed.
        absent: (N, H, W), maps of a text that names none.
        share: of the pixels that are the highest; at least one is taken.

    Returns:
        (N,) in [0, 1], lower is better; .5 where both are as bright. NaN for a map that is not finite.

    Raises:
        ConfigError: a share outside (0, 1].
        DataError: shapes that do not fit.

    Example:
        >>> present, absent = torch.tensor([[[8.0, 3.0], [0.0, -1.0]]]), torch.tensor([[[1.0, 2.0], [0.0, -9.0]]])
        >>> brightness_of_absent(present, absent).tolist()
        [0.20000000298023224]
    """
    if not 0 < share <= 1:
        raise ConfigError(f"share={share}: must be above 0 and at most 1")
    check_same_shape(present, absent, what="the others")
    num = max(1, round(share * present[0].numel()))
    bright, other = (precise(maps).flatten(1).topk(num, dim=1).values.mean(1).clamp_min(0) for maps in (present, absent))
    total = bright + other
    return settle((other / total.where(total > 0, 1)).where(total > 0, 0.5), present, absent)


def presence(scores: Tensor, foil_scores: Tensor) -> Tensor:
    """The share of the foil's texts that score lower than a text, ties by half; scores (N,) and (N, F) to (N,) in [0, 1].

    For an object in the picture it should be near 1, for one that is not there near .5 or below.

    Raises:
        DataError: shapes that do not fit, or a foil without texts.

    Example:
        >>> presence(torch.tensor([0.3, 0.1]), torch.tensor([[0.2, 0.1, 0.3, 0.0]] * 2)).tolist()
        [0.875, 0.375]
    """
    _check_scores(scores, foil_scores, "scores of the foil's texts")
    known = torch.isfinite(scores) & torch.isfinite(foil_scores).all(1)
    return _wins(scores[:, None], foil_scores).mean(1).float().masked_fill(~known, torch.nan)


def presence_auroc(present: Tensor, absent: Tensor, *, confidence: float = 0.95, num_resamples: int = 2000, seed: int = 0) -> Interval:
    """Area under the ROC curve of telling objects that are in a picture from those that are not, by the score of their texts.

    Scores of all pictures are compared, so that one threshold has to serve all; :func:`presence` compares within a picture. Resamples are
    of pictures, each with all of its scores, which do not depend on those of others (percentile bootstrap).

    Args:
        present: (N,), of each picture the score of a text that names an object in it.
        absent: (N, A), of texts that name none; NaN where there are fewer than A.
        confidence: share of such intervals that hold the true area.
        num_resamples: resamples with replacement.
        seed: the resamples are a function of it and of N.

    Returns:
        The area, .5 by chance, of the pictures that have both, and its interval; NaN ends of fewer than two pictures.

    Raises:
        ConfigError: an option out of range.
        DataError: shapes that do not fit.

    Example:
        >>> area = presence_auroc(torch.tensor([0.9, 0.8, 0.6, 0.4]), torch.tensor([[0.1], [0.5], [0.3], [0.2]]))
        >>> area.mean, area.low < area.mean, area.num
        (0.9375, True, 4)
    """
    _check_scores(present, absent, "scores of absent objects' texts")
    if not 0 < confidence < 1:
        raise ConfigError(f"confidence={confidence}: must be between 0 and 1")
    if num_resamples < 1:
        raise ConfigError(f"num_resamples={num_resamples}: must be at least 1")
    present, absent = (scores.detach().cpu().double() for scores in (present, absent))
    known = torch.isfinite(present) & torch.isfinite(absent).any(1)
    present, absent = present[known], absent[known]
    num = len(present)
    if num == 0:
        return Interval(math.nan, math.nan, math.nan, 0)
    there = torch.isfinite(absent)
    columns = zip(absent.unbind(1), there.unbind(1), strict=True)
    wins = sum((_wins(present[:, None], column) * own for column, own in columns), torch.zeros(num, num, dtype=torch.float64))
    rivals = there.sum(1).double()
    area = float(wins.sum() / (num * rivals.sum()))
    if num < 2:
        return Interval(area, math.nan, math.nan, num)
    draw = generator(seed, "presence")
    areas = []
    for block in torch.split(torch.arange(num_resamples), max(1, _DRAWS_AT_ONCE // num)):
        drawn = torch.randint(num, (len(block), num), generator=draw)
        times = torch.zeros(len(block), num, dtype=torch.float64).scatter_add_(1, drawn, torch.ones(drawn.shape, dtype=torch.float64))
        areas.append(((times @ wins) * times).sum(1) / (num * (times @ rivals)))
    ends = torch.tensor([(1 - confidence) / 2, (1 + confidence) / 2], dtype=torch.float64)
    low, high = torch.quantile(torch.cat(areas), ends).tolist()
    return Interval(area, low, high, num)


def _wins(first: Tensor, second: Tensor) -> Tensor:
    """1 where the first is larger, .5 where both are the same, else 0."""
    return precise(first > second) + precise(first == second) / 2


def _check_scores(scores: Tensor, others: Tensor, what: str) -> None:
    if scores.ndim != 1 or others.ndim != 2 or len(others) != len(scores) or others.shape[1] == 0:
        raise DataError(f"scores {tuple(scores.shape)} and {what} {tuple(others.shape)}: must be (N,) and (N, F) with F at least 1")
