"""Checks of option values: each refuses with one line that names the key, the value and what would do."""

from __future__ import annotations

from typing import Any

from cocoa_pl.errors import ConfigError, choices_hint


def between(key: str, value: float | None, low: float, high: float = float("inf"), *, open_low: bool = False) -> None:
    """Refuse a number outside [low, high], or (low, high] with ``open_low``."""
    if value is None or (value != float("inf") and (low < value <= high if open_low else low <= value <= high)):
        return
    wanted = f"greater than {low:g}" if open_low else f"at least {low:g}"
    wanted += f" and at most {high:g}" if high < float("inf") else " and finite" if value == float("inf") else ""
    raise ConfigError(f"{key}={value}: must be {wanted}")


def one_of(key: str, value: str, choices: Any) -> None:
    if value not in choices:
        raise ConfigError(f"{key}={value}: unknown; {choices_hint(value, choices)}")


def increasing(key: str, value: list[float], low: float, high: float) -> None:
    if len(value) != 2 or not low < value[0] <= value[1] <= high:
        raise ConfigError(f"{key}={value}: must be two numbers [min, max] with {low:g} < min <= max <= {high:g}")
