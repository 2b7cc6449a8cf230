"""Changes of maps against noise: closed forms and scipy, and simulated maps whose true change is known."""

from __future__ import annotations

import math
import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor

from cocoa_pl.errors import ConfigError, DataError
from cocoa_pl.metrics.drift import Change, NoisyMaps, change, signal_share

SIDE, CONTRASTS = 16, 4


def simulated(
    num: int, *, dims: int, noise: float, shared: float = 0.0, angle: float = 0.0, seed: int = 0, same_rows: bool = False
) -> tuple[NoisyMaps, NoisyMaps]:
    """Maps of length 1 and those turned by an angle, with noise of a squared length ``noise`` whose correlation is ``shared``."""
    rng = np.random.default_rng(seed)
    pixels = SIDE * SIDE

    def centred(values: np.ndarray) -> np.ndarray:
        left: np.ndarray = values - values.mean(-1, keepdims=True)
        return left

    true = centred(rng.normal(size=(num, pixels)))
    true /= np.linalg.norm(true, axis=1, keepdims=True)
    away = centred(rng.normal(size=(num, pixels)))
    away -= (away * true).sum(1, keepdims=True) * true
    away /= np.linalg.norm(away, axis=1, keepdims=True)
    basis = np.linalg.qr(centred(rng.normal(size=(dims, pixels))).T)[0].T

    def errors() -> np.ndarray:  # of the map, then of each contrast
        return rng.normal(size=(1 + CONTRASTS, 1 if same_rows else num, dims)) * np.ones((num, 1)) * math.sqrt(noise / dims)

    first = errors()
    second = shared * first + math.sqrt(1 - shared**2) * errors()
    made = []
    for maps, drawn in ((true, first), (math.cos(angle) * true + math.sin(angle) * away, second)):
        whole, contrasts = maps + drawn[0] @ basis, drawn[1:] @ basis
        unit = centred(whole) / np.linalg.norm(centred(whole), axis=1, keepdims=True)
        contrasts = centred(contrasts)
        contrasts -= (contrasts * unit).sum(-1, keepdims=True) * unit
        images, draw = (torch.tensor(each.reshape(num, SIDE, SIDE)) for each in (whole, contrasts[0]))
        variance = torch.tensor((contrasts**2).sum(-1).mean(0))
        made.append(NoisyMaps(images, draw, variance, torch.full((num,), float(dims)), torch.full((num,), float(CONTRASTS * dims))))
    return made[0], made[1]


def without_draws(noisy: NoisyMaps) -> NoisyMaps:
    return replace(noisy, draw=torch.full_like(noisy.draw, torch.nan))


def share_flagged(looks: int, **how: float | bool) -> tuple[int, int]:
    """Of maps that did not change, how many are flagged, and how many there are."""
    num = int(how.pop("num"))
    flags = [change(*simulated(num, seed=seed, **how)).flagged for seed in range(looks)]  # type: ignore[arg-type]
    return int(torch.cat(flags).sum()), looks * num


def test_the_interval_is_scipys() -> None:
    first, second = simulated(6, dims=7, noise=0.05, angle=1.0)
    first, second = without_draws(first), without_draws(second)
    made = change(first, second, confidence=0.9)
    for n in range(6):
        a, b = (noisy.maps[n].flatten().numpy() for noisy in (first, second))
        a, b = a - a.mean(), b - b.mean()
        noise = [float(noisy.variance[n]) / (m @ m) for noisy, m in ((first, a), (second, b))]
        moved = float(np.sum((a / np.linalg.norm(a) - b / np.linalg.norm(b)) ** 2))
        # directions as of one map, degrees of freedom of both variances (Satterthwaite)
        df = sum(noise) ** 2 / sum(v**2 / 28 for v in noise)
        ratio = moved / sum(noise)

        def reached(end: float, df: float = df, ratio: float = ratio, noise: list[float] = noise) -> float:
            """Probability of a ratio no larger, where the change without noise is the one that ``end`` of drift stands for."""
            signal = math.sqrt((1 - noise[0]) * (1 - noise[1]))
            squared = (1 - noise[0]) + (1 - noise[1]) - 2 * signal * (1 - end)
            return float(stats.ncf.cdf(ratio, 7, df * max(1.0, ratio) ** 2, squared * 7 / sum(noise)))

        assert reached(float(made.low[n])) == pytest.approx(0.95, abs=2e-4)
        assert reached(float(made.high[n])) == pytest.approx(0.05, abs=2e-4)


@pytest.mark.parametrize("shared", [0.0, 0.6])
def test_corrected_is_spearmans_correction_less_what_is_shared(shared: float) -> None:
    first, second = simulated(5, dims=9, noise=0.2, shared=shared, angle=0.5)
    a, b, draw_a, draw_b = (each.flatten(1).numpy() for each in (first.maps, second.maps, first.draw, second.draw))
    a, b = a - a.mean(1, keepdims=True), b - b.mean(1, keepdims=True)
    of_a, of_b = np.linalg.norm(a, axis=1), np.linalg.norm(b, axis=1)
    noise_a, noise_b = first.variance.numpy() / of_a**2, second.variance.numpy() / of_b**2
    draw_a, draw_b = draw_a / of_a[:, None], draw_b / of_b[:, None]
    weight = 1 / (noise_a + noise_b)[:, None]
    together = 2 * (weight * draw_a * draw_b).sum() / (weight * (draw_a**2 + draw_b**2)).sum()
    r = (a * b).sum(1) / (of_a * of_b)
    expected = 1 - (r - together * (noise_a + noise_b) / 2) / np.sqrt((1 - noise_a) * (1 - noise_b))
    np.testing.assert_allclose(change(first, second).corrected.numpy(), expected.clip(0, 2), rtol=1e-5)


