"""Draws of a study: disjoint where they must be, of the right classes, and functions of their seed."""

from __future__ import annotations

from collections import Counter

import pytest
import torch

from cocoa_pl.data.source import MemorySource
from cocoa_pl.errors import DataError
from cocoa_pl.study.drawing import Draw, classes_of, draw

NAMES = ("ant", "bee", "cat", "dog")


def source(per_class: int, *, names: tuple[str, ...] = NAMES, num: int = len(NAMES)) -> MemorySource:
    labels = torch.arange(num).repeat(per_class)
    return MemorySource(torch.zeros(len(labels), 3, 2, 2, dtype=torch.uint8), labels=labels, class_names=names)


TRAIN, VAL = source(40), source(20)
PARTS = ("explicands", "own", "others", "corpora", "foil", "judge_corpora", "judge_foil")


def drawn(*, seed: int = 1, labels: tuple[int, ...] = (0, 1, 2, 3), **options: int) -> Draw:
    sizes = {"per_class": 6, "corpus_size": 5, "foil_size": 12, "judge_corpus_size": 4, "judge_foil_size": 9} | options
    return draw(TRAIN, VAL, labels=torch.tensor(labels), seed=seed, **sizes)


def test_classes_sizes_and_what_must_not_meet() -> None:
    made = drawn(labels=(3, 0, 2))
    assert torch.equal(VAL.labels[made.explicands], torch.tensor([3, 0, 2]).repeat_interleave(6))  # type: ignore[index]
    assert torch.equal(made.own, torch.tensor([0, 1, 2]).repeat_interleave(6))
    for corpora, size in ((made.corpora, 5), (made.judge_corpora, 4)):
        assert torch.equal(TRAIN.labels[corpora], torch.tensor([[3], [0], [2]]).expand(3, size))  # type: ignore[index]
    every = torch.cat([made.corpora.flatten(), made.judge_corpora.flatten(), made.foil, made.judge_foil])
    assert len(every.unique()) == len(every) == 3 * (5 + 4) + 12 + 9
    assert len(made.explicands.unique()) == 18
    assert set(TRAIN.labels[made.foil].tolist()) >= {1}  # type: ignore[index]  # of any class, also of those that take no part


def test_every_other_class_is_met_equally_often() -> None:
    made = drawn(per_class=6)
    assert torch.equal(made.corpus_of("same"), made.own)
    assert torch.equal(made.corpus_of("different"), made.others)
    pairs = Counter(zip(made.own.tolist(), made.others.tolist(), strict=True))
    assert pairs == {(own, other): 2 for own in range(4) for other in range(4) if own != other}


@pytest.mark.parametrize(("num", "per_class"), [(10, 25), (4, 2), (3, 7), (2, 3)])
def test_the_explicands_of_a_class_meet_the_other_classes_in_turn(num: int, per_class: int) -> None:
    pictures = source(60, names=(), num=num)
    made = draw(
        pictures, pictures, labels=torch.arange(num), seed=1, per_class=per_class, corpus_size=1, foil_size=2, judge_corpus_size=0,
        judge_foil_size=0,
    )  # fmt: skip
    for own in range(num):
        met = torch.bincount(made.others[made.own == own], minlength=num).tolist()
        assert met.pop(own) == 0
        assert max(met) - min(met) <= 1


def test_a_draw_is_a_function_of_its_seed() -> None:
    first, again, other = drawn(), drawn(), drawn(seed=2)
    assert all(torch.equal(getattr(first, name), getattr(again, name)) for name in PARTS)
    assert not any(torch.equal(getattr(first, name), getattr(other, name)) for name in ("explicands", "corpora", "foil", "judge_foil"))


def test_larger_draws_begin_with_smaller_ones() -> None:
    small, large = drawn(), drawn(foil_size=40)
    assert torch.equal(large.foil[:12], small.foil)
    assert torch.equal(large.judge_foil, small.judge_foil)
    corpora = drawn(corpus_size=9)
    assert torch.equal(corpora.corpora[:, :5], small.corpora)
    assert torch.equal(corpora.judge_corpora, small.judge_corpora)


def test_in_its_own_sample_what_is_explained_judges() -> None:
    made = drawn(judge_corpus_size=0, judge_foil_size=0)
    assert torch.equal(made.corpora, made.judge_corpora)
    assert torch.equal(made.foil, made.judge_foil)
    assert len(made.foil) == 12


def test_few_are_the_first_of_each_class() -> None:
    made = drawn()
    few = made.few(2)
    assert torch.equal(few.explicands, made.explicands.view(4, 6)[:, :2].flatten())
    assert torch.equal(few.others, made.others.view(4, 6)[:, :2].flatten())
    assert few.foil is made.foil
    assert torch.equal(made.few(99).explicands, made.explicands)


def test_classes_by_name_or_all() -> None:
    labels, names = classes_of(VAL, ())
    assert (labels.tolist(), names) == ([0, 1, 2, 3], NAMES)
    labels, names = classes_of(VAL, ["dog", "bee"])
    assert (labels.tolist(), names) == ([3, 1], ("dog", "bee"))
    nameless = source(3, names=(), num=3)
    assert classes_of(nameless, ())[1] == ("0", "1", "2")
    assert classes_of(nameless, ["2", "0"])[0].tolist() == [2, 0]


def test_images_without_a_label_take_no_part() -> None:
    some = MemorySource(torch.zeros(4, 3, 2, 2, dtype=torch.uint8), labels=torch.tensor([-1, 1, 0, -1]), class_names=NAMES[:2])
    assert classes_of(some, ())[1] == ("ant", "bee")


@pytest.mark.parametrize(
    ("pictures", "names", "message"),
    [
        (MemorySource(VAL.images), [], "has no labels"),
        (VAL, ["dog", "bet"], r"unknown class 'bet'; choose from: ant, bee, cat, dog \(did you mean 'bee'\?\)"),
        (VAL, ["dog"], "one class takes part"),
        (MemorySource(VAL.images, labels=torch.full((80,), -1), class_names=NAMES), [], "no class takes part"),
    ],
)
def test_classes_that_cannot_be_studied(pictures: MemorySource, names: list[str], message: str) -> None:
    with pytest.raises(DataError, match=message):
        classes_of(pictures, names)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"per_class": 21}, "class 'ant' has 20 validation images and 21 are needed; lower study.per_class"),
        ({"corpus_size": 37}, "class 'ant' has 40 training images and 41 are needed; lower explain.corpus_size"),
        ({"foil_size": 116}, "125 foil pictures are needed, and 124 training images are left beside the corpora; lower explain.foil_size"),
    ],
)
def test_too_few_pictures(options: dict[str, int], message: str) -> None:
    with pytest.raises(DataError, match=message):
        drawn(**options)
