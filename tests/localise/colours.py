"""An image-text pair whose answers are known: a picture is its mean colour, a text the colour that it names."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor, nn

from cocoa_pl.encoding import FrozenEncoder
from cocoa_pl.text_encoding import FrozenTextEncoder

COLOURS = {"red": (1.0, 0.0, 0.0), "green": (0.0, 1.0, 0.0), "blue": (0.0, 0.0, 1.0)}


class MeanColour(nn.Module):
    """Images (B, 3, H, W) to mean colours (B, 3) and a constant that keeps black pictures from pointing nowhere."""

    def forward(self, images: Tensor) -> Tensor:
        return torch.cat([images.mean((2, 3)), torch.full((len(images), 1), 0.05)], 1)


class Letters:
    """A tokenizer: a text is the numbers of its letters."""

    context_length: int | None = 30

    def __call__(self, texts: Sequence[str], /) -> Tensor:
        return torch.tensor([[ord(letter) for letter in text.ljust(30)] for text in texts])

    def num_tokens(self, text: str, /) -> int:
        return len(text)


class NamedColour(nn.Module):
    """Tokens to the colour whose name a text holds; a text without one is a constant."""

    def forward(self, tokens: Tensor) -> Tensor:
        texts = ["".join(map(chr, row)) for row in tokens.tolist()]
        own = [[*next((rgb for name, rgb in COLOURS.items() if name in text), (0.0, 0.0, 0.0)), 0.05] for text in texts]
        return torch.tensor(own)


def pair() -> FrozenEncoder:
    """The image encoder with its text side."""
    return FrozenEncoder(MeanColour(), text=FrozenTextEncoder(NamedColour(), Letters()))


def paint(path: Path, *squares: tuple[str, tuple[int, int, int, int]], size: tuple[int, int] = (64, 64)) -> Path:
    """A black picture with coloured boxes (left, top, right, bottom)."""
    image = Image.new("RGB", size)
    for colour, box in squares:
        image.paste(tuple(int(255 * value) for value in COLOURS[colour]), box)
    image.save(path)
    return path
