"""Two looks side by side: nothing changed, only the references did, only the encoder did; and a look made in shares."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from cocoa_pl.attributions import IntegratedGradients, Rise, SmoothGrad
from cocoa_pl.attributions.controls import Random
from cocoa_pl.data.explain_set import ExplainSet, draw_explain_set
from cocoa_pl.data.splits import scenes_splits
from cocoa_pl.encoding import FrozenEncoder
from cocoa_pl.metrics.agreement import spearman
from cocoa_pl.monitor import Look, Monitor
from cocoa_pl.monitor.compare import by_explicand, compare, pooled_drift
from cocoa_pl.removal import Black
from tests.teams import in_team

METHODS: dict[str, Any] = {
    "integrated_gradients": IntegratedGradients(num_steps=3), "rise": Rise(num_masks=32, grid_size=2),
    "smoothgrad": SmoothGrad(num_samples=4), "random": Random(),
}  # fmt: skip


class Weighted(nn.Module):
    """The mean of features of single pixels under weights that fall from the left to the right."""

    def __init__(self, *, mirrored: bool = False, seed: int = 0) -> None:
        super().__init__()
        draw = torch.Generator().manual_seed(seed)
        self.features = nn.Conv2d(3, 8, 1)
        with torch.no_grad():
            self.features.weight.copy_(torch.randn(8, 3, 1, 1, generator=draw))
            self.features.bias = nn.Parameter(torch.randn(8, generator=draw) / 4)
        self.mirrored = mirrored

    def forward(self, images: Tensor) -> Tensor:
        ends = (0, 2) if self.mirrored else (2, 0)
        made: Tensor = (self.features(images).tanh() * torch.linspace(*ends, images.shape[-1])).mean((2, 3))
        return made


@pytest.fixture(scope="module")
def given() -> ExplainSet:
    splits = scenes_splits(num_train=200, num_val=30)
    return draw_explain_set(
        splits.train, splits.val, num_explicands=3, views=["original", "flip", "crop"], seen=["original"], corpus_size=3, foil_size=20,
        num_pairs=2, seed=0,
    )  # fmt: skip


def monitor(given: ExplainSet, *, seed: int = 0) -> Monitor:
    return Monitor(given, attributions=METHODS, removal=Black(), curve_steps=2, seed=seed)


def redrawn(given: ExplainSet) -> ExplainSet:
    """Other foils and corpora: those that measure."""
    return replace(given, foil=given.measure_foil, corpora=given.measure_corpora)


def encoder(*, mirrored: bool = False, seed: int = 0) -> FrozenEncoder:
    return FrozenEncoder(Weighted(mirrored=mirrored, seed=seed))


def test_an_encoder_looked_at_twice_did_not_change(given: ExplainSet) -> None:
    before = monitor(given).look(encoder())
    look = monitor(given).look(encoder(), previous=before)
    for trace in monitor(given).traces:
        compared = compare(given, look, before, trace, decompose=True)
        assert not bool(compared.change.flagged.any()), trace
        assert float(compared.change.drift.abs().max()) < 1e-6
        assert float(compared.change.corrected.nan_to_num().abs().max()) < 1e-6  # not a number where noise outweighs the map
        assert bool(compared.unmoved.all())
        assert pooled_drift(compared.change) == pytest.approx(0, abs=1e-6)
        assert compared.encoder is not None
        assert compared.direction is not None
        assert float(compared.encoder.abs().max()) < 1e-5
        assert float(compared.direction.abs().max()) < 1e-5


def test_other_references_alone_are_the_directions_doing(given: ExplainSet) -> None:
    before = monitor(given).look(encoder())
    look = monitor(redrawn(given)).look(encoder(), previous=before)
    for trace in ("integrated_gradients", "rise", "rise-class", "smoothgrad-class"):
        compared = compare(given, look, before, trace, decompose=True)
        assert compared.encoder is not None
        assert compared.direction is not None
        assert float(compared.encoder.abs().max()) < 1e-5, trace
        assert torch.allclose(compared.direction, compared.change.drift[: given.num_images], atol=1e-5)
        assert float(compared.direction.max()) > 1e-4


def test_the_encoder_alone_changes_maps_at_the_same_directions(given: ExplainSet) -> None:
    """On mirrored pictures an encoder and its mirror image agree on every representation, but not on where it comes from."""

    def mirrored(images: Tensor) -> Tensor:
        return torch.maximum(images, images.flip(-1))

    parts: dict[str, Any] = {
        name: mirrored(getattr(given, name)) for name in ("foil", "measure_foil", "corpora", "measure_corpora", "explicands")
    }
    same = replace(given, **parts)
    before = monitor(same).look(encoder())
    look = monitor(same).look(encoder(mirrored=True), previous=before)
    for suffix, directions in look.directions.items():
        assert torch.allclose(directions, before.directions[suffix], atol=1e-5)
    for trace in ("integrated_gradients", "rise-class"):
        compared = compare(same, look, before, trace, decompose=True)
        assert compared.encoder is not None
        assert compared.direction is not None
        assert float(compared.direction.abs().max()) < 1e-3
        assert torch.allclose(compared.encoder, compared.change.drift[: given.num_images], atol=1e-3)
        assert float(compared.encoder.min()) > 0.05


def test_the_parts_are_read_off_the_maps_at_fixed_directions(given: ExplainSet) -> None:
    before = monitor(given).look(encoder())
    look = monitor(given).look(encoder(seed=1), previous=before)
    for trace in ("rise", "integrated_gradients-class"):
        compared, plain = compare(given, look, before, trace, decompose=True), slice(given.num_images)
        assert compared.encoder is not None
        assert compared.direction is not None
        assert torch.equal(compared.encoder, 1 - spearman(look.fixed[trace], before.attributions[trace][plain]))
        assert torch.equal(compared.direction, 1 - spearman(look.attributions[trace][plain], look.fixed[trace]))
        alone = compare(given, look, before, trace)
        assert alone.encoder is None
        assert alone.direction is None


def test_maps_at_fixed_directions_are_those_of_the_directions_before(given: ExplainSet) -> None:
    before = monitor(given).look(encoder())
    look = monitor(redrawn(given)).look(encoder(), previous=before)
    for trace in monitor(given).traces:
        assert torch.allclose(look.fixed[trace], before.attributions[trace][: given.num_images], atol=1e-6), trace


def test_rows_whose_score_hardly_moved_are_told_apart(given: ExplainSet) -> None:
    before = monitor(given).look(encoder())
    scores = before.scores[""]
    step = 0.1 * float(scores.abs().mean())
    moves = torch.linspace(-1.9, 1.9, len(scores)) * step
    look = replace(before, scores=before.scores | {"": scores + moves})
    assert torch.equal(compare(given, look, before, "rise").unmoved, moves.abs() <= step)
    assert bool(compare(given, look, before, "rise-class").unmoved.all())


def test_pooled_drift_is_a_ratio_of_means_and_views_are_no_cases_of_their_own(given: ExplainSet) -> None:
    before = monitor(given).look(encoder())
    made = compare(given, monitor(given).look(encoder(mirrored=True)), before, "rise").change
    covariance, signal = torch.tensor([0.2, 0.6, 5.0, torch.nan]), torch.tensor([0.5, 1.0, 0.0, torch.nan])
    known = replace(made, covariance=covariance, signal=signal)
    assert pooled_drift(known) == pytest.approx(1 - 0.8 / 1.5)  # a map of noise alone, or of NaN, has no say
    assert math.isnan(pooled_drift(replace(made, signal=torch.zeros_like(made.signal))))
    assert 0 < pooled_drift(made) <= 2
    values = torch.arange(9.0)
    values[4] = torch.nan
    assert by_explicand(given, values).tolist() == [3, 4, 5]


def test_noise_of_a_look_is_that_of_looks_with_other_masks(given: ExplainSet) -> None:
    looks = [monitor(given, seed=seed).look(encoder()) for seed in range(12)]
    for trace in ("rise", "smoothgrad"):
        maps = torch.stack([look.attributions[trace] for look in looks]).double().flatten(2)
        maps = maps - maps.mean(2, keepdim=True)
        true = maps.var(0).sum(1).mean()
        told = torch.stack([look.rows[f"monte_carlo/{trace}"].double() for look in looks]).mean()
        assert 0.6 < float(told / true) < 2.5
    assert float(looks[0].rows["monte_carlo/integrated_gradients"].abs().max()) == 0
    assert float(looks[0].rows["references/random"].abs().max()) == 0


@pytest.mark.parametrize("size", [2, 3, 7, 11], ids=["even", "odd", "some rows left over", "more processes than rows"])
def test_a_look_shared_by_processes_is_the_look_of_one(given: ExplainSet, size: int) -> None:
    before, encoders = monitor(given).look(encoder()), [encoder(seed=1) for _ in range(size)]

    def look(*args: Any, **options: Any) -> Look:
        return monitor(given).look(*args, previous=before, num_masks=24, **options)

    whole, (shared, *_) = look(encoder(seed=1)), in_team(size, lambda team: look(encoders[team.rank], team=team))
    assert isinstance(shared, Look), shared
    for part, one in whole.pack().items():
        two = getattr(shared, part)
        if part == "num_forwards":
            assert two >= one  # of rows that all explain together, every process scores the originals
        elif isinstance(one, dict):
            assert one.keys() == two.keys()
            for name, value in one.items():
                assert torch.allclose(torch.as_tensor(value), torch.as_tensor(two[name]), rtol=1e-3, atol=1e-6, equal_nan=True), (
                    part,
                    name,
                )
        else:
            assert one == two
    for trace in monitor(given).traces:
        assert torch.allclose(whole.reliability(trace), shared.reliability(trace), atol=1e-3)
        first, second = (compare(given, each, before, trace).change for each in (whole, shared))
        assert torch.allclose(first.corrected, second.corrected, atol=1e-3, equal_nan=True)


def test_a_look_packed_and_unpacked_is_the_same(given: ExplainSet) -> None:
    look = monitor(given).look(encoder())
    packed = look.pack()
    again = Look.unpack(packed)
    for name, value in packed.items():
        assert getattr(again, name) is value is getattr(look, name)
