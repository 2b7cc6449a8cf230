"""Values on the command line of ``explain.py``: each is checked where it is read, and an error names its option."""

from __future__ import annotations

import math
from pathlib import Path

from cocoa_pl.asking.cache_folder import default_cache_folder
from cocoa_pl.errors import ConfigError

_MOST = 1000  # maps of each picture


def seconds(text: str | None) -> float | None:
    """A time such as ``90s``, ``10m`` or ``2h`` in seconds.

    Example:
        >>> seconds("10m")
        600.0
    """
    units = {"s": 1, "m": 60, "h": 3600, "d": 86400}
    if text is None:
        return None
    number, unit = (text[:-1], text[-1]) if text[-1:] in units else (text, "s")
    try:
        seconds = float(number) * units[unit]
    except ValueError:
        seconds = math.nan
    if not 0 < seconds < math.inf:
        raise ConfigError(f"--budget {text}: must be a time above 0 such as 90s, 10m or 2h")
    return seconds


def quantile(text: str | None) -> float | None:
    """``otsu`` to None, a number between 0 and 1 to itself."""
    if text in (None, "otsu"):
        return None
    try:
        value = float(str(text))
    except ValueError:
        value = math.nan
    if not 0 < value < 1:
        raise ConfigError(f"--box {text}: must be otsu, or a quantile between 0 and 1")
    return value


def side(text: str | None) -> int | None:
    """A number of pixels."""
    if text is None:
        return None
    if not text.isdecimal() or not 8 <= int(text) <= 4096:
        raise ConfigError(f"--image-size {text}: must be a whole number of pixels, 8 to 4096")
    return int(text)


def count(option: str, text: str | None, *, low: int = 1, high: int = _MOST) -> int | None:
    """A whole number from ``low`` to ``high``."""
    if text is None:
        return None
    if not text.isdecimal() or len(text) > len(str(high)) or not low <= int(text) <= high:
        raise ConfigError(f"{option} {text}: must be a whole number from {low} to {high}")
    return int(text)


def channels(option: str, text: str | None) -> tuple[float, ...] | None:
    """One number, or three parted by commas."""
    if text is None:
        return None
    try:
        values = tuple(float(part) for part in text.split(","))
    except ValueError:
        values = ()
    if len(values) not in (1, 3) or not all(0 <= value <= 1 for value in values):
        raise ConfigError(f"{option} {text}: must be one number in [0, 1] or three, such as 0.485,0.456,0.406")
    return values


def cache_folder(text: str | None) -> Path | None:
    """Where representations are kept: the folder named, none for ``none``, by default the user's cache folder."""
    if text == "none":
        return None
    if text is not None:
        return Path(text)
    return default_cache_folder()
