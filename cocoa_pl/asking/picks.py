"""Pictures picked from a source: drawn, cleaned of what is in another pick, cleaned of what cannot be read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from cocoa_pl.data.inputs import content_digest
from cocoa_pl.data.source import Source
from cocoa_pl.errors import DataError

ENOUGH = 12
"""Pictures of which some can be kept apart."""


@dataclass(frozen=True)
class Pick:
    """Pictures of a source, or representations that the user brought.

    Attributes:
        source: where from; None for representations.
        ids: positions, in the order drawn: the last ones measure.
        reps: (M, D) representations.
        words: what they are, for people.
        apart: divisor of the share that is kept apart to measure with.
    """

    source: Source | None
    ids: tuple[int, ...]
    reps: Tensor | None
    words: str
    apart: int = 3

    def __len__(self) -> int:
        return len(self.ids) if self.reps is None else len(self.reps)

    @property
    def num_measuring(self) -> int:
        """Pictures kept apart to measure with; 0 where there are too few."""
        return len(self) // self.apart if len(self) >= ENOUGH else 0

    def digests(self) -> set[str]:
        """What identifies the pictures' content; empty for representations."""
        return set() if self.source is None else {content_digest(self.source, index) for index in self.ids}


def drawn(source: Source, most: int, words: str, rng: torch.Generator, *, apart: int = 3) -> Pick:
    """At most so many pictures of a source, in random order."""
    return Pick(source, tuple(torch.randperm(len(source), generator=rng)[:most].tolist()), None, words, apart)


def without(foil: Pick, corpora: Sequence[Pick | None]) -> tuple[Pick, int]:
    """The foil without pictures that are in a corpus as well, by content, and how many those were.

    Raises:
        DataError: nothing is left.
    """
    known = set().union(*(pick.digests() for pick in corpora if pick is not None))
    if foil.source is None or not known:
        return foil, 0
    left = tuple(index for index in foil.ids if content_digest(foil.source, index) not in known)
    if not left:
        raise DataError(f"--foil: every one of the {len(foil.ids)} pictures is in a corpus too; corpus and foil must differ")
    return replace(foil, ids=left), len(foil.ids) - len(left)


def readable(pick: Pick) -> tuple[Pick, list[str]]:
    """The pick without pictures that cannot be read, and a reason for each of those.

    Raises:
        DataError: none can be read.
    """
    if pick.source is None:
        return pick, []
    left, reasons = list[int](), list[str]()
    for index in pick.ids:
        try:
            pick.source.load([index])
            left.append(index)
        except DataError as error:
            reasons.append(str(error))
    if not left:
        raise DataError(f"of {pick.words} none can be read; the first: {reasons[0]}")
    return replace(pick, ids=tuple(left)), reasons
