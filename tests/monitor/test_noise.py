"""Contrasts against the spread of directions over references drawn anew, and both kinds of noise taken together."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from cocoa_pl.attributions.reliability import independent_directions
from cocoa_pl.metrics.drift import NoisyMaps
from cocoa_pl.monitor.noise import NUM_CONTRASTS, across, balanced_signs, centred, noisy_maps, spread, squared_length
from cocoa_pl.monitor.references import References

DIM, FOIL, CORPUS = 12, 60, 20


def population(num: int, *, seed: int) -> Tensor:
    """Representations that are not negative and vary mostly in a few directions."""
    draw = torch.Generator().manual_seed(seed)
    scale = torch.linspace(1, 0.1, DIM)
    return (torch.randn(num, DIM, generator=draw) * scale + 0.7).relu() + 0.01


ORIGINALS, POPULATION, OF_CLASS = (
    population(3, seed=2),
    population(20_000, seed=0),
    population(20_000, seed=1) * torch.linspace(0.2, 1, DIM),
)


def drawn(seed: int, *, foil: int = FOIL, corpus: int = CORPUS) -> References:
    draw = torch.Generator().manual_seed(seed)
    foils, corpora = (each[torch.randint(len(each), (num,), generator=draw)] for each, num in ((POPULATION, foil), (OF_CLASS, corpus)))
    return References(ORIGINALS, torch.zeros(3, dtype=torch.long), (4,), (foils, foils), (corpora[None], corpora[None]))


@pytest.mark.parametrize(("foil", "corpus"), [(FOIL, CORPUS), (FOIL + 1, CORPUS + 1), (FOIL, 2)])
def test_contrasts_are_as_large_as_directions_differ_between_draws(foil: int, corpus: int) -> None:
    many = [drawn(seed, foil=foil, corpus=corpus) for seed in range(250)]
    for place, suffix in enumerate(("", "-class")):
        directions = torch.stack([each.directions()[suffix][0] for each in many]).double()
        true = float((directions - directions.mean(0)).square().sum(1).mean()) * len(many) / (len(many) - 1)
        rows = torch.arange(3)
        found = torch.stack([each.contrasts(rows, rows, seed=seed).directions for seed, each in enumerate(many)]).double()
        assert found.shape == (250, 2 * NUM_CONTRASTS, 3, DIM)
        energy = float(found[:, place::2].square().sum(-1).mean())
        # where one is left over, its weight is missing from the halves
        left_over = 1.0 if foil == FOIL else 0.9
        assert left_over * 0.9 < energy / true < 1.1


def test_contrasts_spread_in_the_directions_in_which_directions_err() -> None:
    many = [drawn(seed) for seed in range(400)]
    directions = torch.stack([each.directions()["-class"][0] for each in many])
    rows = torch.arange(1)
    found = torch.stack([each.contrasts(rows, rows, seed=seed).directions[1, 0] for seed, each in enumerate(many)])
    spreads = [torch.cov(each.T) for each in (directions, found)]
    assert float((spreads[0] * spreads[1]).sum() / (spreads[0].norm() * spreads[1].norm())) > 0.95
    assert independent_directions(found) == pytest.approx(independent_directions(directions - directions.mean(0)), rel=0.1)


def test_contrasts_of_a_row_are_its_own_whoever_asks_for_it() -> None:
    reference, rows = drawn(0), torch.arange(3)
    whole = reference.contrasts(rows, rows, seed=5).directions
    assert torch.allclose(whole[:, 1:2], reference.contrasts(rows[1:2], rows[1:2], seed=5).directions, atol=1e-6)
    flat = whole.flatten(0, 1)
    assert torch.linalg.matrix_rank(flat) == DIM  # no two are alike
    assert not torch.allclose(whole, reference.contrasts(rows, rows, seed=6).directions)


def test_without_labels_there_are_contrasts_of_the_foil_alone() -> None:
    reference = drawn(0)
    unlabelled = References(reference.originals, None, (), reference.foils, (reference.corpora[0][:0],) * 2)
    rows = torch.arange(3)
    alone = unlabelled.contrasts(rows, rows, seed=5).directions
    assert torch.allclose(alone, reference.contrasts(rows, rows, seed=5).directions[0::2])


@pytest.mark.parametrize("size", [2, 7, 50])
def test_signs_part_references_into_halves(size: int) -> None:
    signs = balanced_signs(torch.arange(200), size, seed=3, contrast=1)
    assert signs.sum(1).tolist() == [0] * 200
    assert (signs == 0).sum(1).tolist() == [size % 2] * 200
    assert abs(float((signs[:-1] * signs[1:]).mean())) < 4 / math.sqrt(200 * size)
    assert torch.equal(signs[7:9], balanced_signs(torch.tensor([7, 8]), size, seed=3, contrast=1))


def test_across_leaves_what_changes_the_shape() -> None:
    draw = torch.Generator().manual_seed(0)
    maps, errors = torch.randn(3, 4, 5, generator=draw), torch.randn(2, 3, 4, 5, generator=draw)
    left = across(errors, maps)
    assert left.shape == errors.shape
    assert float((centred(left) * centred(maps)).sum(-1).abs().max()) < 1e-12
    assert torch.allclose(across(errors + 3 * maps + 1, maps), left, atol=1e-5)
    assert torch.allclose(across(errors, torch.ones(3, 4, 5)).flatten(-2), centred(errors))  # a flat map has no shape
    assert bool((squared_length(left) <= squared_length(errors)).all())


def test_spread_tells_the_directions_of_each_row_whatever_its_scale() -> None:
    draw, num = torch.Generator().manual_seed(0), 400
    basis = centred(torch.linalg.qr(torch.randn(64, 5, generator=draw))[0].T.view(5, 8, 8))
    basis = torch.linalg.qr(basis.T)[0].T.float()
    contrasts = torch.randn(NUM_CONTRASTS, num, 5, generator=draw) @ basis * torch.logspace(-3, 3, num)[:, None]
    told = spread(contrasts.view(NUM_CONTRASTS, num, 8, 8))
    assert told.shape == (num, 2)
    assert float(told[:, 1].sum() / told[:, 0].sum()) == pytest.approx(5, rel=0.1)
    assert spread(torch.zeros(NUM_CONTRASTS, 2, 8, 8)).tolist() == [[0, 0], [0, 0]]


def together(
    monte_carlo: float, references: float, *, dims: float | None = 20.0, num_samples: int | None = 101, of: float = 4.0
) -> NoisyMaps:
    maps = torch.randn(2, 16, 16, generator=torch.Generator().manual_seed(0))
    return noisy_maps(
        maps, torch.randn(2, 16, 16, generator=torch.Generator().manual_seed(1)), monte_carlo=torch.full((2,), monte_carlo),
        references=torch.full((2,), references), spread=torch.tensor([[1.0, of]] * 2), dims=dims, num_samples=num_samples,
    )  # fmt: skip


def test_noise_of_one_kind_keeps_its_directions_and_degrees_of_freedom() -> None:
    masks, foil, nothing = together(2.0, 0.0), together(0.0, 3.0), together(0.0, 0.0)
    for made, expected in ((masks, [20, 100, 2]), (foil, [4, 4 * NUM_CONTRASTS, 3]), (nothing, [1, 1, 0])):
        assert torch.stack([made.dims, made.df, made.variance])[:, 0].tolist() == pytest.approx(expected)


def test_noise_of_both_kinds_spreads_as_their_sum_does() -> None:
    rng, pixels = np.random.default_rng(0), 40
    few = np.diag([3 / 4] * 4 + [0] * (pixels - 4))  # 3, over 4 of the 20 directions of the other
    many = np.diag([2 / 20] * 20 + [0] * (pixels - 20))
    exact = np.trace(few + many) ** 2 / np.trace((few + many) @ (few + many))
    made = together(2.0, 3.0)
    assert float(made.dims[0]) == pytest.approx(exact, rel=1e-6)
    assert float(made.df[0]) == pytest.approx(25 / (4 / 100 + 9 / 16), rel=1e-6)
    draws = torch.tensor(rng.normal(size=(4000, pixels)) @ np.sqrt(few + many))
    assert independent_directions(draws) == pytest.approx(exact, rel=0.05)


def test_unknown_directions_are_read_off_the_draws() -> None:
    draw = torch.Generator().manual_seed(2)
    basis = torch.linalg.qr(centred(torch.randn(6, 16, 16, generator=draw)).T)[0].T.float()
    maps, scale = torch.randn(300, 16, 16, generator=draw), torch.logspace(-2, 2, 300)
    errors = (torch.randn(300, 6, generator=draw) @ basis * scale[:, None]).view(300, 16, 16)
    options = {"references": torch.zeros(300), "spread": torch.zeros(300, 2), "dims": None, "num_samples": 50}
    made = noisy_maps(maps, errors, monte_carlo=6 * scale**2, **options)  # type: ignore[arg-type]
    assert float(made.dims[0]) == pytest.approx(6, rel=0.1)
    unknown = noisy_maps(maps, torch.full_like(errors, torch.nan), monte_carlo=6 * scale**2, **options)  # type: ignore[arg-type]
    assert bool(torch.isfinite(unknown.dims).all())
