"""Signed numbers to colours: red towards the corpus, blue away from it, neutral at zero, one scale for every picture compared.

The colour of a value depends on ``value / scale`` alone, never on the other pixels of its map, so that epochs, views and explicands drawn
with one scale can be compared by eye. Values +v and -v have the same lightness (CIE L* 97, 80, 62, 46, 30 from zero to the scale): neither
sign looks stronger than the other.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]
Pixels = NDArray[np.uint8]

_AWAY = [(0, 69, 149), (0, 110, 202), (71, 156, 224), (155, 205, 239)]
_NEUTRAL = (246, 246, 246)
_TOWARDS = [(253, 184, 124), (239, 113, 51), (208, 43, 31), (141, 21, 12)]
_ANCHORS = np.array([*_AWAY, _NEUTRAL, *_TOWARDS], dtype=np.float64)
_POSITIONS = np.linspace(-1.0, 1.0, len(_ANCHORS))
_LUMA = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601
_GREY_FLOOR, _GREY_SPAN = 90.0, 155.0  # the picture beneath keeps clear of black and white, where a tint could not be seen
_OPACITY_POWER = 0.6  # below one: weak values keep a visible tint


def robust_scale(attributions: Floats, *, quantile: float = 0.98) -> float:
    """The size of value that gets the full colour: a quantile of |attributions|, so that a few extreme pixels do not wash out the rest.

    Args:
        attributions: any shape; NaN and infinities are left out.
        quantile: in (0, 1].

    Returns:
        The scale; 0.0 where every value is zero or not finite. Where so few pixels differ from zero that the quantile itself is zero, the
        largest |value| is returned, for such a map is sparse, not flat.

    Raises:
        ValueError: the quantile is out of range.

    Example:
        >>> robust_scale(np.array([-4.0, 1.0, 2.0, np.nan]), quantile=0.5)
        2.0
        >>> robust_scale(np.zeros((32, 32)))
        0.0
    """
    if not 0.0 < quantile <= 1.0:
        raise ValueError(f"quantile must lie in (0, 1], got {quantile}")
    sizes = np.abs(attributions[np.isfinite(attributions)]).astype(np.float64)
    if sizes.size == 0:
        return 0.0
    return float(np.quantile(sizes, quantile)) or float(sizes.max())


def signed_colours(attribution: Floats, *, scale: float) -> Pixels:
    """Colour every value by its sign and by its size relative to the scale; beyond the scale the colour stays at its end.

    Args:
        attribution: (..., H, W), signed. NaN is drawn neutral, as zero is.
        scale: the |value| that gets the full colour; zero draws everything neutral.

    Returns:
        (..., H, W, 3) uint8.

    Raises:
        ValueError: the scale is negative or not finite.

    Example:
        >>> signed_colours(np.array([[-1.0, 0.0, 1.0]]), scale=1.0).tolist()
        [[[0, 69, 149], [246, 246, 246], [141, 21, 12]]]
    """
    ratio = _ratio(attribution, scale)
    channels = [np.interp(ratio, _POSITIONS, _ANCHORS[:, channel]) for channel in range(3)]
    return np.rint(np.stack(channels, axis=-1)).astype(np.uint8)


def overlay(image: Pixels, attribution: Floats, *, scale: float, strength: float = 0.85) -> Pixels:
    """Lay the colours over a grey version of the picture; opacity grows with |value| / scale, so zero shows the picture alone.

        overlay = (1 - a) grey + a colour,   a = strength (|value| / scale)^0.6, at most ``strength``

    Args:
        image: (H, W, 3).
        attribution: (H, W), signed.
        scale: as in :func:`signed_colours`.
        strength: opacity at the scale and beyond, in [0, 1]; below one the picture shows through everywhere.

    Returns:
        (H, W, 3) uint8.

    Raises:
        ValueError: shapes differ, or the scale or the strength is out of range.

    Example:
        >>> picture = np.full((1, 2, 3), 255, dtype=np.uint8)
        >>> overlay(picture, np.array([[0.0, 5.0]]), scale=5.0, strength=1.0).tolist()
        [[[245, 245, 245], [141, 21, 12]]]
    """
    if image.shape != (*attribution.shape, 3):
        raise ValueError(f"image {image.shape} and attribution {attribution.shape} do not fit: expected (H, W, 3) and (H, W)")
    if not 0.0 <= strength <= 1.0:
        raise ValueError(f"strength must lie in [0, 1], got {strength}")
    grey: NDArray[np.float64] = _GREY_FLOOR + _GREY_SPAN * (image @ _LUMA)[..., None] / 255.0
    opacity = strength * np.abs(_ratio(attribution, scale))[..., None] ** _OPACITY_POWER
    mixed: NDArray[np.float64] = (1.0 - opacity) * grey + opacity * signed_colours(attribution, scale=scale)
    return np.rint(mixed).astype(np.uint8)


def _ratio(attribution: Floats, scale: float) -> NDArray[np.float64]:
    """Value / scale, clipped to [-1, 1]; zero for NaN and for a scale of zero."""
    if not (np.isfinite(scale) and scale >= 0.0):
        raise ValueError(f"scale must be finite and not negative, got {scale}")
    clean = np.nan_to_num(attribution.astype(np.float64), nan=0.0)
    if scale == 0.0:
        return np.zeros_like(clean)
    return np.clip(clean, -scale, scale) / scale
