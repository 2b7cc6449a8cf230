"""The errors a user can meet: each message is one line naming what is wrong, what was found and what would do."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence

_MANY, _LONG, _FEW = 60, 300, 5  # names, letters of all, names shown of many


class CocoaError(Exception):
    """Base of every error that is the user's to mend; scripts print it as one line and exit with code 2."""


class ConfigError(CocoaError):
    """An option has an unknown name, a wrong type or a value out of range."""


class DataError(CocoaError):
    """A picture, a folder or a dataset cannot be used as asked."""


class DivergedError(DataError):
    """A loss, weights or representations that hold NaN or infinite values: there is nothing to go on with, or to explain."""


class CheckpointError(CocoaError):
    """A checkpoint is missing, truncated, or holds something else than what was expected."""


class OutputError(CocoaError):
    """A result cannot be written (no permission, no space)."""


class PeerError(CocoaError):
    """Another process of a distributed run has ended, and this one cannot go on without it."""


def choices_hint(name: str, choices: Iterable[str]) -> str:
    """Say which names exist and which one is nearest to the one given; of very many, which few are nearest.

    Example:
        >>> choices_hint("rize", ["rise", "gradient"])
        "choose from: gradient, rise (did you mean 'rise'?)"
    """
    known = sorted(choices)
    if len(known) > _MANY or sum(map(len, known)) > _LONG:
        close = difflib.get_close_matches(name, known, n=_FEW, cutoff=0.3)
        shown = f"the nearest of {len(known)}: {', '.join(close or known[:_FEW])}"
    else:
        shown = f"choose from: {', '.join(known)}"
    near = difflib.get_close_matches(name, known, n=1)
    return shown + (f" (did you mean '{near[0]}'?)" if near else "")


def some(names: Sequence[str], *, most: int = 3) -> str:
    """The first names, and how many more there are.

    Example:
        >>> some(["a", "b", "c", "d", "e"]), some(["a"])
        ('a, b, c and 2 more', 'a')
    """
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
