"""Foil sizes against Hoeffding's inequality and the truth, AUROC against scikit-learn and DeLong by loops, overlap against pairs."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import stats
from sklearn.metrics import roc_auc_score
from torch import Tensor

from cocoa_pl.errors import ConfigError, DataError
from cocoa_pl.targets import (
    DirectionTarget,
    cocoa,
    corpus_similarity,
    foil_size_advice,
    foil_size_for,
    hoeffding_error,
    label_free,
    normalize,
    separation,
    shared_images,
)

DRAW = torch.Generator().manual_seed(0)


@pytest.mark.parametrize(("delta", "low", "size"), [(0.05, 0, 738), (0.01, 0, 1060), (0.05, -1, 2952), (0.01, -1, 4239)])  # the paper's
def test_foil_sizes_of_the_paper_are_the_smallest_that_keep_the_bound(delta: float, low: float, size: int) -> None:
    assert foil_size_for(0.05, delta, low, 1) == size
    for num, kept in ((size, True), (size - 1, False)):
        assert (2 * math.exp(-2 * num * 0.05**2 / (1 - low) ** 2) <= delta) == kept
        assert (hoeffding_error(num, delta, low, 1) <= 0.05) == kept


def test_bounds_without_meaning_are_refused() -> None:
    for message, arguments in (
        ("eps=0: must be greater than 0", (0, 0.05, 0, 1)),
        ("delta=1: must lie between 0 and 1", (0.1, 1, 0, 1)),
        ("low=1, high=0: low must be below high", (0.1, 0.5, 1, 0)),
    ):
        with pytest.raises(ConfigError, match=message):
            foil_size_for(*arguments)
    with pytest.raises(ConfigError, match="num=0: must be 1 or more"):
        hoeffding_error(0, 0.05, 0, 1)


# foil size advice


def slow_error(reps: np.ndarray, foil: np.ndarray) -> float:
    """Root of the mean, over pairs, of the variance of a mean of score differences."""
    variances = []
    for i in range(len(reps)):
        for j in range(len(reps)):
            if i != j:
                variances.append(np.var([(reps[i] - reps[j]) @ f for f in foil], ddof=1) / len(foil))
    return float(np.sqrt(np.mean(variances)))


@pytest.mark.parametrize("similarity", ["cosine", "dot"])
def test_advice_is_the_error_of_score_differences_over_pairs(similarity: str) -> None:
    reps, foil, corpus = (torch.randn(num, 6, generator=DRAW) for num in (5, 12, 4))
    ready = (lambda x: normalize(x).numpy()) if similarity == "cosine" else (lambda x: x.numpy())
    advice = foil_size_advice(reps, foil, corpus_reps=corpus, wanted=0.02, similarity=similarity)
    assert advice.error == pytest.approx(slow_error(ready(reps), ready(foil)), rel=1e-4)
    assert advice.num_foil == 12
    assert advice.error_at(advice.needed) <= 0.02 < advice.error_at(advice.needed - 1)
    scores = cocoa(corpus, foil, similarity=similarity)(reps, torch.zeros(5, dtype=torch.long))[:, 0].numpy()
    pairs = [(scores[i] - scores[j]) ** 2 for i in range(5) for j in range(5) if i != j]
    assert advice.spread == pytest.approx(np.sqrt(np.mean(pairs)), rel=1e-4)


def test_only_versions_of_one_explicand_are_compared() -> None:
    reps, foil = torch.randn(3, 4, 6, generator=DRAW), torch.randn(12, 6, generator=DRAW)
    apart = [foil_size_advice(part, foil).error ** 2 for part in reps]
    assert foil_size_advice(reps, foil).error ** 2 == pytest.approx(np.mean(apart), rel=1e-5)
    assert foil_size_advice(reps, foil).error != pytest.approx(foil_size_advice(reps.flatten(0, 1), foil).error, rel=1e-3)


def test_the_advice_holds_when_foils_are_drawn_again() -> None:
    """From a population: the error that 400 foils of 50 images do show is the one that a single foil foretells."""
    population, versions = torch.randn(3000, 6, generator=DRAW) + 0.5, torch.randn(8, 6, generator=DRAW)
    unit = normalize(versions)
    means = torch.stack([normalize(population[torch.randint(3000, (50,), generator=DRAW)]).mean(0) for _ in range(400)])
    scores = (means - normalize(population).mean(0)) @ unit.T  # errors, (400, 8)
    shown = math.sqrt(float((scores[:, :, None] - scores[:, None]).square().sum((1, 2)).mean()) / (8 * 7))
    foretold = [foil_size_advice(versions, population[torch.randint(3000, (50,), generator=DRAW)]).error for _ in range(20)]
    assert np.mean(foretold) == pytest.approx(shown, rel=0.05)
    assert foil_size_advice(versions, population[:200]).error_at(50) == pytest.approx(shown, rel=0.1)


def test_advice_reads_as_one_sentence() -> None:
    reps, foil = torch.rand(4, 6, generator=DRAW), torch.rand(30, 6, generator=DRAW)
    text = str(foil_size_advice(reps, foil, corpus_reps=reps[:2], wanted=0.005))
    assert text.startswith("30 foil images: score differences err by 0.0")
    assert "% of the differences themselves" in text
    assert text.endswith("would do for 0.005")
    assert "themselves" not in str(foil_size_advice(reps, foil))


def test_a_dead_encoder_needs_one_foil_image() -> None:
    advice = foil_size_advice(torch.zeros(3, 4), torch.zeros(5, 4), corpus_reps=torch.zeros(2, 4))
    assert (advice.error, advice.needed, advice.spread) == (0, 1, 0)
    assert str(advice) == "5 foil images: score differences err by 0; 1 would do for 0.01"


def test_advice_on_nothing_is_refused() -> None:
    reps = torch.rand(4, 6, generator=DRAW)
    for compared, foil in ((reps[:1], reps), (reps, reps[:1])):
        with pytest.raises(DataError, match=r"images to compare and \d in the foil: at least two of each are needed"):
            foil_size_advice(compared, foil)
    with pytest.raises(ConfigError, match="wanted=0: must be greater than 0"):
        foil_size_advice(reps, reps, wanted=0)
    with pytest.raises(DataError, match="different lengths"):
        foil_size_advice(reps, reps, corpus_reps=reps[:, :3])


# separation


def test_auroc_is_scikit_learn_s_also_with_ties() -> None:
    corpus, foil = torch.randint(0, 4, (9, 3), generator=DRAW).float(), torch.randint(0, 3, (14, 3), generator=DRAW).float()
    target = DirectionTarget(torch.tensor([[1.0, 0, 0], [0.0, 1, 0], [1.0, -1, 1]]), names=["a", "b", "c"], similarity="dot")
    found = separation(target, corpus, foil)
    both, labels = torch.cat([corpus, foil]), np.repeat([1, 0], [9, 14])
    scores = target(both, torch.zeros(23, dtype=torch.long)).numpy()
    for k in range(3):
        assert float(found.auroc[k]) == pytest.approx(roc_auc_score(labels, scores[:, k]), abs=1e-6)
        whitney = stats.mannwhitneyu(scores[:9, k], scores[9:, k]).statistic / (9 * 14)
        assert float(found.auroc[k]) == pytest.approx(whitney, abs=1e-6)
        assert float(found.standard_error[k]) == pytest.approx(delong(scores[:9, k], scores[9:, k]), abs=1e-6)


def delong(positives: np.ndarray, negatives: np.ndarray) -> float:
    """Equations 3 to 6 of DeLong et al., pair by pair."""
    wins = np.array([[1.0 if p > n else 0.5 if p == n else 0.0 for n in negatives] for p in positives])
    return float(np.sqrt(np.var(wins.mean(1), ddof=1) / len(positives) + np.var(wins.mean(0), ddof=1) / len(negatives)))


def test_the_standard_error_is_the_spread_of_aurocs_of_other_images() -> None:
    east = corpus_similarity(torch.tensor([[1.0, 0.0, 0.0]]))
    drawn = [
        separation(east, torch.randn(30, 3, generator=DRAW) + torch.tensor([1.0, 0, 0]), torch.randn(50, 3, generator=DRAW))
        for _ in range(300)
    ]
    spread = float(torch.cat([one.auroc for one in drawn]).std())
    assert float(torch.cat([one.standard_error for one in drawn]).mean()) == pytest.approx(spread, rel=0.15)


def test_perfect_separation_and_none() -> None:
    east, reps = corpus_similarity(torch.tensor([[1.0, 0.0]])), torch.tensor([[1.0, 0.0], [1.0, 0.2]])
    assert [value.tolist() for value in separation(east, reps, -reps)] == [[1.0], [0.0]]
    assert separation(east, -reps, reps).auroc.tolist() == [0.0]
    assert separation(east, torch.zeros(3, 2), torch.zeros(4, 2)).auroc.tolist() == [0.5]


def test_separation_of_too_little_or_of_rows_is_refused() -> None:
    reps = torch.rand(4, 6, generator=DRAW)
    with pytest.raises(DataError, match="1 corpus and 4 foil images: at least two of each"):
        separation(corpus_similarity(reps), reps[:1], reps)
    with pytest.raises(DataError, match="the target label_free has references of each explicand's own"):
        separation(label_free(reps), reps, reps)


# overlap


def slow_shared(corpus: Tensor, foil: Tensor) -> int:
    return sum(any(float((f - c).norm()) <= 1e-6 * float(f.norm()) for c in corpus.reshape(-1, foil.shape[1])) for f in foil)


@pytest.mark.parametrize("num", [0, 1, 4])
@pytest.mark.parametrize("shape", [(9,), (3, 5)], ids=["corpus", "own corpora"])
def test_shared_images_are_those_that_pairs_show(num: int, shape: tuple[int, ...]) -> None:
    corpus, foil = torch.randn(*shape, 16, generator=DRAW).relu(), torch.randn(30, 16, generator=DRAW).relu()
    foil[3 : 3 + num] = corpus.flatten(0, -2)[2 : 2 + num]
    assert shared_images(corpus, foil) == slow_shared(corpus, foil) == num
    noise = 1 + 1e-7 * torch.randn(foil.shape, generator=DRAW)
    assert shared_images(corpus, foil * noise) == slow_shared(corpus, foil * noise) == num
    moved = foil + 1e-4 * torch.randn(foil.shape, generator=DRAW)
    assert shared_images(corpus, moved) == 0
    assert shared_images(corpus, moved, tolerance=1e-2) == num


def test_corpora_that_repeat_images_and_crowds_on_a_line_are_counted_once() -> None:
    corpus = torch.randn(4, 8, generator=DRAW)
    foil = torch.cat([corpus[[0, 0, 1]], torch.randn(5, 8, generator=DRAW)])
    assert shared_images(corpus.expand(6, -1, -1), foil) == slow_shared(corpus, foil) == 3
    line = torch.rand(200, 1, generator=DRAW) * torch.ones(200, 8)  # all on one line: everything is everything's neighbour
    assert shared_images(line[:100], line[50:]) == slow_shared(line[:100], line[50:])


def test_encoders_that_tell_nothing_apart_share_nothing() -> None:
    draw = torch.Generator().manual_seed(1)
    for collapsed in (torch.zeros(8, 4), torch.ones(8, 4), torch.ones(8, 4) + 1e-7 * torch.randn(8, 4, generator=draw)):
        assert shared_images(collapsed[:3], collapsed[3:]) == 0
        assert shared_images(collapsed[:3], collapsed[:3]) == 0
    half = torch.randn(8, 4, generator=draw)
    half[::2] = 0  # as ReLU leaves them
    assert shared_images(half[:4], half[4:]) == 0
    assert shared_images(half[:4], half[:4]) == 2
