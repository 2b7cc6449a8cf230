"""Directions and what they are made of: sums, references of each explicand's own, what is refused."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from cocoa_pl.errors import ConfigError, DataError
from cocoa_pl.targets import (
    BaseTarget,
    DirectionTarget,
    cocoa,
    cocoa_dot,
    contrastive_gaussian,
    contrastive_label_free,
    corpus_distance,
    corpus_dot,
    corpus_similarity,
    explicand_probability,
    gaussian,
    label_free,
    normalize,
    representation_shift,
)

DRAW = torch.Generator().manual_seed(0)
EXPLICANDS, CORPUS, FOIL, OWN_CORPORA = (torch.randn(*shape, 6, generator=DRAW) for shape in ((3,), (4,), (7,), (3, 2)))
REPS, ROWS = torch.randn(5, 6, generator=DRAW), torch.tensor([2, 0, 1, 1, 2])
NAN = torch.cat([CORPUS, torch.full((1, 6), float("nan"))])


def test_cosine_scores_do_not_depend_on_the_length_of_representations_and_dot_products_do() -> None:
    target = cocoa(CORPUS * 5, FOIL * torch.rand(7, 1, generator=DRAW).add(0.1))
    torch.testing.assert_close(target(REPS * 9, ROWS), cocoa(CORPUS, FOIL)(REPS, ROWS))
    torch.testing.assert_close(cocoa_dot(CORPUS, FOIL)(REPS * 9, ROWS), cocoa_dot(CORPUS, FOIL)(REPS, ROWS) * 9)


def test_directions_of_a_sum_are_those_of_its_parts() -> None:
    shared, own = cocoa(CORPUS, FOIL), cocoa(OWN_CORPORA, FOIL)
    torch.testing.assert_close(shared.directions, (normalize(CORPUS).mean(0) - normalize(FOIL).mean(0))[None])
    assert own.directions.shape == (1, 3, 6)
    torch.testing.assert_close((shared + own).directions, torch.cat([shared.directions.expand(3, -1)[None], own.directions]))


def test_zero_representations_score_zero_with_a_finite_gradient() -> None:
    reps = torch.zeros(2, 6, requires_grad=True)
    scores = cocoa(torch.cat([CORPUS, torch.zeros(1, 6)]), FOIL)(reps, torch.tensor([0, 0]))
    assert scores.tolist() == [[0.0], [0.0]]
    assert torch.isfinite(torch.autograd.grad(scores.sum(), reps)[0]).all()
    assert normalize(torch.zeros(3)).tolist() == [0.0, 0.0, 0.0]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: corpus_similarity(torch.zeros(0, 6)), r"corpus representations \(0, 6\): at least one image is needed"),
        (lambda: cocoa(torch.zeros(3, 0, 6), FOIL), r"corpus representations \(3, 0, 6\): at least one image"),
        (lambda: cocoa(CORPUS, torch.zeros(0, 6)), r"foil representations \(0, 6\): at least one image"),
        (lambda: contrastive_label_free(EXPLICANDS, torch.zeros(0, 6)), r"foil representations \(0, 6\): at least one image"),
        (lambda: label_free(torch.zeros(0, 6)), r"explicand representations \(0, 6\): at least one image"),
        (lambda: label_free(OWN_CORPORA), r"explicand representations \(3, 2, 6\): must be \(images, D\)$"),
        (lambda: corpus_similarity(torch.zeros(6)), r"corpus representations \(6,\): must be \(images, D\) or \(explicands, images, D\)"),
        (lambda: cocoa(CORPUS, OWN_CORPORA), r"foil representations \(3, 2, 6\): must be \(images, D\)$"),
        (lambda: cocoa(NAN, FOIL), "1 of 5 corpus representations hold NaN or infinite values"),
        (lambda: cocoa(CORPUS, NAN * float("inf")), "5 of 5 foil representations hold NaN"),
        (lambda: label_free(NAN), "1 of 5 explicand representations hold NaN"),
        (lambda: gaussian(NAN), "1 of 5 corpus representations hold NaN"),
        (lambda: cocoa(CORPUS, FOIL[:, :4]), r"different lengths \(corpus 6, foil 4\): encode all of them by the same encoder"),
        (lambda: contrastive_label_free(EXPLICANDS, FOIL[:, :4]), r"different lengths \(explicands 6, foil 4\)"),
        (lambda: contrastive_gaussian(CORPUS, FOIL[:, :4]), r"different lengths \(corpus 6, foil 4\)"),
        (lambda: DirectionTarget(torch.zeros(2, 6), names=["one"]), r"directions \(2, 6\) must be"),
        (lambda: DirectionTarget(torch.zeros(6), names=["a"] * 6), r"directions \(6,\) must be"),
        (lambda: cocoa(CORPUS, FOIL)(torch.zeros(1, 5), torch.tensor([0])), "length 5 met a target of length 6"),
    ],
)
def test_what_cannot_be_a_target_is_refused(make: Callable[[], object], message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        make()
    assert "\n" not in str(caught.value)


def test_an_unknown_similarity_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"unknown similarity 'cosin'; choose from: cosine, dot \(did you mean 'cosine'\?\)"):
        cocoa(CORPUS, FOIL, similarity="cosin")
    with pytest.raises(ConfigError, match="unknown similarity 'dots'"):
        DirectionTarget(CORPUS[:1], names=["one"], similarity="dots")


@pytest.mark.parametrize(
    "target",
    [
        label_free(EXPLICANDS), cocoa(OWN_CORPORA, FOIL), cocoa(CORPUS, FOIL) + label_free(EXPLICANDS), gaussian(OWN_CORPORA),
        corpus_distance(OWN_CORPORA), representation_shift(EXPLICANDS), explicand_probability(EXPLICANDS, lambda reps: reps),
        gaussian(CORPUS) + label_free(EXPLICANDS),
    ],
    ids=lambda target: "+".join(target.names),
)  # fmt: skip
def test_a_row_beyond_the_references_is_refused_in_words(target: BaseTarget) -> None:
    assert target.num_rows == 3
    with pytest.raises(DataError, match="holds references of 3 explicands, not of row 3: make it from the explicands explained"):
        target(REPS[:2], torch.tensor([0, 3]))


def test_targets_that_treat_all_explicands_alike_hold_no_rows() -> None:
    for target in (cocoa(CORPUS, FOIL), corpus_dot(CORPUS), gaussian(CORPUS), corpus_distance(CORPUS)):
        assert target.num_rows is None
        assert target(REPS, ROWS + 1000).shape == (5, 1)


def test_a_foil_that_holds_corpus_images_is_warned_of_in_one_line() -> None:
    overlapping = torch.cat([FOIL, CORPUS[:2]])
    for make in (cocoa, cocoa_dot, contrastive_gaussian):
        with pytest.warns(UserWarning, match="2 of 9 foil images are in the corpus too, judging by their representations") as caught:
            make(CORPUS, overlapping)
        assert len(caught) == 1
        assert "\n" not in str(caught[0].message)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for dead in (torch.zeros(4, 6), torch.full((4, 6), 0.7)):  # of a dead and of a collapsed encoder
            cocoa(dead, dead)
        cocoa(CORPUS[:1], FOIL[:1])


def test_a_direction_made_in_inference_mode_carries_gradients() -> None:
    with torch.inference_mode():
        target = cocoa(CORPUS.clone(), FOIL.clone()) + label_free(EXPLICANDS.clone())
        target += gaussian(OWN_CORPORA.clone()) + corpus_distance(CORPUS.clone()) + contrastive_gaussian(CORPUS.clone(), FOIL.clone())
        target += explicand_probability(EXPLICANDS.clone(), lambda reps: reps)
    reps = REPS.clone().requires_grad_()
    for column in target(reps, ROWS).T:
        (gradient,) = torch.autograd.grad(column.sum(), reps, retain_graph=True)
        assert gradient.abs().sum() > 0


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_representations_are_compared_in_float32(dtype: torch.dtype) -> None:
    def scores(reps: Tensor) -> Tensor:
        both = cocoa(reps[:2], reps[2:4]) + cocoa_dot(reps[:2], reps[2:4]) + gaussian(reps[:2]) + corpus_distance(reps[:2])
        return both(reps[4:], torch.tensor([0]))

    half = REPS.to(dtype)
    assert scores(half).dtype == torch.float32
    assert torch.equal(scores(half), scores(half.float()))