@pytest.mark.parametrize("noise", [0.01, 0.3, 1.0])
@pytest.mark.parametrize("shared", [0.0, 0.7, 0.99])
@pytest.mark.parametrize("dims", [3, 17])
def test_no_more_than_one_in_forty_is_flagged_without_a_change(dims: int, shared: float, noise: float) -> None:
    hits, num = share_flagged(60, num=16, dims=dims, noise=noise, shared=shared)
    allowed = 0.025 if noise < 1 else 0.05  # noise as large as the map bends the distribution
    assert stats.binom.sf(hits - 1, num, allowed) > 1e-3


@pytest.mark.parametrize("dims", [3, 17])
@pytest.mark.parametrize("shared", [0.0, 0.9])
def test_nor_where_one_map_is_all_there_is(dims: int, shared: float) -> None:
    hits, num = share_flagged(200, num=1, dims=dims, noise=0.1, shared=shared)
    assert stats.binom.sf(hits - 1, num, 0.025) > 1e-3


def test_nor_where_all_rows_have_one_error() -> None:
    flags = [change(*simulated(16, dims=5, noise=0.1, seed=seed, same_rows=True)).flagged.any() for seed in range(300)]
    assert stats.binom.sf(int(torch.stack(flags).sum()) - 1, 300, 0.05) > 1e-3  # rows are flagged together, or one a little later


def test_noise_that_outweighs_a_map_is_never_called_a_change() -> None:
    hits, num = share_flagged(60, num=16, dims=4, noise=10.0)
    assert hits / num < 0.05
    first, second = simulated(8, dims=4, noise=0.1, angle=1.5)
    drowned = replace(first, variance=first.maps.flatten(1).square().sum(1) * 2)
    made = change(drowned, second)
    assert not bool(made.flagged.any())
    assert bool(torch.isnan(made.corrected).all())
    assert signal_share(drowned).tolist() == [0.0] * 8


@pytest.mark.parametrize(("angle", "shared"), [(0.2, 0.0), (0.3, 0.0), (0.5, 0.0), (0.8, 0.0), (0.8, 0.8), (1.4, 0.0)])
@pytest.mark.parametrize("dims", [4, 12])
def test_the_interval_covers_a_change_that_is_known(dims: int, angle: float, shared: float) -> None:
    truth, covered, flagged = 1 - math.cos(angle), list[Tensor](), list[Tensor]()
    for seed in range(40):
        made = change(*simulated(16, dims=dims, noise=0.05, angle=angle, shared=shared, seed=seed))
        covered.append((made.low <= truth) & (truth <= made.high))
        flagged.append(made.flagged)
    assert float(torch.cat(covered).float().mean()) > 0.93
    assert angle < 0.8 or float(torch.cat(flagged).float().mean()) > 0.9


def test_the_interval_of_a_large_change_is_as_narrow_as_its_noise_is_small() -> None:
    """Steiger's interval of a change in units of a noise that few contrasts tell of would be far wider."""
    first, second = simulated(64, dims=4, noise=0.002, angle=0.8)
    made = change(first, second)
    spread = 2 * math.sqrt((2 - 2 * math.cos(0.8)) * 0.004 / 4)  # of |a - b|^2, where the noise lies along the change
    assert float((made.high - made.low).mean()) == pytest.approx(2 * 1.96 * spread / 2, rel=0.25)


@pytest.mark.parametrize("shared", [0.0, 0.8])
@pytest.mark.parametrize("angle", [0.5, 1.2])
def test_corrected_is_right_on_average(angle: float, shared: float) -> None:
    looks = [simulated(16, dims=12, noise=0.1, angle=angle, shared=shared, seed=seed) for seed in range(60)]
    made = [change(*look) for look in looks]
    corrected = torch.cat([each.corrected for each in made])
    raw = torch.cat([1 - _correlation(*look) for look in looks])
    truth = 1 - math.cos(angle)
    assert float(corrected.mean()) == pytest.approx(truth, abs=0.02)
    assert abs(float(raw.mean()) - truth) > 1.5 * abs(float(corrected.mean()) - truth)
    pooled = 1 - torch.cat([each.covariance for each in made]).mean() / torch.cat([each.signal for each in made]).mean()
    assert float(pooled) == pytest.approx(truth, abs=0.02)


def _correlation(first: NoisyMaps, second: NoisyMaps) -> Tensor:
    return torch.tensor([np.corrcoef(a.flatten(), b.flatten())[0, 1] for a, b in zip(first.maps, second.maps, strict=True)])


