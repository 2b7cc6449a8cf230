"""Alerts: each fires on a made-up curve, once, comes back after it was gone, and a healthy run hears none."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence

import pytest
import torch

from cocoa_pl.monitor.alerts import Alert, Alerts, has_collapsed

HEALTHY = {
    "explain/collapse_level": 0.4,
    "explain/effective_rank": 100.0,
    "explain/border_area": 0.23,
    "explain/region_area": 0.1,
    "explain/budget_share": 0.2,
    "explain/share_of_epoch": 0.22,
    "explain/rise/border_share": 0.15,
    "explain/rise/energy_on_region": 0.12,
    "explain/rise/drift_start_flagged": 0.95,
    "explain/rise/drift_start_corrected": 0.2,
    "explain/rise/reliability": 0.9,
    "explain/rise/absent_agreement": 0.4,
    "explain/rise/gap": 0.1,
    "explain/rise/gap_random": 0.01,
    "explain/rise/gap_over_random_low": 0.04,
}
CURVES: dict[str, tuple[str, float, float, float]] = {
    "collapse": ("explain/collapse_level", 0.97, 0.93, 0.5),
    "border": ("explain/rise/border_share", 0.4, 0.28, 0.15),
    "region": ("explain/rise/energy_on_region", 0.3, 0.18, 0.1),
    "untrained": ("explain/rise/drift_start_flagged", 0.2, 0.55, 0.9),
}
"""Of rules that one look sets off: the scalar, a bad value, one between the thresholds, a good one."""
IN_A_ROW = {
    "budget": ("explain/share_of_epoch", 0.31, 0.3),
    "chance": ("explain/rise/gap_over_random_low", -0.01, 0.01),
    "noisy": ("explain/rise/reliability", 0.3, 0.9),
    "prompt": ("explain/rise/absent_agreement", 0.9, 0.3),
}


def heard(alerts: Alerts, looks: Sequence[Mapping[str, float]], *, since: int = 0) -> list[Alert]:
    return [alert for epoch, change in enumerate(looks, start=since) for alert in alerts.check(epoch, HEALTHY | change)]


def resumed(alerts: Alerts) -> Alerts:
    file = io.BytesIO()
    torch.save(alerts.state_dict(), file)
    file.seek(0)
    new = Alerts()
    new.load_state_dict(torch.load(file, weights_only=True))
    return new


@pytest.mark.parametrize("kind", CURVES)
def test_fires_once_and_again_only_after_it_was_gone(kind: str) -> None:
    tag, bad, between, good = CURVES[kind]
    curve = [good, good, good, between, bad, bad, between, bad, good, between, bad]
    found = heard(Alerts(), [{tag: value} for value in curve])
    assert [(alert.kind, alert.epoch) for alert in found] == [(kind, 4), (kind, 10)]
    assert all(alert.trace == ("rise" if "/rise/" in tag else "") for alert in found)


@pytest.mark.parametrize("kind", IN_A_ROW)
def test_some_must_hold_in_three_looks_in_a_row(kind: str) -> None:
    tag, bad, good = IN_A_ROW[kind]
    curve = [good, good, good, bad, bad, good, bad, bad, bad, bad, good, bad, bad, bad]
    found = heard(Alerts(), [{tag: value} for value in curve])
    assert [(alert.kind, alert.epoch) for alert in found] == [(kind, 8), (kind, 13)]


@pytest.mark.parametrize("kind", [*CURVES, *IN_A_ROW])
def test_a_resumed_run_goes_on_where_it_was(kind: str) -> None:
    tag, bad, *_ = (CURVES | IN_A_ROW)[kind]
    looks = [{}, {}, {}, *[{tag: bad}] * 6]
    whole, epochs = heard(Alerts(), looks), []
    for cut in range(1, len(looks)):
        alerts = Alerts()
        epochs.append(heard(alerts, looks[:cut]) + heard(resumed(alerts), looks[cut:], since=cut))
    assert len(whole) == 1
    assert all(found == whole for found in epochs)


@pytest.mark.parametrize("kind", [*CURVES, *IN_A_ROW])
def test_says_what_was_seen_and_what_to_do(kind: str) -> None:
    tag, bad, *_ = (CURVES | IN_A_ROW)[kind]
    (alert,) = heard(Alerts(), [{}, {}, {}, *[{tag: bad}] * 3])
    assert any(number in alert.text for number in (f"{bad:.2f}", f"{bad:.3f}", f"{bad:.0%}"))
    assert ": " in alert.text
    assert alert.text.endswith(".")
    assert "nan" not in alert.text
    assert len(alert.text) < 400


def test_either_sign_of_collapse_is_enough() -> None:
    alerts = Alerts()
    assert not heard(alerts, [{"explain/collapse_level": 0.99, "explain/effective_rank": 1.0}])  # untrained
    assert [alert.kind for alert in alerts.check(1, {"explain/effective_rank": 1.4})] == ["collapse"]
    assert not alerts.check(2, {"explain/effective_rank": math.nan, "explain/collapse_level": math.nan})
    assert has_collapsed(0.2, 1.4)
    assert has_collapsed(0.97, 100)
    assert not has_collapsed(0.4, 100)


def test_a_border_or_region_as_strong_as_in_the_untrained_encoder_is_not_news() -> None:
    stays = {"explain/rise/border_share": 0.4, "explain/rise/energy_on_region": 0.3}
    assert not heard(Alerts(), [stays] * 8)


def test_most_of_a_map_on_the_region_is_news_even_when_it_was_so_at_first() -> None:
    found = heard(Alerts(), [{"explain/rise/energy_on_region": 0.6}] * 3)
    assert [(alert.kind, alert.epoch) for alert in found] == [("region", 1)]
    assert not heard(Alerts(), [{"explain/rise/energy_on_region": 0.6, "explain/region_area": 0.5}] * 3)  # a large region, by chance


def test_the_advice_about_noise_names_what_is_drawn() -> None:
    traces = ("rise", "rise-class", "rise-text", "ig", "ig-class", "ig-text")
    values, alerts = {f"explain/{trace}/reliability": 0.3 for trace in traces}, Alerts()
    said = {alert.trace: alert.text for epoch in (1, 2, 3) for alert in alerts.check(epoch, values)}
    assert {trace for trace in traces if "explain.num_masks" in said[trace]} == {"rise", "rise-class", "rise-text"}
    assert {trace for trace in traces if "explain.corpus_size" in said[trace]} == {"rise-class", "ig-class"}
    assert {trace for trace in traces if "explain.foil_size" in said[trace]} == {"ig", "ig-class"}
    assert "raise the number of phrases in the data's vocabulary (about " in said["ig-text"]


def test_traces_are_told_apart_and_controls_left_out() -> None:
    tags = ("rise", "rise-class", "smooth_random", "random-class")
    values, alerts = {f"explain/{trace}/reliability": 0.1 for trace in tags}, Alerts()
    assert [alert.trace for epoch in (1, 2, 3) for alert in alerts.check(epoch, values)] == ["rise", "rise-class"]


@pytest.mark.parametrize("tag", sorted(HEALTHY))
@pytest.mark.parametrize("value", [math.nan, None])
def test_missing_and_nan_neither_alert_nor_crash(tag: str, value: float | None) -> None:
    looks = [{name: number for name, number in (HEALTHY | {tag: value}).items() if number is not None} for _ in range(8)]
    alerts = Alerts()
    assert [found for epoch, look in enumerate(looks) for found in alerts.check(epoch, look)] == []


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 0.0, 1.0])
def test_no_value_crashes(value: float) -> None:
    alerts, bad = Alerts(), dict.fromkeys(HEALTHY, value)
    found = [alert for epoch in range(8) for alert in alerts.check(epoch, bad)]
    assert not found or not math.isnan(value)
    resumed(alerts)


def test_a_nan_look_between_neither_repeats_an_alert_nor_breaks_a_row() -> None:
    tag = "explain/rise/border_share"
    assert len(heard(Alerts(), [{}, {tag: 0.4}, {tag: math.nan}, {tag: 0.4}])) == 1
    tag = "explain/share_of_epoch"
    assert [alert.epoch for alert in heard(Alerts(), [{}, {tag: 0.5}, {tag: 0.5}, {tag: math.nan}, {tag: 0.5}])] == [4]


@pytest.mark.parametrize("seed", range(50))
def test_random_healthy_runs_hear_nothing(seed: int) -> None:
    draw = torch.Generator().manual_seed(seed)

    def between(low: float, high: float) -> float:
        return low + (high - low) * float(torch.rand((), generator=draw))

    area, region = between(0.1, 0.5), between(0.02, 0.3)
    share, energy = area * between(0.4, 1.0), region * between(0.7, 1.5)
    alerts, found = Alerts(), []
    for epoch in range(20):
        progress = min(1.0, epoch / 5)
        look = {
            "explain/collapse_level": between(0.3, 0.75) if epoch else between(0.6, 0.97),
            "explain/effective_rank": between(6, 150),
            "explain/border_area": area,
            "explain/region_area": region,
            "explain/budget_share": 0.2,
            "explain/share_of_epoch": between(0.05, 0.4) if epoch % 3 else 0.1,
        }
        for trace in ("rise", "integrated_gradients-class"):
            look |= {
                f"explain/{trace}/border_share": share * between(0.9, 1.1),
                f"explain/{trace}/energy_on_region": energy * between(0.8, 1.2),
                f"explain/{trace}/drift_start_flagged": between(0.6, 1.0) * progress if epoch < 2 else between(0.6, 1.0),
                f"explain/{trace}/reliability": between(0.6, 1.0),
                f"explain/{trace}/gap": 0.1 * progress,
                f"explain/{trace}/gap_over_random_low": 0.05 * progress - (between(0, 0.06) if epoch < 5 else 0.0),
            }
        found += alerts.check(epoch, look)
    assert found == []
