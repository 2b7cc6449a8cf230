"""Protocols and small frozen records shared by every room.

Shape legend
    N  explicands (images explained)      B  images in one pass through the encoder
    C, H, W  channels, height, width      D  length of a representation
    M  corpus images                      F  foil images
    K  targets (scalars explained at once)
Images are floats in [0, 1], channels first; masks are 1 where a pixel is kept.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol, runtime_checkable

from torch import Tensor

ScoreFn = Callable[[Tensor, Tensor], Tensor]
"""Images (B, C, H, W) and the explicand each one stems from, rows (B,), to scores (B, K)."""


@runtime_checkable
class Encoder(Protocol):
    """Images (B, C, H, W) in [0, 1] to representations (B, D)."""

    def __call__(self, images: Tensor, /) -> Tensor: ...


@runtime_checkable
class Target(Protocol):
    """What is explained: representations to K scalars. A target never sees an image.

    ``rows`` (B,) says which explicand each representation stems from, so that a target may hold a reference of its own for every explicand
    and no row can meet another row's reference, in whatever order or batch a method works.
    """

    @property
    def names(self) -> tuple[str, ...]:
        """K names, one for each scalar."""

    def __call__(self, reps: Tensor, rows: Tensor, /) -> Tensor:
        """Reps (B, D), rows (B,) to scores (B, K)."""


class Attribution(Protocol):
    """How a score is shared out over pixels."""

    def __call__(self, score_fn: ScoreFn, explicands: Tensor, baseline: Tensor, /, *, seed: int, chunk_size: int) -> Tensor:
        """Explicands and their baseline (N, C, H, W) to signed attributions (K, N, H, W), at most ``chunk_size`` images a pass."""


class Removal(Protocol):
    """What absence looks like: explicands (N, C, H, W) in [0, 1] to a baseline of the same shape and range."""

    def __call__(self, explicands: Tensor, /) -> Tensor: ...


class Batch(NamedTuple):
    """What a data loader yields."""

    ids: Tensor  # (B,) int64, position in the split
    labels: Tensor  # (B,) int64, -1 where unknown
    images: Tensor  # (B, 3, H, W) uint8; empty where the loader made the views itself
    views: tuple[Tensor, ...]  # training views, each (B, 3, H, W) float in [0, 1]; empty until they are made
    epoch: int
