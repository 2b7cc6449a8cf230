"""Every target against the formula in the paper, written out in loops; alone as in a batch; differentiable; never NaN."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from cocoa_pl.registry import TARGETS
from cocoa_pl.targets import BaseTarget

DRAW = torch.Generator().manual_seed(0)
EXPLICANDS, CORPUS, FOIL, OWN = (torch.randn(*shape, 6, generator=DRAW) for shape in ((3,), (4,), (7,), (3, 2)))
REPS, ROWS = torch.randn(9, 6, generator=DRAW), torch.tensor([2, 0, 1, 1, 2, 0, 0, 1, 2])
WEIGHT, BIAS = torch.randn(4, 6, generator=DRAW), torch.randn(4, generator=DRAW)


def head(reps: Tensor) -> Tensor:
    return reps @ WEIGHT.T + BIAS


def cosines(h: np.ndarray, references: np.ndarray) -> float:
    return float(np.mean([h @ r / (np.linalg.norm(h) * np.linalg.norm(r)) for r in references]))


def dots(h: np.ndarray, references: np.ndarray) -> float:
    return float(np.mean([h @ r for r in references]))


def kernels(h: np.ndarray, references: np.ndarray, sigma: float = 1.0) -> float:
    return float(np.mean([np.exp(-sum((a - b) ** 2 for a, b in zip(h, r, strict=True)) / (2 * sigma**2 * len(h))) for r in references]))


def share(h: np.ndarray, corpus: np.ndarray, foil: np.ndarray) -> float:
    return kernels(h, corpus) / (kernels(h, corpus) + kernels(h, foil))


def distances(h: np.ndarray, references: np.ndarray) -> float:
    return float(np.mean([np.sqrt(sum((a - b) ** 2 for a, b in zip(h, r, strict=True))) for r in references]))


def predicted(reps: np.ndarray) -> list[int]:
    return [max(range(4), key=lambda k: WEIGHT[k].numpy() @ r + float(BIAS[k])) for r in reps]


def probability(h: np.ndarray, label: int) -> float:
    logits = [WEIGHT[k].numpy() @ h + float(BIAS[k]) for k in range(4)]
    return float(np.exp(logits[label]) / sum(np.exp(logit) for logit in logits))


def majority(reps: np.ndarray) -> int:
    votes = predicted(reps)
    return max(range(4), key=votes.count)


Formula = Callable[[np.ndarray, np.ndarray, np.ndarray, np.ndarray], float]
FORMULAS: dict[str, Formula] = {  # representation, explicand (1, D), corpus (M, D), foil (F, D)
    "label_free": lambda h, e, c, f: cosines(h, e),
    "label_free_dot": lambda h, e, c, f: dots(h, e),
    "contrastive_label_free": lambda h, e, c, f: cosines(h, e) - cosines(h, f),
    "contrastive_label_free_dot": lambda h, e, c, f: dots(h, e) - dots(h, f),
    "corpus": lambda h, e, c, f: cosines(h, c),
    "corpus_dot": lambda h, e, c, f: dots(h, c),
    "cocoa": lambda h, e, c, f: cosines(h, c) - cosines(h, f),
    "cocoa_dot": lambda h, e, c, f: dots(h, c) - dots(h, f),
    "gaussian": lambda h, e, c, f: kernels(h, c),
    "contrastive_gaussian": lambda h, e, c, f: share(h, c, f),
    "corpus_distance": lambda h, e, c, f: -distances(h, c),
    "representation_shift": lambda h, e, c, f: -distances(h, e),
    "corpus_majority": lambda h, e, c, f: probability(h, majority(c)),
    "explicand_probability": lambda h, e, c, f: probability(h, predicted(e)[0]),
}
ELSEWHERE = {"cocoa_salient", "cocoa_whitened"}  # test_directions.py has their formulas
OF_A_CORPUS = [name for name in FORMULAS if "label_free" not in name and name not in ("representation_shift", "explicand_probability")]


def make(name: str, *, explicands: Tensor = EXPLICANDS, corpus: Tensor = CORPUS, foil: Tensor = FOIL) -> BaseTarget:
    build = TARGETS.load(name)
    given = {"explicand_reps": explicands, "corpus_reps": corpus, "foil_reps": foil, "head": head}
    target = build(**{key: given[key] for key in build.__annotations__ if key in given})
    assert isinstance(target, BaseTarget)
    return target


def test_every_target_of_the_table_has_a_formula() -> None:
    assert {*FORMULAS, *ELSEWHERE} == {*TARGETS}


@pytest.mark.parametrize("name", FORMULAS)
def test_a_target_equals_its_formula(name: str) -> None:
    formula, foil = FORMULAS[name], FOIL.numpy()
    expected = [formula(h, EXPLICANDS[n][None].numpy(), CORPUS.numpy(), foil) for h, n in zip(REPS.numpy(), ROWS.tolist(), strict=True)]
    np.testing.assert_allclose(make(name)(REPS, ROWS)[:, 0].numpy(), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", OF_A_CORPUS)
def test_an_explicand_meets_its_own_corpus(name: str) -> None:
    target, foil = make(name, corpus=OWN), FOIL.numpy()
    expected = [
        FORMULAS[name](h, EXPLICANDS[n][None].numpy(), OWN[n].numpy(), foil) for h, n in zip(REPS.numpy(), ROWS.tolist(), strict=True)
    ]
    assert target.num_rows == 3
    np.testing.assert_allclose(target(REPS, ROWS)[:, 0].numpy(), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", TARGETS)
@pytest.mark.parametrize("corpus", [CORPUS, OWN], ids=["corpus", "own corpora"])
def test_a_batch_equals_single_rows(name: str, corpus: Tensor) -> None:
    target = make(name, corpus=corpus)
    reps = torch.cat([REPS, CORPUS, EXPLICANDS])  # equal to references as well
    rows = torch.arange(len(reps)) % 3
    together = target(reps, rows)
    assert together.shape == (len(reps), 1)
    for n in range(len(reps)):
        torch.testing.assert_close(target(reps[n : n + 1], rows[n : n + 1]), together[n : n + 1], atol=2e-6, rtol=0)


@pytest.mark.parametrize("name", TARGETS)
def test_the_gradient_is_the_slope(name: str) -> None:
    target, step, length = make(name), torch.randn(REPS.shape, generator=torch.Generator().manual_seed(1)), 1e-2
    reps = REPS.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(target(reps, ROWS).sum(), reps)
    slope = (target(REPS + length * step, ROWS) - target(REPS - length * step, ROWS)).sum() / (2 * length)
    torch.testing.assert_close((gradient * step).sum(), slope, atol=2e-3, rtol=2e-3)
    assert gradient.abs().amax(dim=1).min() > 1e-6


@pytest.mark.parametrize("name", TARGETS)
def test_zeros_never_give_nan(name: str) -> None:
    zeros = torch.zeros(3, 6)
    for references in ({}, {"explicands": zeros, "corpus": zeros, "foil": zeros}, {"corpus": zeros[:, None]}):
        reps = torch.zeros(3, 6, requires_grad=True)
        scores = make(name, **references)(reps, torch.arange(3))
        assert torch.isfinite(scores).all()
        assert torch.isfinite(torch.autograd.grad(scores.sum(), reps)[0]).all()
        if references and "cocoa" in name and "corpus" not in references:
            assert not scores.any()


@pytest.mark.parametrize("name", TARGETS)
def test_a_target_far_from_everything_is_finite(name: str) -> None:
    scores = make(name)(REPS * 1e6, ROWS)
    assert torch.isfinite(scores).all()
