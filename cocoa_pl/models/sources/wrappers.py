"""Modules around what is no ordinary network: programs, programs of a fixed batch size, bare functions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self, cast

import torch
from torch import Tensor, nn


class AsItIs(nn.Module):
    """A network or program that keeps its memory layout (compiled views do not fit channels-last) and, if told to, its mode.

    Args:
        program: called on batches of images.
        keep_mode: a program whose mode was fixed when it was saved.
    """

    def __init__(self, program: nn.Module, *, keep_mode: bool) -> None:
        super().__init__()
        self.program = program
        self._keep_mode = keep_mode
        for parameter in program.parameters():  # a copy of a TorchScript program that wants gradients is no leaf and warns when it is moved
            parameter.requires_grad_(False)

    def forward(self, images: Tensor) -> Any:
        """What the program returns for these images."""
        return self.program(images)

    def train(self, mode: bool = True) -> Self:
        """Change the mode, unless it is fixed: exported programs refuse to be asked."""
        return self if self._keep_mode else super().train(mode)

    def to(self, *args: Any, **kwargs: Any) -> Self:
        """Move or convert, but leave the memory layout."""
        kwargs.pop("memory_format", None)
        return super().to(*args, **kwargs) if args or kwargs else self


class InPieces(AsItIs):
    """A program that takes batches of some sizes only: it is called in pieces, the last one filled up with copies of its last image.

    Args:
        program: called on batches of at least ``smallest`` and at most ``largest`` images; must treat images one by one.
        smallest, largest: the same for a program of a fixed batch size; ``largest=None`` for any number.
    """

    def __init__(self, program: nn.Module, *, smallest: int, largest: int | None) -> None:
        super().__init__(program, keep_mode=True)
        self._smallest, self._largest = smallest, largest

    def forward(self, images: Tensor) -> Any:
        """Representations of any number of images."""
        outputs: list[Any] = []
        for piece in torch.split(images, self._largest or len(images)):
            lacking = self._smallest - len(piece)
            output = self.program(torch.cat([piece, piece[-1:].expand(lacking, -1, -1, -1)]) if lacking > 0 else piece)
            outputs.append(output[: len(piece)] if isinstance(output, Tensor) else output)
        return torch.cat(outputs) if len(outputs) > 1 and isinstance(outputs[0], Tensor) else outputs[0]


class Bare(nn.Module):
    """A function of images in the clothes of a module; it has no parameters, and copies share the function."""

    def __init__(self, function: Callable[[Tensor], Any]) -> None:
        super().__init__()
        self._function = function

    def forward(self, images: Tensor) -> Any:
        """What the function returns for these images."""
        return self._function(images)

    def __deepcopy__(self, memo: dict[int, object]) -> Bare:
        copied = Bare(self._function)
        copied.training = self.training
        return copied


def heads_of_attention(network: nn.Module) -> list[int]:
    """How many attention heads the layers of a network have: the one number of a transformer that its weights do not tell."""
    counts = {getattr(part, "num_heads", None) for part in network.modules()}
    return sorted(cast(set[int], {count for count in counts if isinstance(count, int)}))
