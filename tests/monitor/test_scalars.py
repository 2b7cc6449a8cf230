"""The numbers of a look: which there are, and that each is what its name says."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from cocoa_pl.attributions import IntegratedGradients, Rise
from cocoa_pl.data.explain_set import ExplainSet, draw_explain_set
from cocoa_pl.data.source import MemorySource
from cocoa_pl.data.splits import scenes_splits
from cocoa_pl.encoding import FrozenEncoder
from cocoa_pl.metrics.intervals import t_interval
from cocoa_pl.monitor import Look, Monitor, Reading, read
from cocoa_pl.monitor.compare import by_explicand, pooled_drift
from cocoa_pl.removal import Black
from cocoa_pl.types import Attribution

NUM, VIEWS = 4, ("original", "flip")


def encoder(seed: int) -> FrozenEncoder:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return FrozenEncoder(nn.Sequential(nn.Conv2d(3, 8, 5, stride=2), nn.ReLU(), nn.Conv2d(8, 6, 3), nn.Tanh()), pool=True)


def explain_set(*, labelled: bool, views: tuple[str, ...] = VIEWS) -> ExplainSet:
    splits = scenes_splits(num_train=250, num_val=20)
    train, val = (
        (splits.train, splits.val) if labelled else (MemorySource(each.load(range(len(each)))) for each in (splits.train, splits.val))
    )
    return draw_explain_set(
        train, val, num_explicands=NUM, views=views, seen=["original"], corpus_size=3, foil_size=20, num_pairs=2 if labelled else 0, seed=0
    )  # fmt: skip


def look(given: ExplainSet, seed: int, *, previous: Look | None = None, num_masks: int | None = None) -> Look:
    methods: dict[str, Attribution] = {"ig": IntegratedGradients(num_steps=3), "rise": Rise(num_masks=32, grid_size=2)}
    monitor = Monitor(given, attributions=methods, removal=Black(), curve_steps=2)
    return monitor.look(encoder(seed), previous=previous, num_masks=num_masks)


@pytest.fixture(scope="module")
def given() -> ExplainSet:
    return explain_set(labelled=True)


@pytest.fixture(scope="module")
def reading(given: ExplainSet) -> Reading:
    before = look(given, 0)
    return read(given, look(given, 1, previous=before), previous=before, start=look(given, 2))


def test_numbers_are_numbers_under_one_roof(reading: Reading) -> None:
    assert all(name.startswith("explain/") and not math.isnan(value) for name, value in reading.scalars.items())
    for trace in ("ig", "rise", "ig-class", "rise-class"):
        for metric in ("score/original", "insertion_auc", "deletion_auc", "gap", "gap_low", "gap_random", "reliability", "noise_floor"):
            assert f"explain/{trace}/{metric}" in reading.scalars
        for other in ("previous", "start"):
            for part in ("", "_low", "_high", "_corrected", "_flagged"):
                assert f"explain/{trace}/drift_{other}{part}" in reading.scalars
    assert "explain/ig/view_agreement/flip" in reading.scalars
    assert "explain/ig-class/view_agreement/flip" not in reading.scalars
    assert "explain/rise/two_object_accuracy" in reading.scalars
    assert "explain/num_masks" not in reading.scalars  # nothing was cut short


def test_drift_is_a_mean_over_explicands_beside_what_is_left_without_noise(given: ExplainSet, reading: Reading) -> None:
    for name, of_traces in reading.compared.items():
        for trace, compared in of_traces.items():
            values = {
                part: reading.scalars.get(f"explain/{trace}/drift_{name}{part}") for part in ("", "_low", "_high", "_corrected", "_flagged")
            }
            interval = t_interval(by_explicand(given, compared.change.drift))
            assert values[""] == pytest.approx(interval.mean)
            assert values["_low"] == pytest.approx(interval.low)
            assert values["_high"] == pytest.approx(interval.high)
            assert values["_corrected"] == pytest.approx(pooled_drift(compared.change))
            assert values["_flagged"] == pytest.approx(float(compared.change.flagged.float().mean()))
            assert interval.num == NUM  # not one for each view


def test_the_parts_of_drift_are_told_of_the_look_before_alone(reading: Reading) -> None:
    for trace in ("ig", "rise-class"):
        compared = reading.compared["previous"][trace]
        assert compared.encoder is not None
        assert compared.direction is not None
        assert reading.scalars[f"explain/{trace}/drift_encoder"] == pytest.approx(float(compared.encoder.mean()))
        assert reading.scalars[f"explain/{trace}/drift_direction"] == pytest.approx(float(compared.direction.mean()))
        assert reading.compared["start"][trace].encoder is None


def test_gated_drift_is_that_of_rows_whose_score_stayed(given: ExplainSet, reading: Reading) -> None:
    before, step = reading.look, 0.05 * reading.look.scores[""].abs().mean()
    moves = torch.where(torch.arange(len(before.scores[""])) < 3, step, 9 * step)
    seen = replace(look(given, 0), scores={"": before.scores[""] + moves, "-class": before.scores["-class"] + 100})
    again = read(given, seen, previous=before)
    drift = again.compared["previous"]["rise"].change.drift
    assert again.scalars["explain/rise/drift_gated"] == pytest.approx(float(drift[:3].mean()))
    assert "explain/rise-class/drift_gated" not in again.scalars  # none stayed


def test_a_look_read_against_itself_has_not_drifted(given: ExplainSet) -> None:
    first = look(given, 0)
    scalars = read(given, look(given, 0, previous=first), previous=first, reference=first).scalars
    for trace in ("ig", "rise-class"):
        for part in ("previous", "previous_corrected", "previous_flagged", "reference", "gated", "encoder", "direction"):
            assert scalars[f"explain/{trace}/drift_{part}"] == pytest.approx(0, abs=1e-5), part


def test_reliability_and_noise_add_up(reading: Reading) -> None:
    for trace in reading.look.attributions:
        reliability = reading.scalars[f"explain/{trace}/reliability"]
        assert reliability == pytest.approx(float(reading.look.reliability(trace).mean()))
        assert reliability + reading.scalars[f"explain/{trace}/noise_floor"] == pytest.approx(1)
        assert 0 <= reliability <= 1


def test_more_masks_are_more_reliable(given: ExplainSet) -> None:
    few, many = (read(given, look(given, 1, num_masks=num)).scalars for num in (8, 32))
    assert few["explain/rise/reliability"] < many["explain/rise/reliability"]
    assert few["explain/num_masks"] == 8


def test_without_labels_views_and_others_there_is_less_to_say() -> None:
    given = explain_set(labelled=False, views=("original",))
    scalars = read(given, look(given, 0)).scalars
    assert scalars
    assert not [name for name in scalars if "-class" in name or "drift" in name or "view_agreement" in name or "two_object" in name]


def test_the_table_has_a_row_for_every_map_and_other_look(given: ExplainSet, reading: Reading) -> None:
    rows = list(reading.table(epoch=7))
    assert len(rows) == 2 * 4 * NUM * len(VIEWS)
    one = next(row for row in rows if (row["against"], row["trace"], row["view"]) == ("previous", "ig", "flip"))
    made = reading.compared["previous"]["ig"].change
    assert one["explicand"] == given.names[0]
    assert one["epoch"] == 7
    assert (one["drift"], one["corrected"], one["low"], one["high"]) == tuple(
        float(each[NUM]) for each in (made.drift, made.corrected, made.low, made.high)
    )
    assert one["exceeds_noise"] == bool(made.flagged[NUM])


def test_a_map_is_called_flat_noisy_or_moved(given: ExplainSet, reading: Reading) -> None:
    seen, num = reading.look, NUM * len(VIEWS)
    maps = seen.attributions["ig"].clone()
    maps[0] = 0
    noise: Tensor = seen.rows["references/ig"].clone()
    noise[1] = 1e6
    altered = replace(seen, attributions=seen.attributions | {"ig": maps}, rows=seen.rows | {"references/ig": noise})
    flags = read(given, altered, previous=look(given, 0)).flags("ig")
    assert len(flags) == num
    assert flags[:2] == ["flat", "noisy"]
    assert set(flags) <= {"flat", "noisy", "moved", ""}
    assert read(given, seen).flags("ig").count("moved") == 0
