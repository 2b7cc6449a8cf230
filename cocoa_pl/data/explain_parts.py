"""The parts of an explain set: which images are drawn for what, and the originals without one of their components.

Every part is drawn with a generator of its own: more of one does not move the random numbers of another. Draws are positions in a source.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from cocoa_pl.data.source import Source
from cocoa_pl.data.words import split_words
from cocoa_pl.errors import ConfigError, DataError
from cocoa_pl.removal import Cartoon, Grayscale, ShuffledPatches

_MAX_CLASSES = 10
_MIN_CLASS = 4  # a corpus, its measure, and as many left for the foils
_MIN_VOCABULARY = 4  # two phrases for the foil, and as many that measure
_REMOVALS: dict[str, Callable[[], Callable[[Tensor], Tensor]]] = {"colour": Grayscale, "texture": Cartoon, "shape": ShuffledPatches}


class Texts(NamedTuple):
    """What explicands are compared with in words; all empty where there are none.

    Attributes:
        phrases: E, what each is called.
        absent: E, a phrase for each that names nothing in it.
        foil: F phrases that the vocabulary has.
        measure_foil: F' others.
    """

    phrases: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()
    foil: tuple[str, ...] = ()
    measure_foil: tuple[str, ...] = ()


def usable_images(train: Source, val: Source) -> Tensor | None:
    """Which validation images (n,) are of a class with enough training images for corpora; None where none is: labels only unlock."""
    if train.labels is None or val.labels is None:
        return None
    counts = torch.bincount(train.labels[train.labels >= 0], minlength=int(val.labels.max().clamp_min(0)) + 1)
    usable = (val.labels >= 0) & (counts[val.labels.clamp_min(0)] >= _MIN_CLASS)
    if not bool(usable.any()):
        warnings.warn(f"no class has {_MIN_CLASS} training images: explained without labels", stacklevel=3)
        return None
    return usable


def spread(source: Source, usable: Tensor | None, num: int, rng: torch.Generator, *, max_classes: int | None = _MAX_CLASSES) -> Tensor:
    """Random positions, one of every class before a second of any, classes in random order; in their own order where no label counts."""
    order = torch.randperm(len(source), generator=rng)
    if usable is None or source.labels is None:
        return order[:num].sort().values
    order = order[usable[order]]
    labels = source.labels[order]
    known = torch.unique(labels)
    classes = known[torch.randperm(len(known), generator=rng)][:max_classes]
    turn = torch.full((len(order),), -1, dtype=torch.long)
    for place, label in enumerate(classes):
        members = (labels == label).nonzero()[:, 0]
        turn[members] = torch.arange(len(members)) * len(classes) + place
    chosen = turn >= 0
    return order[chosen][turn[chosen].argsort(stable=True)][:num]


def draw_gallery(source: Source, num: int, rng: torch.Generator) -> tuple[Tensor, Tensor]:
    """Positions (G,) spread over all classes, and their labels; random ones and -1 where nothing is known."""
    labelled = None if source.labels is None or bool((source.labels < 0).all()) else source.labels >= 0
    ids = spread(source, labelled, num, rng, max_classes=None)
    return ids, torch.full_like(ids, -1) if source.labels is None else source.labels[ids]


def draw_pairs(source: Source, usable: Tensor | None, num: int, rng: torch.Generator) -> tuple[Tensor, Tensor]:
    """Images of different classes side by side, from the same classes that explicands are spread over; (P, 3, H, 2 W) and labels (P, 2)."""
    if usable is None or source.labels is None or num == 0 or len(torch.unique(source.labels[usable])) < 2:
        return torch.empty(0), torch.empty(0, 2, dtype=torch.long)
    pool = spread(source, usable, len(source), rng)
    left = pool[torch.randint(len(pool), (20 * num,), generator=rng)]
    right = pool[torch.randint(len(pool), (20 * num,), generator=rng)]
    differ = source.labels[left] != source.labels[right]
    left, right = left[differ][:num], right[differ][:num]
    images = torch.cat([source.load(left.tolist()), source.load(right.tolist())], dim=-1).float() / 255
    return images, torch.stack([source.labels[left], source.labels[right]], dim=1)


def draw_corpora(source: Source, classes: list[int], sizes: tuple[int, int], rng: torch.Generator) -> tuple[Tensor, Tensor]:
    """Members (L, m) of each class and others (L, k) that measure, as many for all classes and at most ``sizes``."""
    if source.labels is None or not classes:
        return torch.empty(0, 0, dtype=torch.long), torch.empty(0, 0, dtype=torch.long)
    order = torch.randperm(len(source), generator=rng)
    members = [order[source.labels[order] == label] for label in classes]
    m, k = fit(sizes, available=min(len(rows) // 2 for rows in members))  # half of each class stays for the foil
    if (m, k) != sizes:
        warnings.warn(
            f"corpora have {m} images instead of {sizes[0]}, {k} instead of {sizes[1]} that measure: a class has no more training images",
            stacklevel=3,
        )
    return torch.stack([rows[:m] for rows in members]), torch.stack([rows[m : m + k] for rows in members])


def draw_foils(source: Source, sizes: tuple[int, int], used: Tensor, rng: torch.Generator) -> tuple[Tensor, Tensor]:
    """Random positions (f,) of training images that are in no corpus, and others (k,) that measure.

    Raises:
        DataError: not even two are left.
    """
    free = torch.ones(len(source), dtype=torch.bool)
    free[used] = False
    order = torch.randperm(len(source), generator=rng)
    order = order[free[order]]
    if len(order) < 2:
        raise DataError(
            f"{len(source)} training images leave none for the foil and its measure; at least two are needed beside the corpora"
        )
    f, k = fit(sizes, available=len(order))
    if (f, k) != sizes:
        warnings.warn(
            f"the foil has {f} images instead of {sizes[0]}, {k} instead of {sizes[1]} that measure: there are no more training images",
            stacklevel=3,
        )
    return order[:f], order[f : f + k]


def draw_texts(source: Source, ids: Tensor, rng: torch.Generator) -> Texts:
    """The phrases of images at positions ids (E,), and the vocabulary parted at random, 3 : 1, into a foil and its measure.

    A phrase is absent from an image if it shares as few words as any phrase does with what the image's phrase and its fullest caption say;
    words that all phrases have do not count.
    """
    phrases, vocabulary = source.phrases(ids.tolist()), tuple(dict.fromkeys(source.vocabulary))
    if phrases is None:
        return Texts()
    if len(vocabulary) < _MIN_VOCABULARY:
        warnings.warn(f"the vocabulary has {len(vocabulary)} phrases, not {_MIN_VOCABULARY}: explained without texts", stacklevel=3)
        return Texts()
    order = [vocabulary[place] for place in torch.randperm(len(vocabulary), generator=rng).tolist()]
    num_measure = max(2, len(vocabulary) // 4)
    words = [set(split_words(text)) for text in vocabulary]
    telling = [own.difference(set[str].intersection(*words)) for own in words]
    absent, captions = list[str](), source.captions(ids.tolist(), epoch=None) or phrases
    for phrase, caption, draw in zip(phrases, captions, torch.rand(len(phrases), generator=rng).tolist(), strict=True):
        shown = set(split_words(f"{phrase} {caption}"))
        shared = {text: len(own & shown) for text, own in zip(vocabulary, telling, strict=True) if text != phrase}
        least = [text for text, num in shared.items() if num == min(shared.values())]
        absent.append(least[int(draw * len(least))])
    return Texts(tuple(phrases), tuple(absent), tuple(order[num_measure:]), tuple(order[:num_measure]))


def fit(sizes: tuple[int, int], *, available: int) -> tuple[int, int]:
    """Both sizes where there are as many images, else smaller ones in proportion, at least one each; ``available`` is 2 or more.

    Example:
        >>> fit((100, 50), available=1000), fit((100, 50), available=30), fit((100, 1), available=2)
        ((100, 50), (20, 10), (1, 1))
    """
    if sum(sizes) <= available:
        return sizes
    first = min(max(round(available * sizes[0] / sum(sizes)), 1), available - 1)
    return first, available - first


def load_grid(source: Source, ids: Tensor, *, like: Tensor) -> Tensor:
    """Images (..., 3, H, W) uint8 at positions (...), of the size of the images ``like`` (n, 3, H, W) where there is no position."""
    if ids.numel() == 0:
        return torch.empty(*ids.shape, *like.shape[1:], dtype=torch.uint8)
    return source.load(ids.flatten().tolist()).reshape(*ids.shape, *like.shape[1:])


def without_components(images: Tensor) -> dict[str, Tensor]:
    """Images (E, 3, H, W) in [0, 1] without their colour, their texture and their shape, each (E, 3, H, W) uint8.

    The removals are those of ``registry.REMOVALS`` as they are by default. Where scikit-image is not installed texture is left out, with a
    warning.
    """
    made: dict[str, Tensor] = {}
    for name, removal in _REMOVALS.items():
        try:
            remove = removal()
        except ConfigError as error:
            warnings.warn(f"components are explained without {name}: {error}", stacklevel=3)
            continue
        made[name] = (remove(images) * 255).round().to(torch.uint8)
    return made
