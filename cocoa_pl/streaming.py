"""Work in a stream of batches of bounded size: what is explained never has to fit into memory at once."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from typing import TypeVar

import torch
from torch import Tensor

from cocoa_pl.errors import DataError
from cocoa_pl.types import Baseline

_T = TypeVar("_T")


def in_chunks(num: int, chunk_size: int, fn: Callable[[Tensor], _T], *, device: torch.device | str = "cpu") -> Iterator[tuple[Tensor, _T]]:
    """Call ``fn`` on the indices 0 to ``num`` - 1, at most ``chunk_size`` at a time, halved whenever memory runs out.

    Args:
        num: how many.
        chunk_size: most indices in one call.
        fn: indices (b,) int64 to anything; it must leave nothing behind when it fails, as the same indices come again in smaller calls.
        device: of the indices.

    Yields:
        Indices and what ``fn`` made of them, in order.

    Raises:
        torch.OutOfMemoryError: even a single index does not fit.

    Example:
        >>> [(index.tolist(), total) for index, total in in_chunks(5, 2, lambda index: int(index.sum()))]
        [([0, 1], 1), ([2, 3], 5), ([4], 4)]
    """
    start = 0
    while start < num:
        index = torch.arange(start, min(start + chunk_size, num), device=device)
        try:
            made = fn(index)
        except torch.OutOfMemoryError:
            if len(index) == 1:
                raise
            chunk_size = max(1, len(index) // 2)
            warnings.warn(f"out of memory with {len(index)} images in one pass: going on with {chunk_size}", stacklevel=2)
            made = None
        if made is None:  # outside the handler, which holds on to the failed call's tensors
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
            continue
        yield index, made
        start += len(index)


def blend(images: Tensor, baseline: Baseline, keep: Tensor, rows: Tensor) -> Tensor:
    """Images (B, C, H, W) where keep is 1, the baseline where it is 0.

    Args:
        images: (B, C, H, W).
        baseline: an image for each explicand, (N, C, H, W), or a fill.
        keep: (B, 1, H, W) in [0, 1].
        rows: (B,), the explicand each image is.
    """
    if isinstance(baseline, Tensor):
        return torch.lerp(baseline[rows], images, keep.to(images.dtype))
    return baseline(images, keep)


def baseline_of(baseline: Baseline, rows: Tensor) -> Baseline:
    """The baseline of some explicands, rows (n,)."""
    return baseline[rows] if isinstance(baseline, Tensor) else baseline


def baseline_image(baseline: Baseline, *, method: str) -> Tensor:
    """The baseline as an image, for methods that walk from it to the explicand.

    Raises:
        DataError: the removal fills what is left instead.
    """
    if not isinstance(baseline, Tensor):
        raise DataError(
            f"{method} needs a baseline image, which the removal {type(baseline).__name__} has not: it fills what a mask removes"
        )
    return baseline
