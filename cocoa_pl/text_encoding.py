"""A text encoder prepared once for explaining: frozen, and no image encoder, so that neither can be taken for the other."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from cocoa_pl.errors import DataError
from cocoa_pl.streaming import in_ranges

_CHUNK = 256  # texts in one pass
_SHOWN = 60  # letters of a text in a message

Tokens = Tensor | Mapping[str, Tensor]
"""Tokens of n texts: (n, T) integers, or tensors (n, ...) by name, as the network takes them."""


class Tokenizer(Protocol):
    """Texts to the tokens that a text network takes."""

    @property
    def context_length(self) -> int | None:
        """Most tokens of a text, with those that mark its ends; None where there is no limit."""

    def __call__(self, texts: Sequence[str], /) -> Tokens:
        """Tokens of n texts, padded to one length."""

    def num_tokens(self, text: str, /) -> int:
        """Tokens of a text before it is cut or padded, with those that mark its ends."""


@runtime_checkable
class KnowsWords(Protocol):
    """A tokenizer to which some words are nothing but unknown."""

    def unknown(self, text: str, /) -> tuple[str, ...]:
        """The words of a text that it does not know."""


class FrozenTextEncoder:
    """A private copy of a text encoder, in evaluation mode and without parameter gradients.

    Args:
        module: tokens of n texts to representations (n, D), in the space of an image encoder.
        tokenizer: texts to tokens; None where the module takes a list of texts itself.
        precision: ``32``, or ``bf16`` for autocast to bfloat16, or ``64``.
        device: where to encode; default: where the module is.

    Attributes:
        num_forwards: texts encoded so far.
    """

    def __init__(
        self, module: Callable[[Any], Any], tokenizer: Tokenizer | None = None, *, precision: str = "32",
        device: torch.device | str | None = None,
    ) -> None:  # fmt: skip
        first = next(module.parameters(), None) if isinstance(module, nn.Module) else None
        self.device = torch.device(device) if device is not None else torch.device("cpu") if first is None else first.device
        dtype = torch.float64 if precision == "64" else torch.float32
        if isinstance(module, nn.Module):
            module = copy.deepcopy(module).to(self.device, dtype).eval().requires_grad_(False)
        self.module, self.tokenizer, self._autocast = module, tokenizer, precision == "bf16"
        self.num_forwards = 0

    @torch.no_grad()
    def encode(self, texts: Sequence[str]) -> Tensor:
        """Texts to float32 representations (n, D), in the order given.

        Raises:
            DataError: no text, an empty or over-long one, or something that is no text.
        """
        self.check(texts)
        parts = in_ranges(len(texts), _CHUNK, lambda start, end: self._pass(list(texts[start:end])))
        return torch.cat([reps for _, _, reps in parts])

    def check(self, texts: Sequence[str]) -> None:
        """See that texts can be encoded.

        Raises:
            DataError: see :meth:`encode`.
        """
        if isinstance(texts, str):
            raise DataError(f"one text {_short(texts)} met a text encoder, which takes a list of texts")
        if isinstance(texts, Tensor) or not all(isinstance(text, str) for text in texts):
            raise DataError(f"{type(texts).__name__} met a text encoder, which takes texts; images are for the image encoder")
        if len(texts) == 0:
            raise DataError("no text to encode: the corpus or the foil is empty")
        for text in texts:
            if not text.strip():
                raise DataError("an empty text cannot be encoded")
            limit = self.tokenizer.context_length if self.tokenizer is not None else None
            if self.tokenizer is not None and limit is not None and (num := self.tokenizer.num_tokens(text)) > limit:
                raise DataError(f"the text {_short(text)} has {num} tokens, the text encoder takes {limit}: shorten it")

    def unknown(self, texts: Sequence[str]) -> tuple[str, ...]:
        """The words of texts that are all one to the encoder, each once; none where its tokenizer takes any text apart."""
        tokenizer = self.tokenizer
        return tuple(dict.fromkeys(word for text in texts for word in tokenizer.unknown(text))) if isinstance(tokenizer, KnowsWords) else ()

    def _pass(self, texts: list[str]) -> Tensor:
        self.num_forwards += len(texts)
        inputs = texts if self.tokenizer is None else self._moved(self.tokenizer(texts))
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self._autocast):
            reps = self.module(inputs)
        if not isinstance(reps, Tensor) or reps.ndim != 2 or len(reps) != len(texts):
            shape = tuple(reps.shape) if isinstance(reps, Tensor) else type(reps).__name__
            raise DataError(f"the text encoder returned {shape} for {len(texts)} texts; it must return representations (n, D)")
        return reps.to(self.device, torch.float32)

    def _moved(self, tokens: Tokens) -> Tokens:
        return tokens.to(self.device) if isinstance(tokens, Tensor) else {name: each.to(self.device) for name, each in tokens.items()}


def _short(text: str) -> str:
    return repr(text if len(text) <= _SHOWN else text[:_SHOWN] + "…")
