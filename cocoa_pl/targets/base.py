"""What all targets share: adding up, checks of the representations they are made of, references of each explicand's own."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Literal, get_args

import torch
from torch import Tensor

from cocoa_pl.errors import ConfigError, DataError, choices_hint
from cocoa_pl.types import Target

Similarity = Literal["cosine", "dot"]

_EPS = 1e-8


class BaseTarget(ABC):
    """A target that adds up: ``a + b`` scores both from the same representations (see ``stack.py``)."""

    @property
    @abstractmethod
    def names(self) -> tuple[str, ...]:
        """K names."""

    @property
    @abstractmethod
    def num_rows(self) -> int | None:
        """N where the target holds references of N explicands, each of its own; None where it treats all explicands alike."""

    @abstractmethod
    def __call__(self, reps: Tensor, rows: Tensor, /) -> Tensor:
        """Reps (B, D), rows (B,) to scores (B, K)."""

    def __add__(self, other: Target) -> BaseTarget:
        """Both sets of targets in one pass."""
        from cocoa_pl.targets.stack import stack  # there targets of all kinds are known, here none is

        return stack([self, other])


def normalize(reps: Tensor) -> Tensor:
    """Reps (..., D) to unit length; an all-zero representation stays zero instead of turning into NaN."""
    return reps / lengths(reps)


def lengths(reps: Tensor) -> Tensor:
    """Reps (..., D) to their lengths (..., 1), never so small that nothing could be divided by it."""
    length: Tensor = reps.norm(dim=-1, keepdim=True).clamp_min(_EPS)
    return length


def as_compared(reps: Tensor, similarity: Similarity) -> Tensor:
    """Reps (..., D) as a similarity sees them: of unit length for ``cosine``, as they are for ``dot``.

    Raises:
        ConfigError: unknown similarity.
    """
    check_similarity(similarity)
    return normalize(reps) if similarity == "cosine" else reps


def check_similarity(similarity: str) -> None:
    """Refuse a similarity that there is not.

    Raises:
        ConfigError: unknown similarity.
    """
    if similarity not in get_args(Similarity):
        raise ConfigError(f"unknown similarity '{similarity}'; {choices_hint(similarity, get_args(Similarity))}")


def check_reps(reps: Tensor, *, what: str, own: bool = False) -> Tensor:
    """Representations in float32, refused where no target can be made of them.

    Args:
        reps: (M, D).
        what: what they are, for messages.
        own: whether (N, M, D), a set for each explicand, will do as well.

    Raises:
        DataError: wrong shape, no representation at all, NaN or infinite values.

    Example:
        >>> check_reps(torch.zeros(3, 2, dtype=torch.bfloat16), what="corpus").dtype
        torch.float32
    """
    if reps.ndim not in ((2, 3) if own else (2,)):
        wanted = "(images, D) or (explicands, images, D)" if own else "(images, D)"
        raise DataError(f"{what} representations {tuple(reps.shape)}: must be {wanted}")
    if reps.numel() == 0:
        raise DataError(f"{what} representations {tuple(reps.shape)}: at least one image is needed")
    if not bool((finite := torch.isfinite(reps).all(dim=-1)).all()):
        raise DataError(f"{int((~finite).sum())} of {finite.numel()} {what} representations hold NaN or infinite values")
    return reps.float()


def check_pair(corpus_reps: Tensor, foil_reps: Tensor) -> tuple[Tensor, Tensor]:
    """Corpus (M, D) or (N, M, D) and foil (F, D) in float32.

    Raises:
        DataError: as :func:`check_reps`, or representations of different lengths.
    """
    corpus, foil = check_reps(corpus_reps, what="corpus", own=True), check_reps(foil_reps, what="foil")
    check_lengths(corpus=corpus, foil=foil)
    return corpus, foil


def check_lengths(**sets: Tensor) -> None:
    """Refuse representations (..., D) of more than one D, named by keyword.

    Raises:
        DataError: they differ.
    """
    lengths = {what: reps.shape[-1] for what, reps in sets.items()}
    if len(set(lengths.values())) > 1:
        found = ", ".join(f"{what} {length}" for what, length in lengths.items())
        raise DataError(f"representations of different lengths ({found}): encode all of them by the same encoder")


def keep(references: Tensor) -> Tensor:
    """A private float32 copy without history, which carries gradients of others even if it was made in inference mode."""
    with torch.inference_mode(False):
        return references.detach().float().clone()


def of_rows(references: Tensor, rows: Tensor) -> Tensor:
    """References (N, ...) of the explicands that rows (B,) name, (B, ...).

    An accelerator cannot say that a row is out of range without being waited for: there, compare ``num_rows`` with the number of explicands
    before a pass.

    Raises:
        DataError: a row beyond the references (on the CPU).
    """
    try:
        return references[rows]
    except IndexError as error:
        num, row = len(references), int(rows.max())
        raise DataError(
            f"the target holds references of {num} explicands, not of row {row}: make it from the explicands explained"
        ) from error


def unique_names(names: Iterable[str]) -> tuple[str, ...]:
    """Names, numbered from the second time on.

    Example:
        >>> unique_names(["a", "b", "a", "a"])
        ('a', 'b', 'a_2', 'a_3')
    """
    taken: dict[str, None] = {}
    for name in names:
        made, count = name, 1
        while made in taken:
            count += 1
            made = f"{name}_{count}"
        taken[made] = None
    return tuple(taken)


def common_rows(targets: Iterable[Target]) -> int | None:
    """The number of explicands that targets hold references of; None where none holds any.

    Raises:
        DataError: it differs between them.
    """
    nums = {num for target in targets if (num := getattr(target, "num_rows", None)) is not None}
    if len(nums) > 1:
        raise DataError(f"targets made from {' and '.join(map(str, sorted(nums)))} explicands cannot be explained together")
    return nums.pop() if nums else None
