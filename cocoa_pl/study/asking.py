"""What is explained and what is measured, of explicands that each meet a corpus of their class and one of another.

All of the paper's targets are directions, and all are sums of few: the explicand itself, the corpora, the foil. A method that is linear
in the score, as all of ours are, gives the maps of every target by the maps of these few: four targets in two settings cost four
directions.

Shape legend
    n  explicands of a block        J  directions that are explained        K  maps that are wanted
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add

import torch
from torch import Tensor

from cocoa_pl.targets import DirectionTarget, corpus_majority, explicand_probability, normalize, representation_shift
from cocoa_pl.targets.base import BaseTarget
from cocoa_pl.targets.probability import Head, ProbabilityTarget

ANY = "any"
"""The setting of targets and measures that do not ask which class the corpus is of."""
_SUMS = {
    "label_free": {"explicand": 1.0},
    "contrastive_label_free": {"explicand": 1.0, "foil": -1.0},
    "corpus": {"corpus": 1.0},
    "cocoa": {"corpus": 1.0, "foil": -1.0},
}
_OWN = ("label_free", "contrastive_label_free", "explicand_probability", "representation_shift")
Wanted = tuple[str, str]
"""A target or a measure with its setting, or :data:`ANY`."""


def wanted(names: Sequence[str], settings: Sequence[str]) -> list[Wanted]:
    """Targets or measures with every setting that makes a difference to them.

    Example:
        >>> wanted(["label_free", "cocoa"], ["same", "different"])
        [('label_free', 'any'), ('cocoa', 'same'), ('cocoa', 'different')]
    """
    return [(name, setting) for name in names for setting in ([ANY] if name in _OWN else settings)]


@dataclass(frozen=True)
class Known:
    """An encoder's representations of what a block of explicands meets.

    Attributes:
        explicands: (n, D).
        corpora: (L, M, D), of the classes that take part; None where nothing asks for them.
        foil: (F, D), likewise.
        corpus_of: setting to the number of the class whose corpus each explicand meets, (n,).
    """

    explicands: Tensor
    corpora: Tensor | None
    foil: Tensor | None
    corpus_of: Mapping[str, Tensor]

    def direction(self, name: str, setting: str) -> Tensor:
        """(n, D): the explicand, the mean of a corpus, or the mean of the foil, of unit length each before they are averaged."""
        if name == "explicand":
            return normalize(self.explicands)
        if name == "foil":
            assert self.foil is not None
            return normalize(self.foil).mean(0).expand_as(self.explicands)
        assert self.corpora is not None
        return normalize(self.corpora).mean(1)[self.corpus_of[setting].to(self.corpora.device)]


@dataclass(frozen=True)
class Asked:
    """Few directions that are explained, and how the wanted maps are sums of theirs.

    Attributes:
        target: J directions of n explicands.
        sums: (K, J).
        wanted: K of them.
    """

    target: DirectionTarget
    sums: Tensor
    wanted: tuple[Wanted, ...]

    def maps(self, explained: Tensor) -> dict[Wanted, Tensor]:
        """Maps (J, n, H, W) of the directions to maps (n, H, W) of what is wanted."""
        made = torch.einsum("kj,jnhw->knhw", self.sums.to(explained), explained)
        return dict(zip(self.wanted, made, strict=True))


def ask(known: Known, targets: Sequence[Wanted]) -> Asked:
    """The directions that wanted targets are made of.

    Example:
        >>> reps = torch.eye(3)
        >>> known = Known(reps[:1], reps[None, 1:2], reps[2:], {"same": torch.tensor([0])})
        >>> asked = ask(known, wanted(["label_free", "cocoa"], ["same"]))
        >>> asked.target.names, asked.sums.tolist()
        (('explicand', 'corpus same', 'foil'), [[1.0, 0.0, 0.0], [0.0, 1.0, -1.0]])
    """
    parts = list(dict.fromkeys(_part(part, setting) for target, setting in targets for part in _SUMS[target]))
    sums = torch.zeros(len(targets), len(parts))
    for k, (target, setting) in enumerate(targets):
        for part, weight in _SUMS[target].items():
            sums[k, parts.index(_part(part, setting))] = weight
    directions = torch.stack([known.direction(*part) for part in parts])
    names = [name if setting == ANY else f"{name} {setting}" for name, setting in parts]
    return Asked(DirectionTarget(directions, names=names), sums, tuple(targets))


def _part(name: str, setting: str) -> Wanted:
    return name, setting if name == "corpus" else ANY


def judge(known: Known, measures: Sequence[Wanted], head: Head | None) -> BaseTarget:
    """What is measured along insertion and deletion: one scalar for each measure.

    Args:
        known: representations of explicands and of what judges: corpora and foil.
        measures: of ``config.study.MEASURES``, with their settings.
        head: representations to logits, for probabilities.
    """
    return reduce(add, [_measure(known, name, setting, head) for name, setting in measures])


def _measure(known: Known, name: str, setting: str, head: Head | None) -> BaseTarget:
    title = name if setting == ANY else f"{name} {setting}"
    if name == "corpus_similarity":
        direction = known.direction("corpus", setting) - known.direction("foil", setting)
        return DirectionTarget(direction[None], names=[title])
    if name == "representation_shift":
        return representation_shift(known.explicands, name=title)
    assert head is not None
    if name == "explicand_probability":
        return explicand_probability(known.explicands, head, name=title)
    assert known.corpora is not None
    majority = torch.stack([corpus_majority(corpus, head).labels for corpus in known.corpora])
    return ProbabilityTarget(majority[known.corpus_of[setting].to(majority.device)], head, name=title)


def parts_of(targets: Sequence[str]) -> set[str]:
    """Of ``explicand``, ``corpus`` and ``foil`` those that targets are made of."""
    return {part for target in targets for part in _SUMS[target]}


def judges_of(measures: Sequence[str]) -> set[str]:
    """Of ``corpus`` and ``foil`` those that measures ask for."""
    return ({"corpus"} if {"corpus_majority", "corpus_similarity"} & {*measures} else set()) | (
        {"foil"} if "corpus_similarity" in measures else set()
    )
