"""Targets against the sums of cosines in the paper, pair by pair."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from cocoa_pl.errors import DataError
from cocoa_pl.targets import DirectionTarget, cocoa, contrastive_label_free, corpus_similarity, label_free
from cocoa_pl.targets.cosine import normalize

DRAW = torch.Generator().manual_seed(0)
EXPLICANDS, CORPUS, FOIL, OWN_CORPORA = (torch.randn(*shape, 6, generator=DRAW) for shape in ((3,), (4,), (7,), (3, 2)))
REPS, ROWS = torch.randn(5, 6, generator=DRAW), torch.tensor([2, 0, 1, 1, 2])


def slow(h: np.ndarray, references: np.ndarray) -> float:
    """Mean cosine of one representation with every reference."""
    return float(np.mean([h @ r / (np.linalg.norm(h) * np.linalg.norm(r)) for r in references.reshape(-1, len(h))]))


@pytest.mark.parametrize(
    ("target", "formula"),
    [
        (label_free(EXPLICANDS), lambda h, n: slow(h, EXPLICANDS[n].numpy())),
        (contrastive_label_free(EXPLICANDS, FOIL), lambda h, n: slow(h, EXPLICANDS[n].numpy()) - slow(h, FOIL.numpy())),
        (corpus_similarity(CORPUS), lambda h, n: slow(h, CORPUS.numpy())),
        (corpus_similarity(OWN_CORPORA), lambda h, n: slow(h, OWN_CORPORA[n].numpy())),
        (cocoa(CORPUS, FOIL), lambda h, n: slow(h, CORPUS.numpy()) - slow(h, FOIL.numpy())),
        (cocoa(OWN_CORPORA, FOIL), lambda h, n: slow(h, OWN_CORPORA[n].numpy()) - slow(h, FOIL.numpy())),
    ],
    ids=["label_free", "contrastive_label_free", "corpus", "own_corpus", "cocoa", "own_cocoa"],
)
def test_targets_equal_their_formula(target: DirectionTarget, formula: Callable[[np.ndarray, int], float]) -> None:
    expected = [formula(h, n) for h, n in zip(REPS.numpy(), ROWS.tolist(), strict=True)]
    np.testing.assert_allclose(target(REPS, ROWS)[:, 0].numpy(), expected, atol=1e-6)


def test_scores_do_not_depend_on_the_length_of_representations() -> None:
    target = cocoa(CORPUS * 5, FOIL * torch.rand(7, 1, generator=DRAW).add(0.1))
    torch.testing.assert_close(target(REPS * 9, ROWS), cocoa(CORPUS, FOIL)(REPS, ROWS))


@pytest.mark.parametrize("others", [(corpus_similarity(CORPUS), label_free(EXPLICANDS)), (label_free(EXPLICANDS), cocoa(CORPUS, FOIL))])
def test_a_sum_of_targets_is_their_scores_side_by_side(others: tuple[DirectionTarget, DirectionTarget]) -> None:
    first, second = others
    both = first + second + first
    assert both.names == first.names + second.names + first.names
    torch.testing.assert_close(both(REPS, ROWS), torch.cat([t(REPS, ROWS) for t in (first, second, first)], dim=1))


def test_zero_representations_score_zero_with_a_finite_gradient() -> None:
    reps = torch.zeros(2, 6, requires_grad=True)
    scores = cocoa(torch.cat([CORPUS, torch.zeros(1, 6)]), FOIL)(reps, torch.tensor([0, 0]))
    assert scores.tolist() == [[0.0], [0.0]]
    assert torch.isfinite(torch.autograd.grad(scores.sum(), reps)[0]).all()
    assert normalize(torch.zeros(3)).tolist() == [0.0, 0.0, 0.0]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: corpus_similarity(torch.zeros(0, 6)), "the corpus is empty"),
        (lambda: cocoa(torch.zeros(3, 0, 6), FOIL), "the corpus is empty"),
        (lambda: cocoa(CORPUS, torch.zeros(0, 6)), "the foil is empty"),
        (lambda: contrastive_label_free(EXPLICANDS, torch.zeros(0, 6)), "the foil is empty"),
        (lambda: DirectionTarget(torch.zeros(2, 6), names=["one"]), r"directions \(2, 6\) must be"),
        (lambda: DirectionTarget(torch.zeros(6), names=["a"] * 6), r"directions \(6,\) must be"),
        (lambda: cocoa(CORPUS, FOIL)(torch.zeros(1, 5), torch.tensor([0])), "length 5 met a target of length 6"),
    ],
)
def test_what_cannot_be_a_target_is_refused(make: Callable[[], object], message: str) -> None:
    with pytest.raises(DataError, match=message):
        make()


def test_a_direction_made_in_inference_mode_carries_gradients() -> None:
    with torch.inference_mode():
        target = cocoa(CORPUS.clone(), FOIL.clone()) + label_free(EXPLICANDS.clone())
    reps = REPS.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(target(reps, ROWS).sum(), reps)
    assert gradient.abs().sum() > 0


def test_half_precision_representations_are_compared_in_float32() -> None:
    def scores(reps: Tensor) -> Tensor:
        return cocoa(reps[:2], reps[2:4])(reps[4:], torch.tensor([0]))

    half = REPS.bfloat16()
    assert torch.equal(scores(half), scores(half.float()))
