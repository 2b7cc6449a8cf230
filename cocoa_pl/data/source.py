"""Where pictures come from: one small interface, in memory or on disk."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor


class NamedObject(NamedTuple):
    """An object of a picture, the text that names it, and where it is."""

    text: str
    mask: Tensor  # (H, W) bool, in the frame of what ``load`` gives


class Source(ABC):
    """A split of a dataset: ``len(source)`` pictures of one size, found by position.

    Attributes:
        labels: (n,) int64, or None where nothing is known; labels only unlock extra metrics.
        class_names: one name a label; empty without labels.
    """

    labels: Tensor | None
    class_names: tuple[str, ...]

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def load(self, ids: Sequence[int]) -> Tensor:
        """Pictures (B, 3, H, W) uint8 at one common size."""

    @abstractmethod
    def picture(self, index: int) -> Image.Image:
        """One picture as RGB, at the size it has."""

    def name(self, index: int) -> str:
        """What a person would call this picture."""
        return f"image {index}"

    def masks(self, ids: Sequence[int]) -> Tensor | None:
        """Object masks (B, H, W) bool where the dataset has them."""
        return None

    def patches(self, ids: Sequence[int]) -> Tensor | None:
        """Masks (B, H, W) bool of a planted shortcut where the dataset has one."""
        return None

    def named_objects(self, index: int) -> tuple[NamedObject, ...]:
        """All objects of a picture that have a name, where the dataset knows them."""
        return ()

    def phrases(self, ids: Sequence[int]) -> list[str] | None:
        """A text for each picture that names the object of its mask, where the dataset has them."""
        return None

    def captions(self, ids: Sequence[int], *, epoch: int | None) -> list[str] | None:
        """A text that describes each picture, where the dataset has them; another one in every epoch, or, for None, the fullest."""
        return None

    @property
    def words(self) -> tuple[str, ...]:
        """All words of captions; empty without captions."""
        return ()

    @property
    def num_classes(self) -> int:
        """All that have a name or an image here, so that a subset has those of the whole; 0 where no image has a label.

        Example:
            >>> images = torch.zeros(3, 3, 2, 2, dtype=torch.uint8)
            >>> MemorySource(images, labels=torch.tensor([1, -1, 0]), class_names=("cat", "dog", "emu")).num_classes
            3
            >>> MemorySource(images, labels=torch.full((3,), -1), class_names=("cat", "dog", "emu")).num_classes
            0
        """
        if self.labels is None or not bool((self.labels >= 0).any()):
            return 0
        return max(len(self.class_names), int(self.labels.max()) + 1)

    @property
    def vocabulary(self) -> tuple[str, ...]:
        """All that phrases can be: what a phrase is contrasted with; empty without phrases."""
        return ()


class MemorySource(Source):
    """Pictures that are already in memory.

    Args:
        images: (n, 3, H, W) uint8.
        labels: (n,) int64.
        class_names: one name a label.
        masks: (n, H, W) bool, the object's pixels.
        patches: (n, H, W) bool, the pixels of a planted shortcut.
    """

    def __init__(
        self,
        images: Tensor,
        *,
        labels: Tensor | None = None,
        class_names: tuple[str, ...] = (),
        masks: Tensor | None = None,
        patches: Tensor | None = None,
    ) -> None:
        self.images, self.labels, self.class_names = images, labels, class_names
        self._masks, self._patches = masks, patches

    def __len__(self) -> int:
        return len(self.images)

    def load(self, ids: Sequence[int]) -> Tensor:
        return self.images[torch.as_tensor(ids)]

    def picture(self, index: int) -> Image.Image:
        return Image.fromarray(np.ascontiguousarray(self.images[index].permute(1, 2, 0).numpy()))

    def masks(self, ids: Sequence[int]) -> Tensor | None:
        return None if self._masks is None else self._masks[torch.as_tensor(ids)]

    def patches(self, ids: Sequence[int]) -> Tensor | None:
        return None if self._patches is None else self._patches[torch.as_tensor(ids)]
