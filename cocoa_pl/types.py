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
from dataclasses import dataclass
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


@dataclass(frozen=True)
class Scorer:
    """A :data:`ScoreFn` that knows what it is made of, for methods that look inside the encoder (Grad-CAM)."""

    encoder: Encoder
    target: Target

    def __call__(self, images: Tensor, rows: Tensor, /) -> Tensor:
        """Images (B, C, H, W), rows (B,) to scores (B, K)."""
        return self.target(self.encoder(images), rows)


class Fill(Protocol):
    """What absence looks like where it depends on what is left.

    Images (B, C, H, W) and keep (B, 1, H, W) in [0, 1] to images (B, C, H, W).
    """

    def __call__(self, images: Tensor, keep: Tensor, /) -> Tensor: ...


Baseline = Tensor | Fill
"""What removed pixels show: an image (N, C, H, W) for each explicand, or a rule that fills whatever was removed."""


class Attributed(NamedTuple):
    """A map with what is known of its noise. ``None`` where a method has none or does not know."""

    maps: Tensor  # (K, N, H, W)
    standard_error: Tensor | None = None  # (K, N, H, W), Monte-Carlo error of every pixel
    reliability: Tensor | None = None  # (K, N), correlation to expect with the map of a second, independent run
    num_samples: int | None = None  # masks or draws that were taken
    draw: Tensor | None = None  # (K, N, H, W), a draw of the maps' Monte-Carlo error: half the difference of the maps of two halves
    dims: float | None = None  # independent directions in which that error spreads


def attributed(
    method: Attribution, score_fn: ScoreFn, explicands: Tensor, baseline: Baseline, *, seed: int, chunk_size: int
) -> Attributed:  # fmt: skip
    """A method's maps with all that it knows of them, whether it offers ``attribute`` or not."""
    made = getattr(method, "attribute", method)(score_fn, explicands, baseline, seed=seed, chunk_size=chunk_size)
    return made if isinstance(made, Attributed) else Attributed(made)


Rows = dict[str, Tensor]
"""Tensors by name."""


class Attribution(Protocol):
    """How a score is shared out over pixels.

    A method whose map is a Monte-Carlo mean may also offer ``attribute``, with the same arguments, which returns an :class:`Attributed`.
    """

    def __call__(self, score_fn: ScoreFn, explicands: Tensor, baseline: Baseline, /, *, seed: int, chunk_size: int) -> Tensor:
        """Explicands (N, C, H, W) and their baseline to signed attributions (K, N, H, W), at most ``chunk_size`` images a pass."""

    def num_forwards(self, num: int, height: int, width: int, /) -> int:
        """Images that go through the encoder for ``num`` explicands, known beforehand (at most, where a method may stop early)."""


@runtime_checkable
class Divisible(Attribution, Protocol):
    """A method whose maps are made of sums over masks, steps or draws, which processes can share out."""

    @property
    def num_parts(self) -> int:
        """How many of them; 0 where this one cannot be divided."""

    def part(
        self, score_fn: ScoreFn, explicands: Tensor, baseline: Baseline, /, *, seed: int, chunk_size: int, samples: range
    ) -> Rows:  # fmt: skip
        """Sums over some of them, even over none. Sums over different ones add up."""

    def whole(self, total: Rows, explicands: Tensor, baseline: Baseline, /) -> Attributed:
        """The maps of the sums over all of them."""


class Removal(Protocol):
    """What absence looks like: explicands (N, C, H, W) in [0, 1] to a baseline of the same shape and range, or to a :class:`Fill`."""

    def __call__(self, explicands: Tensor, /) -> Baseline: ...


class Batch(NamedTuple):
    """What a data loader yields."""

    ids: Tensor  # (B,) int64, position in the split
    labels: Tensor  # (B,) int64, -1 where unknown
    images: Tensor  # (B, 3, H, W) uint8; empty where the loader made the views itself
    views: tuple[Tensor, ...]  # training views, each (B, 3, H, W) float in [0, 1]; empty until they are made
    epoch: int
    tokens: Tensor | None = None  # (B, T) int64, of a caption of each image, where the data has captions and the model reads them
