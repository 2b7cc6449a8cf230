"""How much two attributions of one explicand agree; drift is one minus that. Higher is more alike, 1 is the same.

Rank correlation and top overlap ask for the order of pixels, cosine for values, structural similarity for texture. A distance in pixels is
in :mod:`cocoa_pl.metrics.transport`. Conventions for flat maps and NaN: :mod:`cocoa_pl.metrics.maps`.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from cocoa_pl.errors import ConfigError, DataError
from cocoa_pl.metrics.maps import average_ranks, check_same_shape, precise, ranks_from_the_top, settle, unit_peak

_SIGMA, _RADIUS = 1.5, 5
_LUMINANCE, _CONTRAST = (0.01 * 2) ** 2, (0.03 * 2) ** 2  # K1 and K2 of the paper, at a data range of 2
_MAPS_AT_ONCE = 4  # few enough for the processor's cache
_FEWEST = 4  # pixels that two maps are compared on


def spearman(first: Tensor, second: Tensor, *, valid: Tensor | None = None) -> Tensor:
    """Spearman rank correlation over pixels, with average ranks for ties; (N, H, W) twice to (N,) in [-1, 1].

    Two flat maps agree (1); a flat map and another one do not (0).

    Args:
        first: (N, H, W), signed.
        second: (N, H, W).
        valid: (N, H, W) bool, the pixels that count, ranked among themselves; NaN where there are fewer than 4. None counts all.

    Raises:
        DataError: shapes that do not fit.

    Example:
        >>> a = torch.tensor([[[1.0, 2.0], [3.0, 4.0]]])
        >>> spearman(a, -a).tolist(), spearman(a, a**3).tolist()
        ([-1.0], [1.0])
    """
    kept = [_only(maps, valid) for maps in (first, second)]
    ranks = [_centred_ranks(maps, valid) for maps in kept]
    return _enough(settle(cosine(*ranks), *kept), valid)


def cosine(first: Tensor, second: Tensor, *, valid: Tensor | None = None) -> Tensor:
    """Cosine similarity over all but the first dimension, (N, ...) twice to (N,); 1 for two zero maps, 0 where only one is zero.

    Args:
        first: (N, ...), signed.
        second: (N, ...).
        valid: as in :func:`spearman`, for maps (N, H, W).

    Raises:
        DataError: maps and ``valid`` of different shapes.

    Example:
        >>> a, valid = torch.tensor([[[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]]), torch.tensor([[[True, True], [True, True], [False, False]]])
        >>> b = a.where(valid, torch.nan)
        >>> cosine(a, b).tolist(), cosine(a, b, valid=valid).tolist()
        ([nan], [1.0])
    """
    kept = [_only(maps, valid) for maps in (first, second)]
    a, b = (unit_peak(maps).flatten(1) for maps in kept)
    norms = a.norm(dim=1), b.norm(dim=1)
    value = (a * b).sum(1) / (norms[0] * norms[1]).where(norms[0] * norms[1] > 0, 1)
    return _enough(settle(value.where(norms[0] + norms[1] > 0, 1).clamp(-1, 1), *kept), valid)


def top_overlap(first: Tensor, second: Tensor, *, share: float = 0.1) -> Tensor:
    """Share of pixels in common among the highest k of each map; (N, H, W) twice to (N,) in [0, 1].

    Pixels that tie for the last places share them as members in part, m in [0, 1], and the overlap is sum min(m_1, m_2) / k: a flat map
    meets another one at chance, k / (H W), and a flat one at 1.

    Args:
        first: (N, H, W), signed.
        second: (N, H, W).
        share: k as a share of the pixels; at least one is taken.

    Raises:
        ConfigError: a share outside (0, 1].
        DataError: shapes that do not fit.

    Example:
        >>> a, b = torch.tensor([[[4.0, 3.0, 0.0, 0.0]]]), torch.tensor([[[0.0, 3.0, 4.0, 0.0]]])
        >>> float(top_overlap(a, b, share=0.5))
        0.5
    """
    if not 0 < share <= 1:
        raise ConfigError(f"share={share}: must be above 0 and at most 1")
    check_same_shape(first, second, what="the others")
    num = max(1, round(share * first[0].numel()))
    ranks = [ranks_from_the_top(maps.flatten(1)) for maps in (first, second)]
    members = [((num - higher) / tied).clamp(0, 1) for higher, tied in ranks]
    return settle(torch.minimum(*members).sum(1) / num, first, second)


def ssim(first: Tensor, second: Tensor) -> Tensor:
    """Mean structural similarity (Wang et al., IEEE TIP 2004); (N, H, W) twice to (N,) in [-1, 1].

    Each map is divided by its largest magnitude, which keeps its zero, so values span [-1, 1] and the data range is 2. The window is
    the paper's, Gaussian with sigma 1.5 on 11 x 11 pixels, at every place where it fits into the map.

    Raises:
        DataError: maps smaller than the window, or shapes that do not fit.

    Example:
        >>> a = torch.eye(16)[None]
        >>> [round(float(ssim(a, b)), 2) for b in (a, 3 * a, a.flip(1))]
        [1.0, 1.0, -0.08]
    """
    check_same_shape(first, second, what="the others")
    window = 2 * _RADIUS + 1
    if min(first.shape[1:]) < window:
        raise DataError(f"maps of {first.shape[1]} x {first.shape[2]} pixels: structural similarity wants at least {window} x {window}")
    return torch.cat([_ssim(*pair) for pair in zip(torch.split(first, _MAPS_AT_ONCE), torch.split(second, _MAPS_AT_ONCE), strict=True)])


def _ssim(first: Tensor, second: Tensor) -> Tensor:
    x, y = unit_peak(first), unit_peak(second)
    mean_x, mean_y, mean_xx, mean_yy, mean_xy = (_blur(each) for each in (x, y, x * x, y * y, x * y))
    variances = mean_xx - mean_x**2 + mean_yy - mean_y**2
    contrast = (2 * (mean_xy - mean_x * mean_y) + _CONTRAST) / (variances + _CONTRAST)
    luminance = (2 * mean_x * mean_y + _LUMINANCE) / (mean_x**2 + mean_y**2 + _LUMINANCE)
    return settle((luminance * contrast).mean((1, 2)), first, second)


def _blur(maps: Tensor) -> Tensor:
    """Gaussian mean of each full window, (n, H, W) to (n, H - 10, W - 10)."""
    weights = [math.exp(-(step**2) / (2 * _SIGMA**2)) for step in range(-_RADIUS, _RADIUS + 1)]
    for dim in (1, 2):
        parts = [maps.narrow(dim, start, maps.shape[dim] - 2 * _RADIUS) for start in range(len(weights))]
        maps = parts[0] * (weights[0] / sum(weights))
        for part, weight in zip(parts[1:], weights[1:], strict=True):
            maps.add_(part, alpha=weight / sum(weights))
    return maps


def _centred_ranks(maps: Tensor, valid: Tensor | None) -> Tensor:
    """Ranks (N, H, W) to (N, P) with mean zero, among the valid pixels, and zero elsewhere."""
    if valid is None:
        ranks = average_ranks(maps.flatten(1))
        return ranks - ranks.mean(1, keepdim=True)
    out = ~valid.flatten(1)
    ranks = average_ranks(precise(maps).flatten(1).masked_fill(out, math.inf))  # above all others
    return (ranks - ((~out).sum(1, keepdim=True) + 1) / 2).masked_fill(out, 0)


def _only(maps: Tensor, valid: Tensor | None) -> Tensor:
    """Maps (N, H, W), zero on pixels that do not count."""
    if valid is None:
        return maps
    check_same_shape(maps, valid, what="valid pixels")
    return maps.masked_fill(~valid, 0)


def _enough(values: Tensor, valid: Tensor | None) -> Tensor:
    """Values (N,), NaN where too few pixels count."""
    return values if valid is None else values.masked_fill(valid.flatten(1).sum(1) < _FEWEST, torch.nan)
