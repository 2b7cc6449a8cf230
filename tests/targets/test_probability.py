"""Probabilities under a head: which class is meant, and what is refused."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from cocoa_pl.errors import DataError
from cocoa_pl.targets import corpus_majority, explicand_probability

AXES = torch.eye(3)


def test_the_class_is_the_corpus_majority_and_the_first_of_equals() -> None:
    for votes, label in (([2, 2, 1], 2), ([1, 0], 0), ([2, 1, 2, 1], 1)):
        target = corpus_majority(AXES[votes], lambda reps: 5 * reps)
        expected = torch.softmax(5 * AXES, dim=1)[:, label]
        torch.testing.assert_close(target(AXES, torch.arange(3))[:, 0], expected)
    own = corpus_majority(AXES[torch.tensor([[0, 1, 1], [2, 2, 0]])], lambda reps: 5 * reps)
    torch.testing.assert_close(own(AXES[[1, 2]], torch.arange(2)), torch.softmax(5 * AXES, dim=1)[0, 0].expand(2, 1))


def test_explicands_keep_the_class_they_had() -> None:
    target = explicand_probability(AXES, lambda reps: 2 * reps)
    scores = target(AXES[[1, 1, 1]], torch.arange(3))[:, 0]
    assert scores.argmax() == 1
    torch.testing.assert_close(scores, torch.softmax(2 * AXES[1], dim=0))


def test_a_module_s_parameters_get_no_gradient() -> None:
    head = nn.Linear(3, 4)
    nn.init.eye_(head.weight)
    target, reps = corpus_majority(AXES, head), AXES.clone().requires_grad_()
    assert torch.autograd.grad(target(reps, torch.arange(3)).sum(), reps)[0].any()
    assert head.weight.grad is None


@pytest.mark.parametrize("head", [lambda reps: reps[:, :1], lambda reps: reps[0], lambda reps: reps[:1]])
def test_a_head_without_classes_is_refused(head: nn.Module) -> None:
    with pytest.raises(DataError, match=r"the head made \(.*\) of \(3, 3\); it must give \(images, classes\), 2 classes at least"):
        explicand_probability(AXES, head)
