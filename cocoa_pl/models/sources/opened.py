"""What opening a foreign encoder gives: the network, how its images are prepared, and what had to be guessed."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from cocoa_pl.errors import ConfigError
from cocoa_pl.text_encoding import Tokenizer

_CHANNELS = 3


@dataclass(frozen=True)
class TextSide:
    """The text encoder of a pair, before it is frozen.

    Attributes:
        module: tokens of n texts, or the list of texts, to representations (n, D) in the space of the image encoder.
        tokenizer: texts to tokens; None where the module takes the texts.
        name: for people.
    """

    module: Callable[[Any], Any]
    tokenizer: Tokenizer | None
    name: str


@dataclass(frozen=True)
class Opened:
    """A foreign encoder, ready to be explained.

    Attributes:
        module: float32, in evaluation mode; normalised images (B, 3, H, W) to representations (B, D), maps (B, D, h, w) or tokens
            (B, T, D).
        mean: channel means in [0, 1] that its images have taken off.
        std: channel standard deviations that its images are divided by.
        image_size: side in pixels of the squares it should see.
        name: for people.
        fingerprint: sha256 of all that decides the module's output (the statistics and the size are not in it); empty where nothing can
            tell, and then nothing about it may be cached.
        notes: a sentence each on what was guessed, stripped or left out.
        text: the text encoder whose representations lie in the same space, where there is one.
    """

    module: nn.Module
    mean: tuple[float, ...]
    std: tuple[float, ...]
    image_size: int
    name: str
    fingerprint: str
    notes: tuple[str, ...]
    text: TextSide | None = None


@dataclass(frozen=True)
class Preparation:
    """How the images of an encoder are prepared, and who says so.

    Attributes:
        size_from, statistics_from: whose the values are, for the notes; empty where they were asked for.
    """

    image_size: int = 224
    mean: tuple[float, ...] = (0.485, 0.456, 0.406)
    std: tuple[float, ...] = (0.229, 0.224, 0.225)
    size_from: str = "assumed"
    statistics_from: str = "ImageNet's, assumed"

    def notes(self) -> tuple[str, ...]:
        """Where size and statistics come from, unless they were asked for."""
        size = (f"images of {self.image_size} px: {self.size_from}",) if self.size_from else ()
        return (*size, f"mean and std of the images: {self.statistics_from}") if self.statistics_from else size


def as_opened(
    network: nn.Module, preparation: Preparation, *, name: str, mark: str, notes: Sequence[str], text: TextSide | None = None
) -> Opened:  # fmt: skip
    """Everything put together; ``mark`` is the fingerprint."""
    every = (*notes, *preparation.notes())
    return Opened(network, preparation.mean, preparation.std, preparation.image_size, name, mark, every, text)


@dataclass(frozen=True)
class Wishes:
    """What the command line asks for; it counts more than what an encoder says of itself.

    Raises:
        ConfigError: a size, mean or deviation out of range.
    """

    image_size: int | None = None
    mean: Sequence[float] | None = None
    std: Sequence[float] | None = None

    def __post_init__(self) -> None:
        if self.image_size is not None and self.image_size < 1:
            raise ConfigError(f"image_size={self.image_size}: must be at least 1 px")
        for name, values in (("mean", self.mean), ("std", self.std)):
            if values is None:
                continue
            if len(values) not in (1, _CHANNELS) or not all(0 <= value <= 1 for value in values):
                raise ConfigError(f"{name}={tuple(values)}: must be one value in [0, 1] for each of {_CHANNELS} channels, or one for all")
            if name == "std" and not all(values):
                raise ConfigError(f"std={tuple(values)}: must be above 0")

    def over(self, own: Preparation) -> Preparation:
        """An encoder's own preparation with what is asked for in its place.

        Example:
            >>> Wishes(image_size=64, mean=[0.5], std=[0.5]).over(Preparation())
            Preparation(image_size=64, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5), size_from='', statistics_from='')
        """
        if self.image_size is not None:
            own = replace(own, image_size=self.image_size, size_from="")
        for name, values in (("mean", self.mean), ("std", self.std)):
            if values is not None:
                own = replace(own, **{name: tuple(map(float, values)) * (_CHANNELS // len(values)), "statistics_from": ""})  # type: ignore[arg-type]
        if (self.mean is None) != (self.std is None):
            given, other = ("mean", "std") if self.std is None else ("std", "mean")
            own = replace(own, statistics_from=f"the {given} asked for; the {other} is ImageNet's or the encoder's own")
        return own


def fingerprint(architecture: str, state: Mapping[str, Any]) -> str:
    """sha256 of an architecture and its tensors: names, types, shapes and bytes; empty where the state holds something else.

    The counters of batch norms do not decide an output in evaluation mode and are left out.

    Example:
        >>> first, second = fingerprint("net", {"w": torch.zeros(2)}), fingerprint("net", {"w": torch.ones(2)})
        >>> len(first), first == second, fingerprint("net", {"w": "anything"})
        (64, False, '')
    """
    digest = hashlib.sha256(architecture.encode())
    for name, value in sorted(state.items()):
        if name.endswith("num_batches_tracked"):
            continue
        if not isinstance(value, Tensor) or value.layout != torch.strided or value.is_quantized:
            return ""
        plain = value.detach().cpu().contiguous()
        digest.update(f"\n{name} {plain.dtype} {tuple(plain.shape)}\n".encode())
        digest.update(plain.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def one_line(error: BaseException) -> str:
    """An exception as the end of a one-line message.

    Example:
        >>> one_line(KeyError("width")), one_line(ValueError()), one_line(RuntimeError("first line\\n  second line"))
        ("KeyError: 'width'", 'ValueError', 'RuntimeError: first line')
    """
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if not lines:
        return type(error).__name__
    in_torchscript = lines[0].startswith("The following operation failed")  # then the reason is the last line
    return f"{type(error).__name__}: {lines[-1 if in_torchscript else 0][:200]}"
