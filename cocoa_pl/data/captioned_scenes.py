"""``captioned_scenes``: several coloured digits in a picture, and captions that name some of them; generated in seconds, with exact masks.

Each object is a digit in one of six colours in one corner of a grey, cluttered picture. A training caption names one object or more; a
mention may leave out the colour or the digit, and may say the place. Every scene is a function of (seed, split, index), its caption also of
the epoch. Training and validation images share no digit (see ``data.digits``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from cocoa_pl.data.digits import MASK_THRESHOLD, clutter, digits, placed
from cocoa_pl.data.source import MemorySource, NamedObject
from cocoa_pl.data.words import UNKNOWN, words_of
from cocoa_pl.rng import counter_uniform, derive_seed
from cocoa_pl.texts.words import article

COLOURS = {
    "red": (0.95, 0.12, 0.10), "green": (0.10, 0.80, 0.15), "blue": (0.25, 0.35, 1.00), "yellow": (0.98, 0.92, 0.10),
    "pink": (1.00, 0.35, 0.85), "cyan": (0.10, 0.92, 0.95),
}  # fmt: skip
DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
PLACES = ("at the top left", "at the top right", "at the bottom left", "at the bottom right")
MOST_OBJECTS = len(PLACES)
_BEGINNINGS = ("", "a photo of ", "a picture of ")
_WITHHELD = 0.01  # of the words of training captions: what an unknown word means has to be learned


@dataclass(frozen=True)
class CaptionedOptions:
    """How captioned scenes look.

    Attributes:
        image_size: in pixels.
        num_objects: fewest and most objects of a picture, 1 to 4.
        background: strength of the noise.
        same_colour: share of the pictures whose objects have one colour, so that only the digit tells them apart.
        same_digit: share of the other pictures whose objects are one digit, so that only the colour tells them apart.
    """

    image_size: int = 40
    num_objects: tuple[int, int] = (1, 3)
    background: float = 0.1
    same_colour: float = 0.2
    same_digit: float = 0.1


@dataclass(frozen=True)
class SceneObject:
    """An object of a scene.

    Example:
        >>> SceneObject("seven", "red", "at the top left").name
        'red seven'
    """

    digit: str
    colour: str
    place: str

    @property
    def name(self) -> str:
        """Colour and digit."""
        return f"{self.colour} {self.digit}"


class CaptionedScenes(MemorySource):
    """Scenes with captions. The *named* object of a picture is its first; ``masks`` and ``phrases`` are of it.

    Args:
        images: (n, 3, S, S) uint8.
        objects: of each picture.
        object_masks: (n, K, S, S) bool, empty where a picture has fewer than K objects.
        seed: of the captions.
    """

    def __init__(self, images: Tensor, *, objects: Sequence[tuple[SceneObject, ...]], object_masks: Tensor, seed: int) -> None:
        super().__init__(images, masks=object_masks[:, 0])
        self.objects, self.object_masks, self._seed = tuple(objects), object_masks, seed

    def phrases(self, ids: Sequence[int]) -> list[str]:
        return [phrase(self.objects[i][0].name) for i in ids]

    def named_objects(self, index: int) -> tuple[NamedObject, ...]:
        return tuple(NamedObject(phrase(one.name), self.object_masks[index, k]) for k, one in enumerate(self.objects[index]))

    @property
    def vocabulary(self) -> tuple[str, ...]:
        return tuple(phrase(f"{colour} {digit}") for colour in COLOURS for digit in DIGITS)

    @property
    def words(self) -> tuple[str, ...]:
        return words_of([*self.vocabulary, *PLACES, *_BEGINNINGS, "an digit and"])

    def captions(self, ids: Sequence[int], *, epoch: int | None) -> list[str]:
        if epoch is None:
            return [" and ".join(f"a {one.name}" for one in self.objects[i]) for i in ids]
        draws = counter_uniform(derive_seed(self._seed, "captions", epoch), torch.tensor(ids), num=64).tolist()
        return [_caption(self.objects[i], draw) for i, draw in zip(ids, draws, strict=True)]


def phrase(name: str) -> str:
    """The sentence by which an object is asked for.

    Example:
        >>> phrase("red seven")
        'a photo of a red seven'
    """
    return f"a photo of a {name}"


def captioned_scenes(*, num_images: int, split: str, seed: int, options: CaptionedOptions | None = None) -> CaptionedScenes:
    """Generate a split of captioned scenes.

    Args:
        num_images: how many.
        split: ``train`` or ``val``; the two share no handwritten digit.
        seed: scenes are a function of (seed, split, index).
        options: how they look.
    """
    options = options or CaptionedOptions()
    ids, size = torch.arange(num_images), options.image_size
    draw = counter_uniform(derive_seed(seed, "captioned scenes", split), ids, num=16 + 8 * MOST_OBJECTS)
    pool, labels = digits(split)
    low, fine = clutter(ids, size, seed=derive_seed(seed, "captioned noise", split), strength=options.background)
    tint = 0.06 * (draw[:, 1:4] - 0.5)
    canvas = (0.08 + 0.37 * draw[:, :1] + tint)[:, :, None, None] + low
    kinds = _kinds(draw, labels, options, seed=derive_seed(seed, "captioned kinds", split))
    count = options.num_objects[0] + (draw[:, 4] * (options.num_objects[1] - options.num_objects[0] + 1)).long()
    places = draw[:, 8:12].argsort(1)
    masks = torch.zeros(num_images, options.num_objects[1], size, size, dtype=torch.bool)
    palette = torch.tensor(list(COLOURS.values()))
    for k in range(options.num_objects[1]):
        own, there = draw[:, 16 + 8 * k : 24 + 8 * k], (k < count).float()[:, None, None]
        alpha = there * _in_corner(pool[kinds.which[:, k]], own, places[:, k], size)
        colour = (palette[kinds.colour[:, k]] * (0.85 + 0.15 * own[:, 5:6])).clamp(0, 1)
        canvas = canvas + alpha[:, None] * (colour[:, :, None, None] - canvas)
        masks[:, :k] &= (alpha <= MASK_THRESHOLD)[:, None]
        masks[:, k] = alpha > MASK_THRESHOLD
    images = ((canvas + fine).clamp(0, 1) * 255).round().to(torch.uint8)
    names = list(COLOURS)
    objects = [
        tuple(SceneObject(DIGITS[d], names[c], PLACES[p]) for d, c, p in list(zip(*row, strict=True))[:num])
        for num, *row in zip(count.tolist(), kinds.digit.tolist(), kinds.colour.tolist(), places.tolist(), strict=True)
    ]  # fmt: skip
    return CaptionedScenes(images, objects=objects, object_masks=masks, seed=derive_seed(seed, "captioned scenes", split))


@dataclass(frozen=True)
class _Kinds:
    """What the up to four objects of each scene are, (n, 4) each; no two of a scene are the same."""

    which: Tensor  # of the pool of handwritten digits
    digit: Tensor
    colour: Tensor


def _kinds(draw: Tensor, labels: Tensor, options: CaptionedOptions, *, seed: int) -> _Kinds:
    ids = torch.arange(len(draw))
    digit, colour = (
        counter_uniform(derive_seed(seed, what), ids, num=num).argsort(1)[:, :MOST_OBJECTS]
        for what, num in (("digits", len(DIGITS)), ("colours", len(COLOURS)))
    )
    same_colour = draw[:, 5:6] < options.same_colour
    same_digit = ~same_colour & (draw[:, 6:7] < options.same_digit)
    digit, colour = digit[:, :1].where(same_digit, digit), colour[:, :1].where(same_colour, colour)
    which = torch.empty_like(digit)
    for label in range(len(DIGITS)):
        members = (labels == label).nonzero()[:, 0]
        which = members[(draw[:, 12:16] * len(members)).long()].where(digit == label, which)
    return _Kinds(which, digit, colour)


def _in_corner(chosen: Tensor, draw: Tensor, place: Tensor, size: int) -> Tensor:
    """Opacity (n, S, S) of digits somewhere in their quarters of the picture."""
    extent = (0.40 + 0.10 * draw[:, 1]) * size
    room = (size / 4 - extent / 2).clamp_min(0) + 0.01 * size
    x = ((place % 2) * 2 - 1) * size / 4 + (2 * draw[:, 2] - 1) * room
    y = ((place // 2) * 2 - 1) * size / 4 + (2 * draw[:, 3] - 1) * room
    return placed(chosen, extent=extent, x=x, y=y, size=size)


def _caption(objects: tuple[SceneObject, ...], draw: list[float]) -> str:
    """A caption of some of the objects, in random order, from 64 numbers in [0, 1)."""
    order = sorted(range(len(objects)), key=lambda k: draw[k])
    num = len(objects) if draw[4] < 0.5 else 1 + int((2 * draw[4] - 1) * len(objects))
    mentions = [_mention(objects[k], draw[8 + 4 * k : 12 + 4 * k]) for k in order[:num]]
    text = _BEGINNINGS[int(draw[5] * len(_BEGINNINGS))] + " and ".join(mentions)
    return " ".join(UNKNOWN if draw[24 + i % 40] < _WITHHELD else word for i, word in enumerate(text.split()))


def _mention(one: SceneObject, draw: list[float]) -> str:
    """An object in words: colour and digit, or one of them, and perhaps the place."""
    words = one.name if draw[0] < 0.6 else one.digit if draw[0] < 0.97 else f"{one.colour} digit"
    return f"{article(words)} {words}" + (f" {one.place}" if draw[1] < 0.08 else "")
