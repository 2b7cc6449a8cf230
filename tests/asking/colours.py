"""A pair of encoders with a meaning: pictures to how much of each colour is in them, texts to the colours that they name.

Both have one more dimension that all of them share, as real pairs have: it is all that a text of unknown words has.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from cocoa_pl.encoding import FrozenEncoder
from cocoa_pl.text_encoding import FrozenTextEncoder

MODULE = '''"""Encoders of colours in somebody's own file."""

import torch
from torch import nn

COLOURS = {
    "red": (1, 0, 0), "green": (0, 1, 0), "blue": (0, 0, 1), "yellow": (1, 1, 0), "magenta": (1, 0, 1), "cyan": (0, 1, 1),
    "white": (1, 1, 1), "orange": (1, 0.5, 0), "violet": (0.5, 0, 1), "lime": (0.5, 1, 0), "teal": (0, 0.5, 0.5), "navy": (0, 0, 0.5),
    "maroon": (0.5, 0, 0), "olive": (0.5, 0.5, 0), "rose": (1, 0, 0.5), "azure": (0, 0.5, 1),
}


class Amounts(nn.Module):
    """Images (B, 3, H, W) to how much there is of each colour, and a constant (B, 17)."""

    def __init__(self, sharpness=12.0):
        super().__init__()
        self.register_buffer("colours", torch.tensor(list(COLOURS.values())).float())
        self.sharpness = sharpness

    def forward(self, images):
        distance = (images[:, None] - self.colours[None, :, :, None, None]).square().sum(2)
        amounts = torch.exp(-self.sharpness * distance).mean((2, 3))
        return torch.cat([4 * amounts, torch.full_like(amounts[:, :1], 0.3)], 1)


def named(texts):
    """Texts to the colours that they name, and a constant (n, 17)."""
    words = [text.lower().replace(".", " ").split() for text in texts]
    rows = [[float(name in own) for name in COLOURS] + [0.5] for own in words]
    return torch.tensor(rows)


def pair():
    return Amounts(), named


def with_sharpness(path):
    return Amounts(float(torch.load(path, weights_only=True)["sharpness"])), named


def blind():
    """Gives one representation for all texts: maps cannot depend on what is asked."""
    return Amounts(), lambda texts: torch.cat([torch.ones(len(texts), 1), named(texts)[:, 1:] * 0.01], 1)


def alone():
    return Amounts()


def dim_of_its_own():
    return Amounts(), lambda texts: named(texts)[:, :5]
'''
SCOPE: dict[str, Any] = {}
exec(compile(MODULE, "colours", "exec"), SCOPE)
COLOURS: dict[str, tuple[float, float, float]] = SCOPE["COLOURS"]
NAMES = tuple(COLOURS)
SIDE = 24
SQUARES = {"left": (slice(8, 16), slice(2, 10)), "right": (slice(8, 16), slice(14, 22))}


class AsTheyAre:
    """Texts for an encoder that reads them."""

    context_length = 24

    def __call__(self, texts: Sequence[str], /) -> Tensor:
        return torch.tensor([[ord(char) for char in text.ljust(200)] for text in texts])

    def num_tokens(self, text: str, /) -> int:
        return len(text.split())


def read(tokens: Tensor) -> Tensor:
    """What ``named`` makes of the texts in tokens."""
    reps: Tensor = SCOPE["named"](["".join(map(chr, row)) for row in tokens.tolist()])
    return reps


def text_encoder() -> FrozenTextEncoder:
    """The text side of the pair."""
    return FrozenTextEncoder(read, AsTheyAre())


def encoder() -> FrozenEncoder:
    """The pair."""
    return FrozenEncoder(SCOPE["Amounts"](), text=text_encoder())


def picture(left: str, right: str) -> Tensor:
    """(3, SIDE, SIDE) uint8: two squares on grey, with a little noise."""
    draw = torch.Generator().manual_seed(hash((len(left), len(right))) % 1000)
    image = 0.5 + 0.04 * torch.rand(3, SIDE, SIDE, generator=draw)
    for name, (rows, columns) in zip((left, right), SQUARES.values(), strict=True):
        image[:, rows, columns] = torch.tensor(COLOURS[name]).float()[:, None, None]
    return (255 * image).round().byte()


def share_on(values: Tensor, square: str) -> float:
    """Share of a map's positive part (H, W) that lies on a square."""
    positive = values.clamp_min(0)
    return float(positive[SQUARES[square]].sum() / positive.sum())
