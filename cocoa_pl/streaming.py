"""Work in a stream of batches of bounded size: what is explained never has to fit into memory at once."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from typing import TypeVar

import torch
from torch import Tensor

from cocoa_pl.errors import ConfigError, DataError
from cocoa_pl.types import Baseline

_T = TypeVar("_T")
_PIXELS_A_PASS = {"cpu": 2**18, "cuda": 2**24}  # images in a pass times their pixels, where nobody names a number


def in_ranges(num: int, chunk_size: int, fn: Callable[[int, int], _T]) -> Iterator[tuple[int, int, _T]]:
    """Call ``fn`` on the ranges that cover 0 to ``num`` - 1, at most ``chunk_size`` long, halved whenever memory runs out.

    Args:
        num: how many.
        chunk_size: most in one call.
        fn: first and end of a range to anything; it must leave nothing behind when it fails, as the range comes again in smaller parts.

    Yields:
        First, end, and what ``fn`` made of them, in order.

    Raises:
        ConfigError: a chunk size below 1.
        RuntimeError: whatever ``fn`` raised, if it was not for memory or even a single one does not fit.

    Example:
        >>> list(in_ranges(5, 2, lambda first, end: end - first))
        [(0, 2, 2), (2, 4, 2), (4, 5, 1)]
    """
    if chunk_size < 1:
        raise ConfigError(f"chunk_size={chunk_size}: must be at least 1")
    first = 0
    while first < num:
        end = min(first + chunk_size, num)
        made: list[_T] = []
        try:
            made.append(fn(first, end))
        except RuntimeError as error:
            if end - first == 1 or not is_out_of_memory(error):
                raise
            chunk_size = (end - first) // 2
            warnings.warn(f"out of memory with {end - first} images in one pass: going on with {chunk_size}", stacklevel=2)
        if made:
            yield first, end, made[0]
            first = end
        elif torch.cuda.is_available():  # here, as the handler holds on to the failed call's tensors
            torch.cuda.empty_cache()


def is_out_of_memory(error: RuntimeError) -> bool:
    """Whether a device of any kind says that its memory is used up.

    Example:
        >>> is_out_of_memory(RuntimeError("MPS backend out of memory")), is_out_of_memory(RuntimeError("shapes differ"))
        (True, False)
    """
    words = str(error).lower()
    return isinstance(error, torch.cuda.OutOfMemoryError) or "out of memory" in words or "can't allocate memory" in words


def in_chunks(num: int, chunk_size: int, fn: Callable[[Tensor], _T], *, device: torch.device | str = "cpu") -> Iterator[tuple[Tensor, _T]]:
    """:func:`in_ranges` with the indices of each range as a tensor (b,) int64 on ``device``.

    Example:
        >>> [(index.tolist(), total) for index, total in in_chunks(5, 2, lambda index: int(index.sum()))]
        [([0, 1], 1), ([2, 3], 5), ([4], 4)]
    """

    def call(first: int, end: int) -> tuple[Tensor, _T]:
        index = torch.arange(first, end, device=device)
        return index, fn(index)

    for _, _, made in in_ranges(num, chunk_size, call):
        yield made


def precise_dtype(device: torch.device) -> torch.dtype:
    """Double precision, in which long sums are kept, or single where the device has no double (Apple's GPUs)."""
    return torch.float32 if device.type == "mps" else torch.float64


def automatic_chunk_size(height: int, width: int, device: torch.device) -> int:
    """Images in one pass where nobody chose: as many as keep a device busy, between 16 and 1024.

    Example:
        >>> [automatic_chunk_size(side, side, torch.device("cpu")) for side in (32, 96, 224)]
        [256, 28, 16]
    """
    most = 1024 if device.type == "cuda" else 256
    return max(16, min(most, _PIXELS_A_PASS.get(device.type, 2**22) // (height * width)))


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
