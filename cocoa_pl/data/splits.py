"""A dataset as training needs it: two sources, the training images' channel statistics, and what they have in common."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from cocoa_pl.data.captioned_scenes import CaptionedOptions, captioned_scenes
from cocoa_pl.data.scenes import ScenesOptions, scenes
from cocoa_pl.data.source import MemorySource, Source
from cocoa_pl.errors import DataError
from cocoa_pl.rng import generator

_NUM_STATISTICS = 2000
_CHUNK = 100
_SMALLEST_STD = 1e-3  # pictures of one colour would otherwise be divided by zero

Channels = tuple[float, float, float]


@dataclass(frozen=True)
class Splits:
    """Training and validation images.

    Attributes:
        train, val: the two sources; they share no picture.
        mean, std: channel statistics of the training images, in [0, 1].
        image_size: side of the square pictures that ``load`` gives.
        in_memory: whether ``load`` is a look-up in memory.
        name: name of the dataset, for messages.
    """

    train: Source
    val: Source
    mean: Channels
    std: Channels
    image_size: int
    in_memory: bool
    name: str


def make_splits(train: Source, val: Source, *, image_size: int, name: str) -> Splits:
    """Measure the training images and put the two sources together.

    Raises:
        DataError: a split has no picture, or a picture looked at for the statistics cannot be read.
    """
    for split, source in (("training", train), ("validation", val)):
        if len(source) == 0:
            raise DataError(f"{name} has no {split} images")
    mean, std = channel_statistics(train)
    in_memory = isinstance(train, MemorySource) and isinstance(val, MemorySource)
    return Splits(train=train, val=val, mean=mean, std=std, image_size=image_size, in_memory=in_memory, name=name)


def channel_statistics(source: Source, *, num: int = _NUM_STATISTICS) -> tuple[Channels, Channels]:
    """Mean and standard deviation of each channel over the pixels of up to ``num`` pictures, drawn once and for all.

    Example:
        >>> mean, std = channel_statistics(MemorySource(torch.full((4, 3, 2, 2), 51, dtype=torch.uint8)))
        >>> [round(value, 3) for value in mean + std]
        [0.2, 0.2, 0.2, 0.001, 0.001, 0.001]
    """
    ids = subset(len(source), num, seed=0, purpose="statistics").tolist()
    total, squares, count = torch.zeros(3, dtype=torch.float64), torch.zeros(3, dtype=torch.float64), 0
    for start in range(0, len(ids), _CHUNK):
        pixels = source.load(ids[start : start + _CHUNK]).transpose(0, 1).flatten(1).double() / 255
        total, squares, count = total + pixels.sum(1), squares + pixels.square().sum(1), count + pixels.shape[1]
    mean = total / count
    std = (squares / count - mean.square()).clamp_min(0).sqrt().clamp_min(_SMALLEST_STD)
    return _triple(mean), _triple(std)


def subset(size: int, num: int | None, *, seed: int, purpose: str) -> Tensor:
    """``num`` different positions out of ``size``, ascending, a function of the seed; all of them where ``num`` is None or not smaller."""
    if num is None or num >= size:
        return torch.arange(size)
    return torch.randperm(size, generator=generator(seed, "subset", purpose))[:num].sort().values


def scenes_splits(*, num_train: int = 9000, num_val: int = 1000, seed: int = 0, options: ScenesOptions | None = None) -> Splits:
    """The embedded dataset: digits on cluttered backgrounds, with object masks.

    Raises:
        DataError: fewer than one image asked for in a split.
    """
    options = options or ScenesOptions()
    return _generated("scenes", partial(scenes, seed=seed, options=options), num_train, num_val, options.image_size)


def captioned_scenes_splits(
    *, num_train: int = 8000, num_val: int = 1000, seed: int = 0, options: CaptionedOptions | None = None
) -> Splits:  # fmt: skip
    """The embedded dataset with captions: several coloured digits in a picture, with object masks.

    Raises:
        DataError: fewer than one image asked for in a split.
    """
    options = options or CaptionedOptions()
    make = partial(captioned_scenes, seed=seed, options=options)
    return _generated("captioned_scenes", make, num_train, num_val, options.image_size)


def _generated(what: str, make: Callable[..., Source], num_train: int, num_val: int, image_size: int) -> Splits:
    for name, num in (("num_train", num_train), ("num_val", num_val)):
        if num < 1:
            raise DataError(f"{what}: {name} is {num}; at least 1 image is needed")
    train, val = (make(num_images=num, split=split) for split, num in (("train", num_train), ("val", num_val)))
    return make_splits(train, val, image_size=image_size, name=what)


def _triple(values: Tensor) -> Channels:
    red, green, blue = values.tolist()
    return red, green, blue
