"""What a study found, as plain values: areas of every cell of the grid, sensitivity, the cascade, and what it cost.

Shape legend
    S  seeds          E  explicands of a seed          T  steps of a curve
Insertion and deletion are areas of a measure; gap is insertion minus deletion, higher is better for every measure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from torch import Tensor

from cocoa_pl.config.study import MEASURES, SETTINGS, TARGETS

__all__ = [
    "CONTROL",
    "MEASURES",
    "RANDOMISED",
    "SETTINGS",
    "TARGETS",
    "Areas",
    "Cell",
    "Cost",
    "EncoderFacts",
    "Factor",
    "Level",
    "Results",
]

RANDOMISED = "randomised"
"""In place of a target: COCOA by the encoder with all its parameters redrawn."""
CONTROL = "control"
"""In place of a method: a map that knows nothing of encoder and target."""


class Cell(NamedTuple):
    """Where a number of the grid stands."""

    encoder: str  # its title
    setting: str  # of SETTINGS
    measure: str  # of MEASURES
    method: str  # an attribution, or CONTROL
    target: str  # of TARGETS, or RANDOMISED; of a control its name: random, smooth_random, centre_bias


@dataclass(frozen=True)
class Areas:
    """A cell's numbers.

    Attributes:
        insertion: (S, E), higher is better.
        deletion: (S, E), lower is better.
        insertion_curve: (S, T + 1), means over the explicands.
        deletion_curve: (S, T + 1).
    """

    insertion: Tensor
    deletion: Tensor
    insertion_curve: Tensor
    deletion_curve: Tensor

    @property
    def gap(self) -> Tensor:
        """(S, E), insertion minus deletion."""
        return self.insertion - self.deletion

    def by_seed(self, name: str) -> Tensor:
        """(S,): means over the explicands of ``insertion``, ``deletion`` or ``gap``; what intervals are made of."""
        values: Tensor = getattr(self, name)
        return values.nanmean(dim=1)


@dataclass(frozen=True)
class Level:
    """One value of a factor of the sensitivity study, or one layer more of the cascade.

    Attributes:
        name: of the value: ``"20"``, ``"black"``; of the cascade the layer lost last.
        gaps: measure to (S, E).
        agreement: (S, E), Spearman's rank correlation with the maps of the reference level; of the cascade with those of the encoder.
    """

    name: str
    gaps: dict[str, Tensor]
    agreement: Tensor


@dataclass(frozen=True)
class Factor:
    """A factor of the sensitivity study: COCOA in the setting ``same`` by one method and one encoder, everything else as in the grid.

    Corpora and foils are drawn at the largest size that is compared; what the foil leaves out is larger then, so that it is another draw.

    Attributes:
        encoder: its title.
        name: corpus_size, foil_size, num_masks, removal, blur_sigma; or cascade.
        method: attribution.
        reference: name of the level that the others are compared with: the grid's own value; of the cascade the first one, ``""``.
        levels: in ascending order where they are numbers.
        note: a sentence on what was left out; empty where nothing was.
    """

    encoder: str
    name: str
    method: str
    reference: str
    levels: tuple[Level, ...]
    note: str = ""


@dataclass(frozen=True)
class Cost:
    """What an encoder's grid cost.

    Attributes:
        forwards: images that went through the encoder and its randomised copy, corpora and foils included, the linear head's not.
        alone: the same if every cell were computed on its own.
        seconds: that the grid took, summed over all of its parts.
    """

    forwards: int
    alone: int
    seconds: float


@dataclass(frozen=True)
class EncoderFacts:
    """What is known of an encoder.

    Attributes:
        title: in tables.
        about: plain values that identify it.
        head_accuracy: share of validation images whose class the linear head names.
        reliability: correlation to expect of its RISE maps of COCOA with those of as many other masks; NaN where RISE was not asked for.
    """

    title: str
    about: dict[str, object]
    head_accuracy: float
    reliability: float


@dataclass
class Results:
    """All of it.

    Attributes:
        encoders: in the order asked for.
        grid: cell to areas; in the order of the tables.
        factors: sensitivity and cascade.
        costs: encoder's title to what its grid cost.
        seeds: S of them.
    """

    encoders: tuple[EncoderFacts, ...] = ()
    grid: dict[Cell, Areas] = field(default_factory=dict)
    factors: list[Factor] = field(default_factory=list)
    costs: dict[str, Cost] = field(default_factory=dict)
    seeds: Sequence[int] = ()

    def methods(self, encoder: str) -> list[str]:
        """Attributions of an encoder's grid, without controls, in their order."""
        return list(dict.fromkeys(cell.method for cell in self.grid if cell.encoder == encoder and cell.method != CONTROL))

    def rows(self, encoder: str) -> list[tuple[str, str]]:
        """(method, target) of an encoder's grid in the order of the tables; controls come last."""
        return list(dict.fromkeys((cell.method, cell.target) for cell in self.grid if cell.encoder == encoder))