def test_scale_and_offset_of_a_map_are_no_change() -> None:
    first, second = simulated(6, dims=9, noise=0.1, angle=0.6)
    other = replace(second, maps=70 * second.maps + 5, draw=70 * second.draw, variance=4900 * second.variance)
    assert_same(change(first, second), change(first, other))
    same = change(first, replace(first, maps=3 * first.maps - 1, draw=3 * first.draw, variance=9 * first.variance))
    assert not bool(same.flagged.any())
    assert float(same.corrected.max()) < 1e-6


def assert_same(first: Change, second: Change) -> None:
    for name in vars(first):
        assert torch.allclose(getattr(first, name).float(), getattr(second, name).float(), atol=1e-5, equal_nan=True), name


def test_noise_along_a_map_is_no_noise_of_its_shape() -> None:
    first, second = simulated(6, dims=9, noise=0.1, angle=0.3)
    louder = replace(second, draw=second.draw + second.maps * torch.randn(6, 1, 1, generator=torch.Generator().manual_seed(0)))
    assert_same(change(first, second), change(first, louder))


def test_without_draws_noise_counts_as_independent() -> None:
    first, second = simulated(6, dims=9, noise=0.1, shared=0.9, angle=0.6)
    alone, known = change(without_draws(first), without_draws(second)), change(first, second)
    assert bool((alone.low <= known.low).all())
    some = replace(first, draw=first.draw.where(torch.arange(6)[:, None, None] < 3, torch.nan))
    assert bool(torch.isfinite(change(some, second).corrected).all())


def test_flat_and_nan_maps_have_no_say_over_others() -> None:
    first, second = simulated(4, dims=9, noise=0.1, angle=0.6)
    alone = change(first[2:], second[2:])
    maps = second.maps.clone()
    maps[0], maps[1] = 3.0, torch.nan
    made = change(first, replace(second, maps=maps))
    assert made.flagged[:2].tolist() == [True, False]  # a map that went flat did change; of NaN nothing is known
    assert bool(torch.isnan(made.drift[1]))
    assert float(made.drift[0]) == 1
    for name in ("drift", "corrected", "signal", "covariance"):
        assert torch.allclose(getattr(made, name)[2:], getattr(alone, name), atol=0.05), name
    assert bool((made.flagged[2:] == alone.flagged).all())
    flat = replace(first, maps=torch.zeros_like(first.maps), draw=torch.zeros_like(first.draw), variance=torch.zeros(4))
    nothing = change(flat, flat)
    assert not bool(nothing.flagged.any())
    assert nothing.drift.tolist() == [0.0] * 4


def test_without_noise_any_change_is_real() -> None:
    first, _ = simulated(3, dims=9, noise=0.1)
    sure = replace(first, draw=torch.zeros_like(first.draw), variance=torch.zeros(3))
    turned = replace(sure, maps=sure.maps.mT.contiguous())
    same, other = change(sure, sure), change(sure, turned)
    assert not bool(same.flagged.any())
    assert bool(other.flagged.all())
    for end in (other.low, other.high, other.corrected):
        assert torch.allclose(end, (1 - _correlation(sure, turned)).float(), atol=1e-5)


def test_an_encoder_explained_twice_with_the_same_draws_did_not_change() -> None:
    first, _ = simulated(5, dims=9, noise=0.5)
    made = change(first, first)
    assert not bool(made.flagged.any())
    for each in (made.drift, made.corrected, made.low, made.high):
        assert float(each.abs().max()) < 1e-6


@pytest.mark.parametrize("noise", [1e-30, 1e-13, 1e-9, 1e-4, 1.0, 1e3, math.inf])
@pytest.mark.parametrize("dims", [1.0, 4.5, 300.0])
def test_extreme_ratios_of_change_to_noise_give_numbers_and_no_warning(noise: float, dims: float) -> None:
    maps = simulated(2, dims=3, noise=0.1, angle=1.0)
    with warnings.catch_warnings(), np.errstate(all="raise"):
        warnings.simplefilter("error")
        of = [NoisyMaps(m.maps, m.draw, torch.full((2,), noise), torch.full((2,), dims), torch.ones(2)) for m in map(without_draws, maps)]
        made = change(*of)
        if noise < 1:
            assert bool(torch.isfinite(torch.stack([made.corrected, made.low, made.high])).all())
            assert bool((made.low <= made.corrected).all())
            assert bool((made.corrected <= made.high).all())
        else:
            assert not bool(made.flagged.any())


def test_a_wider_interval_flags_less() -> None:
    first, second = simulated(16, dims=9, noise=0.1, angle=0.6)
    narrow, wide = change(first, second, confidence=0.5), change(first, second, confidence=0.999)
    assert bool((wide.low <= narrow.low).all())
    assert bool((wide.high >= narrow.high).all())
    assert int(wide.flagged.sum()) < int(narrow.flagged.sum())


def test_wrong_input_is_refused() -> None:
    first, second = simulated(3, dims=9, noise=0.1)
    with pytest.raises(ConfigError, match="confidence=95"):
        change(first, second, confidence=95)
    with pytest.raises(DataError, match="attributions"):
        change(first, second[:2])
