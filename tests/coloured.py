"""Pictures of two coloured squares with a text for each, and an encoder of pictures and texts whose geometry is known.

A picture's representation is its mean colour, a text's the colour that it names: the likeness to "a photo of a red square" is a matter of
red pixels alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from cocoa_pl.data.explain_set import ExplainSet, draw_explain_set
from cocoa_pl.data.source import MemorySource
from cocoa_pl.data.words import WordTokenizer
from cocoa_pl.encoding import FrozenEncoder
from cocoa_pl.text_encoding import FrozenTextEncoder

SIDE, SQUARE = 16, 6
COLOURS = {
    "red": (1.0, 0.0, 0.0), "green": (0.0, 1.0, 0.0), "blue": (0.0, 0.0, 1.0), "yellow": (1.0, 1.0, 0.0), "pink": (1.0, 0.0, 1.0),
    "cyan": (0.0, 1.0, 1.0),
}  # fmt: skip
NAMES = tuple(COLOURS)
PHRASES = tuple(f"a photo of a {name} square" for name in NAMES)


class ColouredSquares(MemorySource):
    """One square at the top left, which is named, and one of another colour at the bottom right."""

    def __init__(self, num: int, *, vocabulary: tuple[str, ...] = PHRASES, labelled: bool = False) -> None:
        draw = torch.Generator().manual_seed(num)
        images = torch.randint(40, (num, 3, SIDE, SIDE), generator=draw, dtype=torch.uint8)
        self.first = torch.arange(num) % len(NAMES)
        self.second = (self.first + 1 + torch.randint(len(NAMES) - 1, (num,), generator=draw)) % len(NAMES)
        masks = torch.zeros(num, SIDE, SIDE, dtype=torch.bool)
        for n, pair in enumerate(zip(self.first.tolist(), self.second.tolist(), strict=True)):
            for which, corner in zip(pair, (1, SIDE - SQUARE - 1), strict=True):
                colour = (torch.tensor(COLOURS[NAMES[which]]) * 255).byte()
                images[n, :, corner : corner + SQUARE, corner : corner + SQUARE] = colour[:, None, None]
            masks[n, 1 : 1 + SQUARE, 1 : 1 + SQUARE] = True
        labels = {"labels": self.first % 2, "class_names": ("even", "odd")} if labelled else {}
        super().__init__(images, masks=masks, **labels)
        self._vocabulary = vocabulary

    def phrases(self, ids: Sequence[int]) -> list[str]:
        return [PHRASES[which] for which in self.first[list(ids)].tolist()]

    def captions(self, ids: Sequence[int], *, epoch: int | None) -> list[str]:
        return [f"a {NAMES[int(self.first[i])]} square and a {NAMES[int(self.second[i])]} square" for i in ids]

    @property
    def vocabulary(self) -> tuple[str, ...]:
        return self._vocabulary


class MeanColour(nn.Module):
    """Images (B, 3, H, W) to their mean colour (B, 3), times a weight that may be trained."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(3))

    def forward(self, images: Tensor) -> Tensor:
        colour: Tensor = images.mean((2, 3)) * self.weight
        return colour


class NamedColour(nn.Module):
    """Tokens (n, T) to the colour (n, 3) that the text names."""

    def __init__(self) -> None:
        super().__init__()
        table = torch.zeros(tokenizer().size, 3)
        table[-len(NAMES) :] = torch.tensor(list(COLOURS.values()))
        self.table = nn.Parameter(table)

    def forward(self, tokens: Tensor) -> Tensor:
        named: Tensor = self.table[tokens].sum(1)
        return named


def tokenizer() -> WordTokenizer:
    return WordTokenizer(NAMES, context_length=12)


def text_encoder(module: Any = None) -> FrozenTextEncoder:
    return FrozenTextEncoder(NamedColour() if module is None else module, tokenizer())


def encoder(*, weight: tuple[float, float, float] = (1.0, 1.0, 1.0), with_texts: bool = True) -> FrozenEncoder:
    module = MeanColour()
    module.weight.data = torch.tensor(weight)
    return FrozenEncoder(module, text=text_encoder() if with_texts else None)


def explain_set(*, num: int = 4, views: tuple[str, ...] = ("original", "flip"), labelled: bool = False) -> ExplainSet:
    train, val = ColouredSquares(80, labelled=labelled), ColouredSquares(24, labelled=labelled)
    return draw_explain_set(
        train, val, num_explicands=num, views=views, seen=["original"], corpus_size=3, foil_size=12, num_pairs=2 if labelled else 0, seed=0
    )  # fmt: skip


def without_texts(given: ExplainSet) -> ExplainSet:
    return replace(given, phrases=(), absent_phrases=(), text_foil=(), measure_text_foil=())
