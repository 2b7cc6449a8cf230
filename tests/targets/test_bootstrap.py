"""Bootstrap replicates against resampling by hand, scipy's bootstrap and the truth."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor

from cocoa_pl.errors import ConfigError, DataError
from cocoa_pl.rng import derive_seed
from cocoa_pl.targets import bootstrap, cocoa, cocoa_dot, contrastive_label_free, normalize, percentile_interval, stack
from cocoa_pl.targets.bootstrap import _weights

DRAW = torch.Generator().manual_seed(0)
CORPUS, FOIL, REPS, OWN = (torch.randn(*shape, 5, generator=DRAW) for shape in ((20,), (40,), (3,), (3, 4)))
ROWS = torch.arange(3)


def test_weights_are_those_of_a_draw_with_replacement() -> None:
    weights = _weights(7, 4000, 3, torch.device("cpu"))
    counts = (weights * 7).round()
    torch.testing.assert_close(weights, counts / 7)
    assert (counts.sum(1) == 7).all()
    of_one = np.bincount(counts[:, 2].long().numpy(), minlength=8)[:6]
    expected = stats.binom.pmf(np.arange(6), 7, 1 / 7) * 4000
    assert stats.chisquare(of_one, expected / expected.sum() * of_one.sum()).pvalue > 0.001
    torch.testing.assert_close(torch.cov(weights.T)[0, 1], torch.tensor(-1 / 7**3), atol=1e-3, rtol=0)  # multinomial: -1/n^2 of counts
    assert torch.equal(_weights(7, 100, 3, torch.device("cpu")), weights[:100])
    assert not torch.equal(_weights(7, 100, 4, torch.device("cpu")), weights[:100])


@pytest.mark.parametrize("similarity", ["cosine", "dot"])
@pytest.mark.parametrize("corpus", [CORPUS, OWN], ids=["corpus", "own corpora"])
@pytest.mark.parametrize("foil", [FOIL, None], ids=["foil", "no foil"])
def test_a_replicate_is_the_target_of_the_images_drawn(corpus: Tensor, foil: Tensor | None, similarity: str) -> None:
    scores = bootstrap(corpus, foil, num_replicates=3, seed=5, similarity=similarity)(REPS, ROWS)
    ready = normalize if similarity == "cosine" else lambda reps: reps
    again = [_recover(corpus.shape[-2], "corpus"), _recover(len(FOIL), "foil")]
    for r in range(3):
        for n in range(3):
            of_row = corpus if corpus.ndim == 2 else corpus[n]
            drawn = [float(ready(REPS[n]) @ ready(of_row[m])) for m in again[0][r]]
            contrast = [] if foil is None else [float(ready(REPS[n]) @ ready(foil[m])) for m in again[1][r]]
            expected = np.mean(drawn) - (np.mean(contrast) if contrast else 0)
            assert float(scores[n, r]) == pytest.approx(expected, abs=1e-5)


def _recover(num: int, kind: str) -> list[list[int]]:
    """Images of each of three replicates, with repetition."""
    counts = (_weights(num, 3, derive_seed(5, "bootstrap", kind), torch.device("cpu")) * num).round().int()
    return [[m for m, count in enumerate(row.tolist()) for _ in range(count)] for row in counts]


def test_contrastive_label_free_resamples_the_foil_around_the_explicand() -> None:
    target = bootstrap(REPS[:, None], FOIL, num_replicates=400, seed=0)
    scores, plain = target(REPS, ROWS), contrastive_label_free(REPS, FOIL)(REPS, ROWS)
    torch.testing.assert_close(scores.mean(1, keepdim=True), plain, atol=0.02, rtol=0)
    foil_error = (normalize(REPS) @ normalize(FOIL).T).std(dim=1) / 40**0.5
    torch.testing.assert_close(scores.std(dim=1), foil_error, rtol=0.15, atol=0)
    assert target.directions.shape == (400, 3, 5)


def test_intervals_agree_with_scipy_s_bootstrap() -> None:
    scores = bootstrap(CORPUS, FOIL, num_replicates=4000, seed=0)(REPS, ROWS).T
    ours = percentile_interval(scores)
    similar = [(normalize(REPS) @ normalize(refs).T).numpy() for refs in (CORPUS, FOIL)]
    for n in range(3):
        theirs = stats.bootstrap(
            [similar[0][n], similar[1][n]], lambda c, f, axis: c.mean(axis) - f.mean(axis), n_resamples=4000, method="percentile",
            vectorized=True, rng=np.random.default_rng(0),
        ).confidence_interval  # fmt: skip
        width = theirs.high - theirs.low
        np.testing.assert_allclose(ours[:, n].numpy(), [theirs.low, theirs.high], atol=0.08 * width)


def test_the_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    """300 corpora and foils of 40 images from a population whose score is known."""
    draw, covered = torch.Generator().manual_seed(2), 0
    population = torch.randn(2, 2000, 5, generator=draw) + torch.tensor([1.0, 0.0])[:, None, None]
    truth = float(cocoa(population[0], population[1])(REPS[:1], ROWS[:1]))
    for _ in range(300):
        corpus, foil = (part[torch.randint(2000, (40,), generator=draw)] for part in population)
        low, high = percentile_interval(bootstrap(corpus, foil, num_replicates=100, seed=0)(REPS[:1], ROWS[:1])[0], level=0.9)
        covered += bool(low <= truth <= high)
    assert 0.83 < covered / 300 < 0.95


def test_replicates_are_a_prefix_and_common_to_all_explicands() -> None:
    many, few = (bootstrap(OWN, FOIL, num_replicates=num, seed=1) for num in (6, 3))
    torch.testing.assert_close(many(REPS, ROWS)[:, :3], few(REPS, ROWS))
    for n in range(3):
        alone = bootstrap(OWN[n : n + 1], FOIL, num_replicates=6, seed=1)(REPS[n : n + 1], ROWS[:1])
        torch.testing.assert_close(alone, many(REPS, ROWS)[n : n + 1])
    assert many.names[-1] == "bootstrap_5"
    other = bootstrap(OWN, FOIL, num_replicates=6, seed=2)(REPS, ROWS)
    assert (other - many(REPS, ROWS)).abs().min() > 1e-6


def test_a_target_and_its_replicates_come_from_one_pass() -> None:
    together = stack([cocoa_dot(CORPUS, FOIL), bootstrap(CORPUS, FOIL, num_replicates=4, seed=0, similarity="dot", name="cocoa_dot")])
    assert together.names == ("cocoa_dot", "cocoa_dot_0", "cocoa_dot_1", "cocoa_dot_2", "cocoa_dot_3")
    torch.testing.assert_close(together(REPS, ROWS)[:, :1], cocoa_dot(CORPUS, FOIL)(REPS, ROWS))


def test_percentiles_of_maps_are_numpy_s_also_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    values = torch.randn(30, 2, 4, 5, generator=DRAW)
    expected = np.quantile(values.numpy(), [0.1, 0.9], axis=0)
    np.testing.assert_allclose(percentile_interval(values, level=0.8).numpy(), expected, atol=1e-6)
    monkeypatch.setattr(sys.modules[percentile_interval.__module__], "_LARGEST", 100)
    np.testing.assert_allclose(percentile_interval(values, level=0.8).numpy(), expected, atol=1e-6)
    assert percentile_interval(values[:, 0, 0, 0]).shape == (2,)


def test_what_makes_no_interval_is_refused() -> None:
    with pytest.raises(ConfigError, match="num_replicates=1: must be 2 or more"):
        bootstrap(CORPUS, FOIL, num_replicates=1, seed=0)
    with pytest.raises(ConfigError, match="level=95: must lie between 0 and 1"):
        percentile_interval(REPS, level=95)
    with pytest.raises(ConfigError, match="1 replicates: an interval needs 2 or more"):
        percentile_interval(REPS[:1])
    with pytest.raises(DataError, match=r"different lengths \(corpus 5, foil 3\)"):
        bootstrap(CORPUS, FOIL[:, :3], seed=0)
