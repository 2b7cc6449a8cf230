"""The summary of a run: definitions by hand, state that survives a checkpoint, and text that fits a terminal."""

from __future__ import annotations

import io
import math

import pytest
import torch

from cocoa_pl.errors import DataError
from cocoa_pl.monitor.alerts import Alert
from cocoa_pl.monitor.summary import RunHistory, first_better, settled_epoch, summarise

NAN = math.nan
VIEWS, NAMES = ["original", "flip", "crop", "rotate90"], ["val 3", "val 17", "val 40"]


def made_up(num_looks: int = 6, *, traces: tuple[str, ...] = ("rise", "integrated_gradients-class")) -> RunHistory:
    history = RunHistory()
    for epoch in range(num_looks):
        scalars = {"explain/collapse_level": 0.4, "explain/rise/score/original": 1.0}
        for number, trace in enumerate(traces):
            gap = 0.03 * epoch - 0.02 * number
            values = {
                "gap": gap,
                "gap_low": gap - 0.02,
                "gap_high": gap + 0.02,
                "gap_over_random_low": gap - 0.05,
                "reliability": 0.8 + number / 10,
            }
            values |= {"drift_previous_corrected": 0.8 / 3**epoch + 0.05 * number} if epoch else {}
            scalars |= {f"explain/{trace}/{name}": value for name, value in values.items()}
            if epoch:
                history.add_rows(trace, torch.arange(12.0).view(4, 3) / 20)
        history.add(epoch, scalars)
    return history


def cells(text: str, trace: str) -> list[str]:
    (line,) = [line for line in text.splitlines() if line.startswith(f"| {trace} ")]
    return [cell.strip() for cell in line.strip("|").split("|")]


@pytest.mark.parametrize(
    ("corrected", "wanted"),
    [
        ([NAN, 0.9, 0.05, 0.01], 2),
        ([NAN, 0.01, 0.2, 0.01], 3),
        ([NAN, 0.01, NAN, 0.02], 1),
        ([NAN, -0.02, 0.0, 0.0], 1),  # noise taken out may leave less than nothing
        ([NAN, 0.9, 0.8, 0.06], None),
        ([NAN, NAN, NAN, NAN], None),
    ],
)
def test_settled_is_the_first_look_of_the_last_quiet_stretch(corrected: list[float], wanted: int | None) -> None:
    assert settled_epoch([0, 1, 2, 3], corrected) == wanted


@pytest.mark.parametrize(
    ("low", "wanted"),
    [([-1, 0.1, 0.1, 0.1], 5), ([0.1, 0.1, -0.1, 0.1], 15), ([0.1, 0.1, NAN, 0.1], 0), ([0.1, 0.1, 0.1, 0.0], None), ([NAN] * 4, None)],
)
def test_better_has_to_last(low: list[float], wanted: int | None) -> None:
    assert first_better([0, 5, 10, 15], low) == wanted


def test_the_table_says_what_the_definitions_say() -> None:
    history = made_up()
    history.add_alerts(
        [Alert("noisy", "rise", 2, "rise: reliability is 0.40."), Alert("budget", "", 4, "Explaining takes 40% of an epoch.")]
    )
    text = summarise(history, traces=["rise", "integrated_gradients-class"], views=VIEWS, names=NAMES)
    assert cells(text, "rise") == ["rise", "3", "2", "0.150 [0.130, 0.170]", "0.80", "1"]
    assert cells(text, "integrated_gradients-class")[1:] == ["not yet", "3", "0.130 [0.110, 0.150]", "0.90", "0"]
    assert "Views that drifted most beyond their noise, mean over looks: rotate90 0.50, crop 0.35, flip 0.20." in text.replace("\n", " ")
    assert " Explicands that drifted most beyond their noise, mean over looks: val 40 0.32, val 17 0.28, val 3 0.22." in text.replace(
        "\n", " "
    )
    assert "- Epoch 2, noisy. rise: reliability is 0.40." in text
    assert "- Epoch 4, budget. Explaining takes 40% of an epoch." in text


def test_too_few_looks_and_unknown_values_are_a_dash() -> None:
    text = summarise(made_up(2), traces=["rise", "unheard_of"], views=VIEWS, names=NAMES)
    assert cells(text, "rise")[1] == "-"
    assert cells(text, "unheard_of") == ["unheard_of", "-", "-", "-", "-", "0"]
    assert "drifted most" not in summarise(RunHistory(), traces=["rise"], views=VIEWS, names=NAMES)


def test_columns_align_and_lines_fit_a_terminal() -> None:
    traces = ("rise", "layer_integrated_gradients-class")
    history = made_up(30, traces=traces)
    history.add_alerts([Alert("border", "rise", 3, "words " * 60)])
    lines = summarise(history, traces=traces, views=VIEWS, names=[f"a rather long name {i}" for i in range(3)]).splitlines()
    table = [line for line in lines if line.startswith("|")]
    assert len(table) == 4
    assert len({len(line) for line in table}) == 1
    assert max(map(len, lines)) <= 100


def test_a_trace_that_appears_later_is_unknown_before() -> None:
    history = RunHistory()
    history.add(0, {"explain/rise/gap": 0.1})
    history.add(1, {"explain/rise/gap": 0.2, "explain/occlusion/gap": 0.3})
    history.add(2, {"explain/rise/gap": 0.4})
    assert history.values["rise"]["gap"] == [0.1, 0.2, 0.4]
    assert math.isnan(history.values["occlusion"]["gap"][0])
    assert math.isnan(history.values["occlusion"]["gap"][2])


def test_rows_are_means_over_looks_then_traces_without_nan() -> None:
    history = RunHistory()
    history.add_rows("rise", torch.tensor([[0.2, NAN], [0.4, 0.6]]))
    history.add_rows("rise", torch.tensor([[0.4, 0.8], [0.0, 0.2]]))
    history.add_rows("occlusion", torch.tensor([[1.0, NAN], [1.0, NAN]]))
    views, explicands = history.mean_drift(["rise", "occlusion"], "view"), history.mean_drift(["rise", "occlusion"], "explicand")
    assert views.tolist() == pytest.approx([(1.4 / 3 + 1) / 2, (0.3 + 1) / 2])
    assert explicands.tolist() == pytest.approx([(0.25 + 1) / 2, 1.6 / 3])


def test_rows_of_another_shape_are_refused() -> None:
    history = RunHistory()
    with pytest.raises(DataError, match=r"drift \(3,\): must be \(V, E\)"):
        history.add_rows("rise", torch.zeros(3))
    history.add_rows("rise", torch.zeros(2, 3))
    with pytest.raises(DataError, match="another number of views or explicands"):
        history.add_rows("rise", torch.zeros(2, 4))


def test_a_resumed_run_ends_with_the_same_summary() -> None:
    history, file, resumed = made_up(), io.BytesIO(), RunHistory()
    history.add_alerts([Alert("noisy", "rise", 2, "rise: reliability is 0.40.")])
    torch.save(history.state_dict(), file)
    file.seek(0)
    resumed.load_state_dict(torch.load(file, weights_only=True))
    for each in (history, resumed):
        each.add(6, {"explain/rise/gap": 0.5, "explain/rise/drift_previous_corrected": 0.9})
        each.add_rows("rise", torch.rand(4, 3, generator=torch.Generator().manual_seed(0)))
    wanted = summarise(history, traces=["rise"], views=VIEWS, names=NAMES)
    assert summarise(resumed, traces=["rise"], views=VIEWS, names=NAMES) == wanted
