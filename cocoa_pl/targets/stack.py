"""Any number of targets together: one encoding of the perturbed images serves all of them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from cocoa_pl.errors import DataError
from cocoa_pl.targets.base import BaseTarget, common_rows, unique_names
from cocoa_pl.targets.cosine import DirectionTarget
from cocoa_pl.types import Target


class StackedTarget(BaseTarget):
    """Targets side by side, in the order given; all directions among them are one matrix product.

    Args:
        targets: at least one of them no direction (see :func:`stack`).

    Raises:
        DataError: references for different numbers of explicands.
    """

    def __init__(self, targets: Sequence[Target]) -> None:
        self.targets = tuple(targets)
        directions = [target for target in targets if isinstance(target, DirectionTarget)]
        self._joined = DirectionTarget.joined(directions) if directions else None
        self._widths = [len(target.names) for target in directions]
        self._names = unique_names(name for target in targets for name in target.names)
        self._num_rows = common_rows(targets)

    @property
    def names(self) -> tuple[str, ...]:
        return self._names

    @property
    def num_rows(self) -> int | None:
        return self._num_rows

    def __call__(self, reps: Tensor, rows: Tensor) -> Tensor:
        scores = torch.split(self._joined(reps, rows), self._widths, dim=1) if self._joined is not None else ()
        of_directions = iter(scores)
        return torch.cat([next(of_directions) if isinstance(t, DirectionTarget) else t(reps, rows) for t in self.targets], dim=1)


def stack(targets: Sequence[Target]) -> BaseTarget:
    """Targets of any kind as one; ``a + b`` is ``stack([a, b])``.

    Directions, cosine and dot product alike, become one :class:`DirectionTarget`; whatever else there is, is evaluated beside it. A name
    that comes again is numbered: ``cocoa``, ``cocoa_2``, ``cocoa_3``.

    Args:
        targets: at least one.

    Raises:
        DataError: no target, representations of different lengths, or references for different numbers of explicands.

    Example:
        >>> from cocoa_pl.targets import corpus_similarity, gaussian, label_free
        >>> corpus, explicands = torch.rand(4, 6), torch.rand(2, 6)
        >>> target = stack([corpus_similarity(corpus), gaussian(corpus), label_free(explicands), corpus_similarity(corpus * 2)])
        >>> target.names, target.num_rows
        (('corpus', 'gaussian', 'label_free', 'corpus_2'), 2)
        >>> target(explicands, torch.arange(2)).shape
        torch.Size([2, 4])
    """
    flat = [part for target in targets for part in (target.targets if isinstance(target, StackedTarget) else (target,))]
    directions = [target for target in flat if isinstance(target, DirectionTarget)]
    if not flat:
        raise DataError("there is no target to stack; at least one is needed")
    if len(directions) == len(flat):
        return DirectionTarget.joined(directions)
    return flat[0] if len(flat) == 1 and isinstance(flat[0], BaseTarget) else StackedTarget(flat)
