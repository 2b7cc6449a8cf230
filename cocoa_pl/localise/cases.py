"""What is asked of an encoder: find the object that a text names, in pictures where the truth is known."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Sequence, Set
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from cocoa_pl.data.annotations import AnnotatedPictures
from cocoa_pl.data.source import NamedObject, Source
from cocoa_pl.errors import DataError
from cocoa_pl.rng import generator
from cocoa_pl.texts.templates import NONSENSE


@dataclass(frozen=True)
class Cases:
    """N pictures in each of which one object is named.

    Attributes:
        ids: (N,) positions in the source.
        names: N names of pictures, for people.
        images: (N, 3, S, S) uint8.
        texts: N texts, of the named object.
        masks: (N, S, S) bool, where it is.
        others: N texts of another object of the picture; empty where there is none.
        other_masks: (N, S, S) bool, of all objects of that text; empty where there is no other.
        absent: N texts of objects of other pictures that name nothing in the picture.
        present: N tuples, the texts of all objects of the picture.
        vocabulary: every text, once: what each is contrasted with.
        notes: whole sentences: what was left out.
    """

    ids: Tensor
    names: tuple[str, ...]
    images: Tensor
    texts: tuple[str, ...]
    masks: Tensor
    others: tuple[str, ...]
    other_masks: Tensor
    absent: tuple[str, ...]
    present: tuple[tuple[str, ...], ...]
    vocabulary: tuple[str, ...]
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.texts)

    @property
    def nonsense(self) -> tuple[str, ...]:
        """N texts in words of no language, in the sentence of the named object's text where its beginning is common to all texts."""
        return tuple(f"{self._common}{NONSENSE[n % len(NONSENSE)]}" for n in range(len(self)))

    def short(self, text: str) -> str:
        """A text without the words that all of the vocabulary begin with."""
        return text.removeprefix(self._common)

    @functools.cached_property
    def _common(self) -> str:
        return _common_beginning(self.vocabulary)


@dataclass
class _Look:
    """What was found while looking for cases.

    Attributes:
        pictures: looked at.
        objects: in them.
        outside: of them, those of which the square that the encoder sees shows nothing.
        shared: of the others, those that share their text with another object of the picture.
        full: pictures with an object to name, but no text that names nothing in them.
    """

    pictures: int = 0
    objects: int = 0
    outside: int = 0
    shared: int = 0
    full: int = 0

    def left_out(self) -> str:
        """What could not be asked about, and why; empty where all could."""
        kinds = (
            (self.outside, "object", "outside the central square that the encoder sees"),
            (self.shared, "object", "with a name that another object of the picture has too"),
            (self.full, "picture", "in which no annotated text is absent"),
        )
        return ", ".join(f"{num} {what}{'s' * (num != 1)} {why}" for num, what, why in kinds if num)


def draw_cases(source: Source, *, num: int, seed: int) -> Cases:
    """At most ``num`` random pictures of a source that knows objects by name; one object of each is named, chosen at random.

    Absent texts are those of objects of other pictures: a name that nobody has looked for may well be in the picture.

    Raises:
        DataError: no picture with a named object, or too few different texts to contrast with.
    """
    vocabulary = source.vocabulary
    if len(vocabulary) < 2:
        raise DataError(f"the data names {len(vocabulary)} different objects; at least two are needed, to contrast one with")
    rng = generator(seed, "localise")
    look, chosen = _Look(), list[_Chosen]()
    for index in torch.randperm(len(source), generator=rng).tolist():
        every = source.named_objects(index)
        objects = tuple(one for one in every if bool(one.mask.any()))
        times = Counter(one.text for one in every)
        unique = [one for one in objects if times[one.text] == 1]
        away = _absent(source, index, set(times))
        look.pictures += 1
        look.objects += len(every)
        look.outside += len(every) - len(objects)
        look.shared += len(objects) - len(unique)
        look.full += bool(unique and not away)
        if unique and away:
            named = unique[int(torch.randint(len(unique), (1,), generator=rng))]
            chosen.append(_Chosen(index, objects, named, away[int(torch.randint(len(away), (1,), generator=rng))]))
        if len(chosen) == num:
            break
    told = look.left_out()
    if not chosen:
        raise DataError(f"no picture has an object that can be asked for: {told or 'the data names no object'}")
    seen = f"Of {look.objects} objects in {look.pictures} pictures that were looked at, left out"
    return _cases(source, chosen, vocabulary, notes=(f"{seen}: {told}.",) if told else ())


class _Chosen(NamedTuple):
    picture: int
    objects: tuple[NamedObject, ...]
    named: NamedObject
    absent: str


def _absent(source: Source, index: int, own: Set[str]) -> Sequence[str]:
    return source.absent(index) if isinstance(source, AnnotatedPictures) else [text for text in source.vocabulary if text not in own]


def _cases(source: Source, chosen: Sequence[_Chosen], vocabulary: tuple[str, ...], *, notes: tuple[str, ...]) -> Cases:
    ids = [one.picture for one in chosen]
    images = source.load(ids)
    other_masks = torch.zeros(len(ids), *images.shape[-2:], dtype=torch.bool)
    others = [""] * len(ids)
    for n, (_, objects, named, _) in enumerate(chosen):
        others[n] = next((one.text for one in objects if one.text != named.text), "")
        for one in objects:
            if one.text == others[n]:  # several of one name are one other thing
                other_masks[n] |= one.mask
    return Cases(
        ids=torch.tensor(ids),
        names=tuple(source.name(index) for index in ids),
        images=images,
        texts=tuple(one.named.text for one in chosen),
        masks=torch.stack([one.named.mask for one in chosen]),
        others=tuple(others),
        other_masks=other_masks,
        absent=tuple(one.absent for one in chosen),
        present=tuple(tuple(dict.fromkeys(each.text for each in one.objects)) for one in chosen),
        vocabulary=vocabulary,
        notes=notes,
    )  # fmt: skip


def _common_beginning(texts: Sequence[str]) -> str:
    """The words that all texts begin with.

    Example:
        >>> _common_beginning(["a photo of a cat", "a photo of a dog"]), _common_beginning(["cat", "dog"])
        ('a photo of a ', '')
    """
    split = [text.split(" ") for text in texts]
    num = next((i for i, words in enumerate(zip(*split, strict=False)) if len(set(words)) > 1), 0)
    return "".join(f"{word} " for word in split[0][:num])
