"""A question's directions, scores, quality and noise against the targets' own code and slow transcriptions."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score
from torch import Tensor

from cocoa_pl.asking.question import Asked, Directed, directed
from cocoa_pl.asking.separation import is_unreliable, separation_by_leaving_out
from cocoa_pl.monitor.noise import NUM_CONTRASTS
from cocoa_pl.targets import cocoa, contrastive_label_free, corpus_similarity, normalize

DIM, NUM = 12, 5


def reps(num: int, *, seed: int) -> Tensor:
    return torch.randn(num, DIM, generator=torch.Generator().manual_seed(seed)) + 0.5


CORPUS, FOIL, EXPLICANDS = reps(9, seed=1), reps(14, seed=2), reps(NUM, seed=3)
UNIT_CORPUS, UNIT_FOIL = normalize(CORPUS), normalize(FOIL)
NONE = torch.empty(0, DIM)
NO_VIEWS = torch.empty(NUM, 0, DIM)


def question(*, foil: Tensor = UNIT_FOIL, views: Tensor = NO_VIEWS) -> Directed:
    asked = (
        Asked("self", "self", NONE, NONE, foil, foil[:7]),
        Asked("dog", "shared", UNIT_CORPUS, UNIT_CORPUS[:4], foil, foil[:7]),
        Asked("near", "neighbours", UNIT_CORPUS, UNIT_CORPUS, foil, foil[:7], num=3),
    )
    return directed(asked, EXPLICANDS, views)


def test_directions_are_those_of_the_targets() -> None:
    found = question().directions()
    assert list(found) == ["", "-dog", "-near"]
    own = contrastive_label_free(EXPLICANDS, FOIL).directions[0]
    torch.testing.assert_close(found[""], own)
    torch.testing.assert_close(found["-dog"], cocoa(CORPUS, FOIL).directions.expand(NUM, -1))
    near = torch.stack([CORPUS[(UNIT_CORPUS @ each).topk(3).indices] for each in normalize(EXPLICANDS)])
    torch.testing.assert_close(found["-near"], cocoa(near, FOIL).directions[0])


def test_measuring_directions_are_made_of_other_pictures() -> None:
    found = question().directions(measure=True)
    torch.testing.assert_close(found["-dog"], cocoa(CORPUS[:4], FOIL[:7]).directions.expand(NUM, -1))


def test_without_a_foil_a_corpus_is_only_similar() -> None:
    asked = (Asked("dog", "shared", UNIT_CORPUS, UNIT_CORPUS, NONE, NONE),)
    whole = directed(asked, EXPLICANDS, NO_VIEWS)
    torch.testing.assert_close(whole.directions()["-dog"], corpus_similarity(CORPUS).directions.expand(NUM, -1))
    assert whole.targets["-dog"].separation().auroc.isnan().all()
    assert whole.targets["-dog"].scores(normalize(EXPLICANDS)).isfinite().all()


@pytest.mark.parametrize("suffix", ["", "-dog", "-near"])
def test_scores_are_those_along_the_directions(suffix: str) -> None:
    whole, unit = question(), normalize(EXPLICANDS)
    scores, error = whole.targets[suffix].scores(unit)
    torch.testing.assert_close(scores, (whole.directions()[suffix] * unit).sum(1))
    assert bool((error > 0).all())


def test_the_error_of_a_score_is_what_redrawing_corpus_and_foil_makes() -> None:
    """Against a bootstrap of 4000 draws."""
    unit = normalize(EXPLICANDS)
    error = question().targets["-dog"].scores(unit)[1]
    draw = torch.Generator().manual_seed(0)
    drawn = []
    for _ in range(4000):
        corpus, foil = (each[torch.randint(len(each), (len(each),), generator=draw)] for each in (UNIT_CORPUS, UNIT_FOIL))
        drawn.append(unit @ (corpus.mean(0) - foil.mean(0)))
    expected = torch.stack(drawn).std(0) * (9 / 8) ** 0.5  # the bootstrap's variance is that of a sample, short by (n - 1) / n
    torch.testing.assert_close(error, expected, rtol=0.08, atol=0)


def test_quality_is_the_area_under_the_curve_of_images_left_out() -> None:
    above, below = [], []
    for i in range(len(CORPUS)):
        others = torch.cat([UNIT_CORPUS[:i], UNIT_CORPUS[i + 1 :]])
        above.append(float(UNIT_CORPUS[i] @ (others.mean(0) - UNIT_FOIL.mean(0))))
    for j in range(len(FOIL)):
        others = torch.cat([UNIT_FOIL[:j], UNIT_FOIL[j + 1 :]])
        below.append(float(UNIT_FOIL[j] @ (UNIT_CORPUS.mean(0) - others.mean(0))))
    expected = roc_auc_score([1] * len(above) + [0] * len(below), above + below)
    found = question().targets["-dog"].separation()
    np.testing.assert_allclose(found.auroc.numpy(), expected, atol=1e-6)
    assert found.auroc.shape == found.standard_error.shape == (NUM,)


def test_a_corpus_drawn_like_the_foil_has_the_quality_of_chance() -> None:
    areas = []
    for seed in range(200):
        both = normalize(reps(60, seed=1000 + seed))
        asked = (Asked("chance", "shared", both[:20], both[:20], both[20:], both[20:]),)
        areas.append(float(directed(asked, EXPLICANDS[:1], NO_VIEWS[:1]).targets["-chance"].separation().auroc))
    assert np.mean(areas) == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize(("num", "num_foil"), [(5, 5), (5, 50), (20, 50), (100, 30)])
def test_the_error_of_quality_covers_what_chance_does(num: int, num_foil: int) -> None:
    """Corpora drawn like the foil are taken for reliable in few of 100 cases (wanted: 2.5); the jackknife errs to the safe side."""
    taken, errors, areas = 0, [], []
    for seed in range(100):
        both = normalize(reps(num + num_foil, seed=5000 + seed))
        area, error = separation_by_leaving_out(both[None, :num], both[num:])
        taken += int(float(area) - 1.96 * float(error) > 0.5)
        errors.append(float(error))
        areas.append(float(area))
    assert taken <= 7
    assert 0.9 < np.sqrt(np.mean(np.square(errors))) / np.std(areas) < 1.7


def test_the_error_of_quality_where_there_is_a_difference() -> None:
    errors, areas = [], []
    for seed in range(100):
        corpus, foil = reps(60, seed=7000 + seed), normalize(reps(80, seed=8000 + seed))
        corpus[:, 0] += 2
        area, error = separation_by_leaving_out(normalize(corpus)[None], foil)
        errors.append(float(error))
        areas.append(float(area))
    assert np.sqrt(np.mean(np.square(errors))) == pytest.approx(np.std(areas), rel=0.25)


def test_chance_is_unreliable_and_the_unknown_is_not_called_so() -> None:
    found = is_unreliable(np.array([0.5, 0.6, 0.9, np.nan]), np.array([0.1, 0.1, 0.1, np.nan]))
    assert found.tolist() == [True, True, False, False]


def test_quality_of_likeness_to_itself_is_told_by_other_views() -> None:
    views = EXPLICANDS[:, None] + 0.05 * torch.randn(NUM, 6, DIM, generator=torch.Generator().manual_seed(5))
    good = question(views=views).targets[""].separation()
    bad = question(views=reps(NUM * 6, seed=8).view(NUM, 6, DIM)).targets[""].separation()
    assert bool((good.auroc > 0.95).all())
    assert float(bad.auroc.mean()) < 0.8
    assert question().targets[""].separation().auroc.isnan().all()


def test_a_picture_is_no_neighbour_of_its_own() -> None:
    asked = (Asked("near", "neighbours", UNIT_CORPUS, UNIT_CORPUS, UNIT_FOIL, UNIT_FOIL, num=2),)
    found = directed(asked, CORPUS, torch.empty(9, 0, DIM)).targets["-near"].corpus
    for own, near in zip(UNIT_CORPUS, found, strict=True):
        assert float((near - own).norm(dim=1).min()) > 1e-3
    everything = (Asked("near", "neighbours", UNIT_CORPUS, UNIT_CORPUS, UNIT_FOIL, UNIT_FOIL, num=9),)
    assert directed(everything, CORPUS, torch.empty(9, 0, DIM)).targets["-near"].corpus.shape == (9, 9, DIM)


def test_contrasts_are_as_large_as_the_error_of_a_direction() -> None:
    """Mean squared length over many rows against the variance of a mean: sum of variances / size, of corpus and foil."""
    rows = torch.arange(4000)
    whole = question()
    drawn = whole.contrasts(rows, torch.zeros(4000, dtype=torch.long), seed=3).directions.view(NUM_CONTRASTS, 3, 4000, DIM)
    own = {
        "": UNIT_FOIL.var(0).sum() / 14,
        "-dog": UNIT_FOIL.var(0).sum() / 14 + UNIT_CORPUS[:].var(0).sum() / 9,
    }
    for k, suffix in enumerate(("", "-dog")):
        squared = float(drawn[:, k].square().sum(-1).mean())
        assert squared == pytest.approx(float(own[suffix]), rel=0.15)  # halves of nine leave one image out


def test_one_picture_as_a_corpus_varies_as_much_as_pictures_of_the_foil() -> None:
    asked = (Asked("one", "shared", UNIT_CORPUS[:1], UNIT_CORPUS[:1], UNIT_FOIL, UNIT_FOIL),)
    drawn = directed(asked, EXPLICANDS, NO_VIEWS).contrasts(torch.arange(2000), torch.zeros(2000, dtype=torch.long), seed=0).directions
    assert float(drawn.square().sum(-1).mean()) == pytest.approx(float(UNIT_FOIL.var(0, correction=0).sum() * (1 + 1 / 13)), rel=0.1)


def test_rows_draw_contrasts_of_their_own_and_the_same_again() -> None:
    whole, images = question(), torch.tensor([0, 1])
    first = whole.contrasts(torch.tensor([7, 8]), images, seed=1).directions
    again = whole.contrasts(torch.tensor([8]), images[1:], seed=1).directions
    torch.testing.assert_close(first[:, 1:], again)
    assert not torch.allclose(first[:, 0], first[:, 1])
