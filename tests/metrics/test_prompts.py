"""Prompt sensitivity and presence against scipy, scikit-learn, loops, and repeated draws."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import stats
from sklearn.metrics import roc_auc_score

from cocoa_pl.errors import ConfigError, DataError
from cocoa_pl.metrics import prompts
from cocoa_pl.metrics.agreement import spearman
from cocoa_pl.metrics.prompts import (
    TOO_ALIKE,
    agree_too_well,
    brightness_of_absent,
    map_correlations,
    presence,
    presence_auroc,
)
from cocoa_pl.rng import generator

DRAW = torch.Generator().manual_seed(0)
MAPS = torch.randn(4, 5, 7, 9, generator=DRAW).round(decimals=1)  # with ties
MAPS[1] += MAPS[0]


def test_correlations_of_all_pairs_equal_scipy() -> None:
    found = map_correlations(MAPS)
    assert found.shape == (4, 4, 5)
    for i in range(4):
        for j in range(4):
            expected = [stats.spearmanr(a.flatten().numpy(), b.flatten().numpy()).statistic for a, b in zip(MAPS[i], MAPS[j], strict=True)]
            np.testing.assert_allclose(found[i, j].numpy(), expected, atol=1e-6)


def test_correlations_keep_the_rules_of_flat_and_broken_maps_whatever_the_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    maps = MAPS.clone()
    maps[0, 1], maps[2, 1], maps[3, 2, 0, 0], maps[1, 3, 4, 4] = 0, -3, torch.nan, torch.inf
    found = map_correlations(maps)
    for i in range(4):
        for j in range(4):
            torch.testing.assert_close(found[i, j], spearman(maps[i], maps[j]), equal_nan=True)
    assert found[0, 2, 1] == 1
    assert found[0, 1, 1] == 0
    monkeypatch.setattr(prompts, "_PIXELS_AT_ONCE", 4 * 7 * 9 * 2)
    torch.testing.assert_close(map_correlations(maps), found, equal_nan=True)
    with pytest.raises(DataError, match=r"maps \(5, 7, 9\): must be \(K, N, H, W\)"):
        map_correlations(maps[0])


def test_maps_of_a_common_part_are_too_alike_where_it_is_four_fifths_of_the_variance() -> None:
    common, own = torch.randn(1, 20, 24, 24, generator=DRAW), torch.randn(2, 20, 24, 24, generator=DRAW)
    shares = (0.0, 0.5, 0.75, 0.87)
    alike = torch.stack([map_correlations(common * share**0.5 + own * (1 - share) ** 0.5)[0, 1] for share in shares])
    np.testing.assert_allclose(alike.mean(1).numpy(), shares, atol=0.03)
    assert TOO_ALIKE == 0.8
    assert agree_too_well(alike).tolist() == [False, False, False, True]


def test_the_warning_is_of_the_mean_and_leaves_out_what_has_no_value() -> None:
    agreement = torch.tensor([[0.9, torch.nan, 0.85], [0.99, 0.1, 0.99], [torch.nan, torch.nan, torch.nan]])
    assert agree_too_well(agreement).tolist() == [True, False, False]
    assert agree_too_well(agreement, threshold=0.6).tolist() == [True, True, False]
    assert agree_too_well(agreement[None]).shape == (1, 3)
    for threshold in (0.0, 1.1):
        with pytest.raises(ConfigError, match=r"threshold=.*: must be above 0 and at most 1"):
            agree_too_well(agreement, threshold=threshold)


def test_brightness_equals_sorted_pixels() -> None:
    present, absent = MAPS[0], 0.4 * MAPS[2] - 0.1
    expected = []
    for a, b in zip(present.double().numpy(), absent.double().numpy(), strict=True):
        high, low = (np.sort(each.flatten())[-6:].mean() for each in (a, b))  # a tenth of 63 pixels
        expected.append(low / (low + high))
    found = brightness_of_absent(present, absent, share=0.1)
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-5)
    torch.testing.assert_close(brightness_of_absent(absent, present, share=0.1), 1 - found)
    torch.testing.assert_close(brightness_of_absent(present * 1e-9, absent * 1e-9, share=0.1), found)


def test_dark_maps_are_as_bright_as_each_other_and_broken_ones_unknown() -> None:
    dark, lit = torch.full((3, 4, 4), -1.0), torch.rand(3, 4, 4, generator=DRAW)
    assert brightness_of_absent(dark, dark).tolist() == [0.5] * 3
    assert brightness_of_absent(lit, dark).tolist() == [0.0] * 3
    assert brightness_of_absent(dark, lit).tolist() == [1.0] * 3
    dark[1, 0, 0] = torch.nan
    assert brightness_of_absent(lit, dark).isnan().tolist() == [False, True, False]
    with pytest.raises(ConfigError, match="share=0: must be above 0"):
        brightness_of_absent(lit, dark, share=0)
    with pytest.raises(DataError, match="both must be"):
        brightness_of_absent(lit, dark[:2])


def test_presence_is_a_rank_among_the_foil() -> None:
    scores, foil = torch.randn(6, generator=DRAW).round(decimals=1), torch.randn(6, 40, generator=DRAW).round(decimals=1)
    expected = [stats.percentileofscore(row.numpy(), float(score), kind="mean") / 100 for score, row in zip(scores, foil, strict=True)]
    np.testing.assert_allclose(presence(scores, foil).numpy(), expected, atol=1e-6)
    foil[1, 3], scores[2] = torch.nan, torch.inf
    assert presence(scores, foil).isnan().tolist() == [False, True, True, False, False, False]
    for others in (foil[:5], foil[:, :0], foil[:, 0]):
        with pytest.raises(DataError, match=r"must be \(N,\) and \(N, F\) with F at least 1"):
            presence(scores, others)


def test_the_area_equals_scikit_learn_with_ties_and_missing_texts() -> None:
    present, absent = (torch.randn(30, generator=DRAW) + 1).round(decimals=1), torch.randn(30, 3, generator=DRAW).round(decimals=1)
    absent[torch.rand(30, 3, generator=DRAW) < 0.3] = torch.nan
    absent[4], present[5] = torch.nan, torch.nan
    kept = [n for n in range(30) if n != 5 and bool(absent[n].isfinite().any())]
    rivals = absent[kept].flatten()
    rivals = rivals[rivals.isfinite()]
    truth = [1] * len(kept) + [0] * len(rivals)
    found = presence_auroc(present, absent, num_resamples=50)
    assert found.mean == pytest.approx(roc_auc_score(truth, torch.cat([present[kept], rivals]).numpy()))
    assert found.num == len(kept)


def test_resamples_of_pictures_equal_a_loop() -> None:
    present, absent = torch.randn(9, generator=DRAW) + 0.8, torch.randn(9, 2, generator=DRAW)
    absent[2, 1] = torch.nan
    drawn = torch.randint(9, (40, 9), generator=generator(7, "presence"))
    areas = []
    for picked in drawn:
        rivals = absent[picked].flatten()
        rivals = rivals[rivals.isfinite()]
        areas.append(roc_auc_score([1] * 9 + [0] * len(rivals), torch.cat([present[picked], rivals]).numpy()))
    found = presence_auroc(present, absent, num_resamples=40, confidence=0.8, seed=7)
    assert (found.low, found.high) == pytest.approx(tuple(np.quantile(areas, [0.1, 0.9])))
    assert presence_auroc(present, absent, num_resamples=40, seed=8) != presence_auroc(present, absent, num_resamples=40, seed=7)


def test_the_interval_holds_the_true_area_as_often_as_it_says() -> None:
    """Scores of a picture share an offset, which independent resamples of both kinds of score would take for information."""
    shift, offset, num = 1.2, 0.7, 60
    truth = stats.norm.cdf(shift / math.sqrt(2 * (1 + offset**2)))
    held = 0
    for repeat in range(300):
        draw = torch.Generator().manual_seed(repeat)
        own = offset * torch.randn(num, 1, generator=draw)
        scores = own + torch.randn(num, 3, generator=draw)
        found = presence_auroc(scores[:, 0] + shift, scores[:, 1:], confidence=0.9, num_resamples=300, seed=repeat)
        held += found.low <= truth <= found.high
    assert 0.85 < held / 300 < 0.95


def test_too_few_pictures_have_no_interval_and_options_are_checked() -> None:
    nothing = presence_auroc(torch.tensor([torch.nan, 1.0]), torch.tensor([[0.0], [torch.nan]]))
    assert nothing.num == 0
    assert math.isnan(nothing.mean)
    one = presence_auroc(torch.tensor([0.5]), torch.tensor([[0.1, 0.9]]))
    assert (one.mean, one.num) == (0.5, 1)
    assert math.isnan(one.low)
    for options, message in (({"confidence": 1}, "confidence=1: must be between"), ({"num_resamples": 0}, "num_resamples=0: must be")):
        with pytest.raises(ConfigError, match=message):
            presence_auroc(torch.rand(3), torch.rand(3, 2), **options)
