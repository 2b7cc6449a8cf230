"""What is asked of an encoder: find the object that a text names, in pictures where the truth is known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from cocoa_pl.data.source import NamedObject, Source
from cocoa_pl.errors import DataError
from cocoa_pl.rng import generator

_NONSENSE = ("blorft wexil", "qazmin drundle", "zvorp kelthi")
"""Words of no language: what a map towards them shows is not due to what was asked."""


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
        other_masks: (N, S, S) bool, empty where there is no other.
        absent: N texts of the vocabulary that name nothing in the picture.
        present: N tuples, the texts of all objects of the picture.
        vocabulary: every text, once: what each is contrasted with.
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

    def __len__(self) -> int:
        return len(self.texts)

    @property
    def nonsense(self) -> tuple[str, ...]:
        """N texts in words of no language, in the sentence of the named object's text where its beginning is common to all texts."""
        common = _common_beginning(self.vocabulary)
        return tuple(f"{common}{_NONSENSE[n % len(_NONSENSE)]}" for n in range(len(self)))


def draw_cases(source: Source, *, num: int, seed: int) -> Cases:
    """At most ``num`` random pictures of a source that knows objects by name; one object of each is named, chosen at random.

    Raises:
        DataError: no picture with a named object, or too few different texts to contrast with.
    """
    vocabulary = source.vocabulary
    if len(vocabulary) < 2:
        raise DataError(f"the data names {len(vocabulary)} different objects; at least two are needed, to contrast one with")
    rng = generator(seed, "localise")
    ids, chosen = list[int](), list[tuple[tuple[NamedObject, ...], int, str]]()
    for index in torch.randperm(len(source), generator=rng).tolist():
        objects = tuple(one for one in source.named_objects(index) if bool(one.mask.any()))
        unique = [k for k, one in enumerate(objects) if sum(other.text == one.text for other in objects) == 1]
        away = [text for text in vocabulary if text not in {one.text for one in objects}]
        if unique and away and len(ids) < num:
            pick = unique[int(torch.randint(len(unique), (1,), generator=rng))]
            ids.append(index)
            chosen.append((objects, pick, away[int(torch.randint(len(away), (1,), generator=rng))]))
    if not ids:
        raise DataError("no picture has an object with a name of its own and a mask")
    return _cases(source, ids, chosen, vocabulary)


def _cases(
    source: Source, ids: Sequence[int], chosen: Sequence[tuple[tuple[NamedObject, ...], int, str]], vocabulary: tuple[str, ...]
) -> Cases:  # fmt: skip
    images = source.load(ids)
    other_masks = torch.zeros(len(ids), *images.shape[-2:], dtype=torch.bool)
    others = [""] * len(ids)
    for n, (objects, pick, _) in enumerate(chosen):
        other = next((one for k, one in enumerate(objects) if k != pick and one.text != objects[pick].text), None)
        if other is not None:
            others[n], other_masks[n] = other.text, other.mask
    return Cases(
        ids=torch.tensor(ids),
        names=tuple(source.name(index) for index in ids),
        images=images,
        texts=tuple(objects[pick].text for objects, pick, _ in chosen),
        masks=torch.stack([objects[pick].mask for objects, pick, _ in chosen]),
        others=tuple(others),
        other_masks=other_masks,
        absent=tuple(text for *_, text in chosen),
        present=tuple(tuple(one.text for one in objects) for objects, *_ in chosen),
        vocabulary=vocabulary,
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
