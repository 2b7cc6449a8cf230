"""Nested values from a file of somebody else's: bounded before anybody walks through them.

A few bytes of YAML or pickle can stand for a tree of 10^9 values, for one thing may lie in many places, or for one without an end.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

MAX_VALUES, MAX_DEPTH = 10_000, 16
_LARGEST = 10**30  # Python refuses to write down integers of some thousand digits


def check_tree(value: Any, *, max_values: int = MAX_VALUES, max_depth: int = MAX_DEPTH) -> None:
    """See that a value is no larger and no deeper than anybody needs; what lies in two places counts twice.

    Args:
        value: mappings, lists and tuples, of anything.
        max_values: that it may hold, itself and mappings and lists counted.
        max_depth: of what it holds.

    Raises:
        ValueError: it is; the message says which.

    Example:
        >>> check_tree({"model": {"width": 16, "stages": [1, 2]}})
        >>> endless = {}
        >>> endless["again"] = endless
        >>> check_tree(endless)
        Traceback (most recent call last):
        ...
        ValueError: is nested more than 16 deep
    """
    waiting, num = [(value, 0)], 0
    while waiting:
        item, depth = waiting.pop()
        inside = item.values() if isinstance(item, Mapping) else item if isinstance(item, list | tuple | set) else ()
        num += 1 + len(inside)
        if depth > max_depth:
            raise ValueError(f"is nested more than {max_depth} deep")
        if num > max_values:
            raise ValueError(f"holds more than {max_values} values")
        if isinstance(item, int) and abs(item) >= _LARGEST:
            raise ValueError("holds an integer of more than 30 digits")
        waiting += [(each, depth + 1) for each in inside]
