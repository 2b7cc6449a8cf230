"""Chosen pictures of several sources as one source."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from PIL import Image
from torch import Tensor

from cocoa_pl.data.inputs import content_digest
from cocoa_pl.data.source import Source


class JoinedSource(Source):
    """Pictures of several sources, one after the other, unlabelled.

    Args:
        parts: sources with the positions of the pictures that are taken from them.
    """

    def __init__(self, parts: Sequence[tuple[Source, Sequence[int]]]) -> None:
        self._where = [(source, index) for source, ids in parts for index in ids]
        self.labels, self.class_names = None, ()

    def __len__(self) -> int:
        return len(self._where)

    def load(self, ids: Sequence[int]) -> Tensor:
        return torch.cat([source.load([own]) for source, own in (self._where[i] for i in ids)])

    def picture(self, index: int) -> Image.Image:
        source, own = self._where[index]
        return source.picture(own)

    def name(self, index: int) -> str:
        source, own = self._where[index]
        return source.name(own)

    def digest(self, index: int) -> str:
        """Of the picture's content."""
        return content_digest(*self._where[index])
