"""Whole runs with other loggers, early stopping, a reference, a region and a budget: each option does what it says."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from cocoa_pl import runs
from cocoa_pl.cli import Request
from cocoa_pl.config import Config
from cocoa_pl.errors import ConfigError

Logged = Callable[[Path], dict[tuple[int, str], float]]
FEW = ("explain.attributions=[rise]", "explain.views=[original,flip]", "explain.num_pairs=0")


def test_csv_alone_writes_numbers_and_pictures_and_no_events(tmp_path: Path, smoke_config: Callable[..., Config], logged: Logged) -> None:
    runs.train(smoke_config(tmp_path, "run.logger=csv", *FEW))
    folder = tmp_path / "smoke"
    assert (2, "explain/rise/gap") in logged(folder)
    assert (folder / "heatmaps" / "film-0.png").is_file()
    assert not (folder / "tensorboard").exists()


def test_none_logs_nothing_yet_explains_warns_and_saves(
    tmp_path: Path, smoke_config: Callable[..., Config], capsys: pytest.CaptureFixture[str]
) -> None:
    trainer = runs.train(smoke_config(tmp_path, "run.logger=none", "checkpoint.monitor=explain/rise/gap", *FEW))
    folder = tmp_path / "smoke"
    assert {path.name for path in folder.iterdir() if not path.name.startswith("best-")} == {"config.yaml", "last.ckpt"}
    assert any(path.name.startswith("best-") for path in folder.iterdir())
    assert "explain/rise/gap" in trainer.callback_metrics
    said = capsys.readouterr().out
    assert "| trace" in said
    assert "tensorboard --logdir" not in said


@pytest.mark.slow
def test_weights_and_biases_offline(tmp_path: Path, smoke_config: Callable[..., Config], monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    runs.train(smoke_config(tmp_path, "run.logger=wandb", *FEW))
    files = [path.name for path in (tmp_path / "smoke" / "wandb").rglob("*")]
    assert any("sheet" in name and name.endswith(".png") for name in files)
    assert any(name.endswith(".wandb") for name in files)


@pytest.mark.parametrize(("every", "last"), [(1, 2), (2, 4)])
def test_training_stops_when_an_explanation_metric_does_not_improve(
    tmp_path: Path, smoke_config: Callable[..., Config], every: int, last: int
) -> None:
    stop = ["trainer.stop_monitor=explain/border_area", "trainer.stop_patience=1", "trainer.epochs=9"]  # a constant never improves
    trainer = runs.train(smoke_config(tmp_path, f"explain.every_n_epochs={every}", *stop, *FEW))
    assert trainer.current_epoch == last


def test_a_metric_that_there_is_not_is_named_with_its_neighbours(tmp_path: Path, smoke_config: Callable[..., Config]) -> None:
    with pytest.raises(
        ConfigError, match=r"trainer.stop_monitor=explain/rise/gapp: no such metric; the nearest of \d+: .*explain/rise/gap"
    ):
        runs.train(smoke_config(tmp_path, "trainer.stop_monitor=explain/rise/gapp"))


def test_the_best_checkpoint_may_come_from_the_last_look(tmp_path: Path, smoke_config: Callable[..., Config]) -> None:
    runs.train(smoke_config(tmp_path, "explain.every_n_epochs=5", "checkpoint.monitor=explain/rise/score/original", *FEW))
    assert [path.name for path in (tmp_path / "smoke").glob("best-*")] == ["best-epoch=001.ckpt"]


def test_law_2_holds_with_a_reference_a_region_and_a_budget(
    tmp_path: Path, smoke_run: Path, smoke_config: Callable[..., Config], logged: Logged
) -> None:
    """The budget of a run of seconds allows the fewest masks, 16 of 32; explain.py takes as many."""
    options = [f"explain.reference={smoke_run}", 'explain.region="0,0,0.5,0.5"', "explain.budget_share=0.01", "explain.num_masks=32"]
    runs.train(smoke_config(tmp_path, *options))
    folder = tmp_path / "smoke"
    values = logged(folder)
    assert values[0, "explain/num_masks"] == 32
    assert values[2, "explain/num_masks"] == 16
    assert values[2, "explain/region_area"] == pytest.approx(0.25, abs=0.15)
    assert 0 < values[2, "explain/rise/drift_reference"] < 2
    findings = runs.explain(Request((folder / "last.ckpt",), out=tmp_path / "report"))
    assert findings is not None
    assert {"drift.csv", "report.html"} <= {path.name for path in (tmp_path / "report").iterdir()}
    during = {tag: value for (epoch, tag), value in values.items() if epoch == 2 and tag.startswith("explain/")}
    of_time = {"explain/seconds", "explain/share_of_epoch", "explain/budget_share"}
    assert findings.frames[0].scalars == {tag: value for tag, value in during.items() if tag not in of_time}


def test_the_reference_itself_has_not_drifted_from_itself(tmp_path: Path, smoke_run: Path) -> None:
    looked = runs.look(Request((smoke_run / "last.ckpt",), overrides=(f"explain.reference={smoke_run / 'last.ckpt'}",)))
    for compared in looked.readings[0].compared["reference"].values():
        assert torch.equal(compared.change.drift, torch.zeros_like(compared.change.drift))
        assert not compared.change.flagged.any()


def test_what_cannot_be_a_reference_or_a_region_is_refused_before_training(tmp_path: Path, smoke_config: Callable[..., Config]) -> None:
    for wrong, message in (("explain.reference=nowhere.ckpt", "no such checkpoint"), ('explain.region="0,0,2,2"', "region")):
        with pytest.raises(Exception, match=message) as raised:
            runs.train(smoke_config(tmp_path, wrong))
        assert type(raised.value).__module__ == "cocoa_pl.errors"
