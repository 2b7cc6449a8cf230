"""Does the map move with the picture? And does the model see the moved picture as the same one? (RobustXAI, NeurIPS 2023).

For a symmetry g, equivariance compares map(g x) with g map(x), and invariance compares h(g x) with h(x). Read both: a map that does not
follow the picture is at fault only where the model is invariant.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from cocoa_pl.errors import ConfigError, DataError
from cocoa_pl.metrics.agreement import cosine, spearman

Agreement = Callable[[Tensor, Tensor], Tensor]
"""Maps (N, h, w) twice to (N,), higher where they are more alike, as in :mod:`cocoa_pl.metrics.agreement`."""


class Symmetry(Protocol):
    """A motion of the pixel grid that moves pixels and never interpolates."""

    def apply(self, planes: Tensor) -> Tensor:
        """Pictures (N, C, H, W), maps (N, H, W) or masks, (..., H, W), moved; a quarter turn swaps height and width."""

    def valid(self, height: int, width: int) -> Tensor:
        """Which moved pixels come from the picture, a bool rectangle; ``height`` and ``width`` are from before the motion."""


@dataclass(frozen=True)
class Flip:
    """Mirror left and right, or top and bottom.

    Args:
        vertical: top and bottom.

    Example:
        >>> Flip().apply(torch.tensor([[1, 2], [3, 4]])).tolist()
        [[2, 1], [4, 3]]
    """

    vertical: bool = False

    def apply(self, planes: Tensor) -> Tensor:
        return planes.flip(-2 if self.vertical else -1)

    def valid(self, height: int, width: int) -> Tensor:
        return torch.ones(height, width, dtype=torch.bool)


@dataclass(frozen=True)
class Turn:
    """Turn anticlockwise by quarters.

    Args:
        quarters: 1, 2 or 3.

    Example:
        >>> Turn(1).apply(torch.tensor([[1, 2, 3]])).tolist()
        [[3], [2], [1]]
    """

    quarters: int = 1

    def __post_init__(self) -> None:
        if self.quarters not in (1, 2, 3):
            raise ConfigError(f"quarters={self.quarters}: must be 1, 2 or 3")

    def apply(self, planes: Tensor) -> Tensor:
        return torch.rot90(planes, self.quarters, (-2, -1))

    def valid(self, height: int, width: int) -> Tensor:
        return self.apply(torch.ones(height, width, dtype=torch.bool))


@dataclass(frozen=True)
class Shift:
    """Move by whole pixels; the border repeats where the picture has moved away.

    Args:
        down: pixels, negative is up.
        right: pixels, negative is left.

    Example:
        >>> Shift(down=0, right=1).apply(torch.tensor([[1, 2, 3]])).tolist()
        [[1, 1, 2]]
    """

    down: int = 4
    right: int = 4

    def apply(self, planes: Tensor) -> Tensor:
        (rows, _), (columns, _) = self._sources(*planes.shape[-2:])
        return planes[..., rows.to(planes.device), :][..., columns.to(planes.device)]

    def valid(self, height: int, width: int) -> Tensor:
        (_, rows), (_, columns) = self._sources(height, width)
        return rows[:, None] & columns

    def _sources(self, height: int, width: int) -> list[tuple[Tensor, Tensor]]:
        """Where each row and each column comes from, and whether that is inside the picture."""
        if abs(self.down) >= height or abs(self.right) >= width:
            raise DataError(f"a shift by {self.down} down and {self.right} right leaves nothing of {height} x {width} pixels")
        places = torch.arange(height) - self.down, torch.arange(width) - self.right
        return [(at.clamp(0, size - 1), (at >= 0) & (at < size)) for at, size in zip(places, (height, width), strict=True)]


SYMMETRIES: dict[str, Symmetry] = {
    "flip": Flip(),
    "flip_vertical": Flip(vertical=True),
    "rotate90": Turn(1),
    "rotate180": Turn(2),
    "rotate270": Turn(3),
    "shift": Shift(4, 4),
}


def equivariance(maps: Tensor, moved_maps: Tensor, symmetry: Symmetry, *, agreement: Agreement = spearman) -> Tensor:
    """Agreement of map(g x) with g map(x) on the pixels that both show; (N,), higher is better.

    Args:
        maps: (N, H, W), map(x).
        moved_maps: (N, H', W'), map(g x), explained on ``symmetry.apply(explicands)``.
        symmetry: g.
        agreement: of maps (N, h, w) twice, for instance spearman, cosine or ssim.

    Raises:
        DataError: shapes that do not fit, or a shift larger than the picture.

    Example:
        >>> maps = torch.rand(2, 5, 6)
        >>> equivariance(maps, maps.flip(2), Flip()).tolist()
        [1.0, 1.0]
    """
    expected = symmetry.apply(maps)
    if maps.ndim != 3 or expected.shape != moved_maps.shape:
        raise DataError(
            f"maps {tuple(maps.shape)} become {tuple(expected.shape)}, but those of the moved pictures are {tuple(moved_maps.shape)}"
        )
    valid = symmetry.valid(*maps.shape[1:]).to(maps.device)
    rows, columns = valid.any(1), valid.any(0)
    return agreement(moved_maps[:, rows][..., columns], expected[:, rows][..., columns])


def invariance(reps: Tensor, moved_reps: Tensor) -> Tensor:
    """Cosine similarity of the model's h(x) and h(g x), reps (N, D) twice to (N,); 1 is invariant, and only then is equivariance due."""
    return cosine(reps, moved_reps)
