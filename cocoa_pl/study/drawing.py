"""Which pictures a seed draws: explicands, corpora, foil, and others like them to measure with.

Shape legend
    E  explicands        L  classes that take part        M, F  pictures of a corpus, of the foil
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from cocoa_pl.data.corpora import by_class, random_foil
from cocoa_pl.data.source import Source
from cocoa_pl.errors import DataError, choices_hint
from cocoa_pl.rng import derive_seed


@dataclass(frozen=True)
class Draw:
    """What one seed draws. Ids are positions in the validation (explicands) or training images (all others).

    Attributes:
        seed: of the draw.
        explicands: (E,), class by class.
        own: (E,), number of the explicand's class among those that take part.
        others: (E,), number of another class, whose corpus it meets in the setting ``different``: the explicands of a class meet the other
            classes in turn, so that among them none is met twice before all are met once.
        corpora: (L, M).
        foil: (F,), of any class, the corpora's natural share included; no picture of a corpus.
        judge_corpora: (L, M'), disjoint from both: what maps are judged by.
        judge_foil: (F',), likewise.
    """

    seed: int
    explicands: Tensor
    own: Tensor
    others: Tensor
    corpora: Tensor
    foil: Tensor
    judge_corpora: Tensor
    judge_foil: Tensor

    def corpus_of(self, setting: str) -> Tensor:
        """(E,), number of the class whose corpus each explicand meets."""
        return self.own if setting == "same" else self.others

    def few(self, per_class: int) -> Draw:
        """The same with the first explicands of each class alone."""
        place = torch.cat([torch.nonzero(self.own == number)[:per_class, 0] for number in range(len(self.corpora))])
        return Draw(
            self.seed, self.explicands[place], self.own[place], self.others[place], self.corpora, self.foil, self.judge_corpora,
            self.judge_foil,
        )  # fmt: skip


def classes_of(source: Source, names: Sequence[str]) -> tuple[Tensor, tuple[str, ...]]:
    """Labels (L,) of the classes that take part, and their names.

    Raises:
        DataError: no labels, an unknown name, or fewer than two classes.
    """
    if source.labels is None:
        raise DataError(
            "the data has no labels: a study asks whether the features of a class are found; pictures in folders, one a class, have some"
        )
    known = torch.unique(source.labels[source.labels >= 0])
    called = source.class_names or tuple(map(str, range(source.num_classes)))
    for name in names:
        if name not in called:
            raise DataError(f"study.classes: unknown class '{name}'; {choices_hint(name, called)}")
    labels = torch.tensor([called.index(name) for name in names]) if names else known
    if len(labels) < 2:
        few = "one class takes part" if len(labels) else "no class takes part"
        raise DataError(f"{few} in the study; at least two are needed, one of them to be another's")
    return labels, tuple(called[int(label)] for label in labels)


def draw(
    train: Source, val: Source, *, labels: Tensor, seed: int, per_class: int, corpus_size: int, foil_size: int,
    judge_corpus_size: int, judge_foil_size: int,
) -> Draw:  # fmt: skip
    """Draw for one seed. Larger corpora begin with smaller ones, and so do larger foils beside corpora of one size.

    Args:
        train: where corpora and foils come from.
        val: where explicands come from.
        labels: (L,), the classes that take part.
        seed: everything is a function of it.
        per_class: explicands of each class.
        corpus_size, foil_size: of what is explained.
        judge_corpus_size, judge_foil_size: of what judges; 0: the explained ones do, in their own sample.

    Raises:
        DataError: a class or the data has too few pictures; the message says which option to lower.
    """
    num = len(labels)
    explicands = [
        _of_class(val, int(label), per_class, derive_seed(seed, "explicands"), "validation", "study.per_class") for label in labels
    ]
    want = judge_corpus_size + corpus_size
    drawn = torch.stack(
        [_of_class(train, int(label), want, derive_seed(seed, "corpora"), "training", "explain.corpus_size") for label in labels]
    )
    try:
        foil = random_foil(train, judge_foil_size + foil_size, seed=derive_seed(seed, "foil"), exclude=drawn.flatten())
    except DataError as error:
        left = len(train) - drawn.numel()
        raise DataError(
            f"{judge_foil_size + foil_size} foil pictures are needed, and {max(0, left)} training images are left beside the corpora; "
            "lower explain.foil_size"
        ) from error
    own = torch.arange(num).repeat_interleave(per_class)
    step = torch.arange(per_class).repeat(num) + own  # begins elsewhere in every class, so that no class is met first by all
    corpora, judge_corpora = drawn[:, judge_corpus_size:], drawn[:, :judge_corpus_size]
    return Draw(
        seed, torch.cat(explicands), own, (own + 1 + step % (num - 1)) % num, corpora, foil[judge_foil_size:],
        judge_corpora if judge_corpus_size else corpora, foil[:judge_foil_size] if judge_foil_size else foil,
    )  # fmt: skip


def _of_class(source: Source, label: int, size: int, seed: int, split: str, option: str) -> Tensor:
    try:
        return by_class(source, label, size, seed=seed)
    except DataError as error:
        there = 0 if source.labels is None else int((source.labels == label).sum())
        name = source.class_names[label] if source.class_names else str(label)
        raise DataError(
            f"class '{name}' has {there} {split} images and {size} are needed; lower {option} or name other study.classes"
        ) from error
