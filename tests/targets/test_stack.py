"""Targets together: the scores of each, from one pass, at the cost of one matrix product."""

from __future__ import annotations

from functools import reduce
from operator import add
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from cocoa_pl.errors import DataError
from cocoa_pl.targets import (
    DirectionTarget,
    StackedTarget,
    cocoa,
    cocoa_dot,
    contrastive_label_free,
    corpus_distance,
    corpus_similarity,
    explicand_probability,
    gaussian,
    label_free,
    label_free_dot,
    stack,
)
from cocoa_pl.types import Target

DRAW = torch.Generator().manual_seed(0)
EXPLICANDS, CORPUS, FOIL, OWN = (torch.randn(*shape, 6, generator=DRAW) for shape in ((3,), (4,), (7,), (3, 2)))
REPS, ROWS = torch.randn(5, 6, generator=DRAW), torch.tensor([2, 0, 1, 1, 2])


class Norm:
    """A target of somebody else's."""

    names = ("norm", "cocoa")

    def __call__(self, reps: Tensor, rows: Tensor) -> Tensor:
        return torch.stack([reps.norm(dim=1), rows.float()], dim=1)


TARGETS: list[Target] = [
    cocoa(CORPUS, FOIL), label_free(EXPLICANDS), gaussian(CORPUS), cocoa_dot(CORPUS, FOIL), Norm(), label_free_dot(EXPLICANDS),
    corpus_distance(OWN), explicand_probability(EXPLICANDS, lambda reps: reps), cocoa(OWN, FOIL, name="own"),
]  # fmt: skip


@pytest.mark.parametrize("chosen", [[0, 1], [1, 0], [0, 3], [1, 3, 5], [2, 0], [4, 6], range(9), range(8, -1, -1)], ids=str)
def test_scores_stand_side_by_side_in_the_order_given(chosen: list[int]) -> None:
    targets = [TARGETS[k] for k in chosen]
    apart = torch.cat([target(REPS, ROWS) for target in targets], dim=1)
    for together in (stack(targets), stack([stack(targets[:-1]), targets[-1]]), stack([targets[0], stack(targets[1:])])):
        torch.testing.assert_close(together(REPS, ROWS), apart)
        assert len(together.names) == apart.shape[1]
    if targets[0].names != Norm.names:
        torch.testing.assert_close(reduce(add, targets)(REPS, ROWS), apart)


def test_directions_of_all_kinds_make_one_direction_target() -> None:
    together = stack([TARGETS[k] for k in (0, 1, 3, 5, 8)])
    assert isinstance(together, DirectionTarget)
    assert isinstance(cocoa(CORPUS, FOIL) + label_free(EXPLICANDS), DirectionTarget)
    assert isinstance(gaussian(CORPUS) + together, StackedTarget)
    assert together.num_rows == (gaussian(CORPUS) + together).num_rows == 3


def test_a_name_that_comes_again_is_numbered() -> None:
    target = cocoa(CORPUS, FOIL)
    assert (target + label_free(EXPLICANDS) + target + target).names == ("cocoa", "label_free", "cocoa_2", "cocoa_3")
    assert stack([target, Norm(), target]).names == ("cocoa", "norm", "cocoa_2", "cocoa_3")
    assert stack([cocoa(CORPUS, FOIL, name="a_2"), cocoa(CORPUS, FOIL, name="a"), cocoa(CORPUS, FOIL, name="a")]).names == (
        "a_2",
        "a",
        "a_3",
    )


class Count(TorchFunctionMode):
    """Counts what torch is asked to do."""

    def __init__(self) -> None:
        super().__init__()
        self.num = 0

    def __torch_function__(self, fn: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.num += 1
        return fn(*args, **(kwargs or {}))


def test_forty_targets_take_the_steps_of_one() -> None:
    kinds = [
        lambda k: corpus_similarity(CORPUS + k), lambda k: label_free(EXPLICANDS + k), lambda k: cocoa_dot(CORPUS + k, FOIL),
        lambda k: contrastive_label_free(EXPLICANDS + k, FOIL),
    ]  # fmt: skip
    steps = []
    for num in (1, 10):
        together = stack([kind(k) for k in range(num) for kind in kinds])
        assert len(together.names) == 4 * num
        with Count() as count:
            together(REPS, ROWS)
        steps.append(count.num)
    assert steps[0] == steps[1] < 30


def test_what_cannot_stand_together_is_refused() -> None:
    with pytest.raises(DataError, match="there is no target to stack"):
        stack([])
    for other in (label_free(EXPLICANDS[:2]), gaussian(OWN[:2])):
        with pytest.raises(DataError, match="targets made from 2 and 3 explicands cannot be explained together"):
            label_free(EXPLICANDS) + other
    with pytest.raises(DataError, match=r"different lengths \(target 0 6, target 1 4\)"):
        corpus_similarity(CORPUS) + corpus_similarity(CORPUS[:, :4])
    assert stack([TARGETS[2]]) is TARGETS[2]
    assert stack([Norm()]).names == Norm.names
