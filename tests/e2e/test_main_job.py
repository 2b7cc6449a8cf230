"""The main job on a run of seconds: what is promised to be in the folder is there and says what it should."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from cocoa_pl import load_encoder, runs
from cocoa_pl.build import resolve_precision
from cocoa_pl.cli import Request
from cocoa_pl.config import Config, load_config, read_yaml, to_dict
from cocoa_pl.errors import CheckpointError, ConfigError, OutputError
from cocoa_pl.registry import ATTRIBUTIONS, CONTROLS, REMOVALS

ROOT = Path(__file__).parents[2]
TRACES = ("integrated_gradients", "rise", "integrated_gradients-class", "rise-class")
Logged = Callable[[Path], dict[tuple[int, str], float]]


def test_the_folder_of_a_run(smoke_run: Path, smoke_config: Callable[..., Config]) -> None:
    names = {path.name for path in smoke_run.iterdir()}
    assert {"config.yaml", "last.ckpt", "tensorboard", "metrics.csv", "heatmaps"} <= names
    assert any(name.startswith("best-") for name in names)
    stored = load_config(read_yaml(smoke_run / "config.yaml"))
    expected = smoke_config(smoke_run.parent)
    resolve_precision(expected)  # what auto meant on this machine is written down
    assert to_dict(stored) == to_dict(expected)


def test_every_epoch_is_explained_the_untrained_one_too(smoke_run: Path, logged: Logged) -> None:
    values = logged(smoke_run)
    for epoch in range(3):
        for trace in TRACES:
            for metric in ("insertion_auc", "deletion_auc", "gap", "pointing_game", "energy_inside", "mask_auroc"):
                assert (epoch, f"explain/{trace}/{metric}") in values
            for view in ("original", "flip", "crop", "rotate90"):
                assert (epoch, f"explain/{trace}/score/{view}") in values
            assert ((epoch, f"explain/{trace}/drift_previous") in values) == (epoch > 0)
            assert ((epoch, f"explain/{trace}/drift_start") in values) == (epoch > 0)
        for method in ("integrated_gradients", "rise"):
            assert (epoch, f"explain/{method}/two_object_accuracy") in values
        assert values[epoch, "explain/num_forwards"] > 0
    for name in ("knn", "linear_probe", "raw_pixel_knn", "alignment", "uniformity", "collapse_level", "effective_rank"):
        assert (2, f"val/{name}") in values
    assert 0 < values[2, "explain/share_of_epoch"] < 1
    assert values[1, "explain/rise/drift_previous"] == pytest.approx(values[1, "explain/rise/drift_start"])


def test_tensorboard_holds_the_same_numbers_and_the_pictures(smoke_run: Path, logged: Logged) -> None:
    events = EventAccumulator(str(smoke_run / "tensorboard"), size_guidance={"images": 0, "scalars": 0})
    events.Reload()
    values = logged(smoke_run)
    for tag in ("explain/rise/gap", "explain/integrated_gradients-class/score/flip", "val/knn"):
        for event in events.Scalars(tag):
            assert event.value == pytest.approx(values[event.step, tag], rel=1e-6)
    for trace in TRACES:
        assert [image.step for image in events.Images(f"explain/{trace}/sheet")] == [0, 1, 2]
    assert [image.step for image in events.Images("explain/film/0")] == [1, 2]  # one column is no film
    assert events.Images("explain/rise/sheet")[0].width >= 300


def test_raw_maps_are_kept_as_floats(smoke_run: Path) -> None:
    with np.load(smoke_run / "heatmaps" / "epoch-0002.npz") as arrays:
        for trace in TRACES:
            assert arrays[trace].shape == (8, 32, 32)
            assert arrays[trace].dtype == np.float32
            assert np.isfinite(arrays[trace]).all()
            assert arrays[f"score/{trace}"].shape == (8,)
    with Image.open(smoke_run / "heatmaps" / "epoch-0002-rise-sheet.png") as sheet:
        assert sheet.width >= 300


def test_a_checkpoint_holds_weights_and_plain_values_only(smoke_run: Path) -> None:
    checkpoint = torch.load(smoke_run / "last.ckpt", weights_only=True)
    assert checkpoint["cocoa_pl"]["config"]["model"]["width"] == 8


def test_explain_writes_a_report(smoke_run: Path, tmp_path: Path) -> None:
    findings = runs.explain(Request((smoke_run / "last.ckpt",), out=tmp_path / "report"))
    assert findings is not None
    report = json.loads((tmp_path / "report" / "report.json").read_text())
    assert report["schema"] == 2
    assert len(report["pictures"]) == 2
    assert "explain/rise/gap" in report["scalars"]
    assert {trace["key"] for trace in report["traces"]} == set(TRACES)
    assert len(list((tmp_path / "report" / "heatmaps").iterdir())) == 2
    assert len(list((tmp_path / "report" / "masks").iterdir())) == 2 * len(TRACES) * len(report["views"])
    with np.load(tmp_path / "report" / "attributions.npz") as arrays, np.load(smoke_run / "heatmaps" / "epoch-0002.npz") as during:
        num_views = len(report["views"])
        np.testing.assert_array_equal(arrays["rise"], during["rise"].reshape(num_views, 2, 32, 32).swapaxes(0, 1))
    page = (tmp_path / "report" / "report.html").read_text()
    assert page.count("data:image/") >= 2 * len(TRACES)
    assert not re.search(r"(src|href)=.https?:", page)


def test_a_report_never_replaces_what_is_of_no_report(smoke_run: Path, tmp_path: Path) -> None:
    """A run's folder has a metrics.csv and heatmaps/ of its own."""
    before = {path: path.stat().st_mtime_ns for path in smoke_run.rglob("*")}
    for inputs in ((), ("val:0",)):
        with pytest.raises(OutputError, match=r"holds metrics\.csv, which is of no report"):
            runs.explain(Request((smoke_run / "last.ckpt",), inputs=inputs, out=smoke_run))
    assert {path: path.stat().st_mtime_ns for path in smoke_run.rglob("*")} == before


def test_checkpoints_can_monitor_explanations(tmp_path: Path, smoke_config: Callable[..., Config], logged: Logged) -> None:
    runs.train(smoke_config(tmp_path, "checkpoint.monitor=explain/rise/gap"))
    gaps = {epoch: logged(tmp_path / "smoke")[epoch + 1, "explain/rise/gap"] for epoch in range(2)}
    best = max(gaps, key=lambda epoch: gaps[epoch])
    assert (tmp_path / "smoke" / f"best-epoch={best:03d}.ckpt").is_file()


def test_an_unlabelled_folder_trains_and_is_explained(tmp_path: Path, smoke_config: Callable[..., Config], logged: Logged) -> None:
    """No labels: no class, no kNN, yet scores, gaps and drift; views by Lightly in the loader."""
    rng = np.random.default_rng(0)
    (tmp_path / "pictures").mkdir()
    for i in range(24):
        Image.fromarray(rng.integers(0, 255, (20 + i, 30, 3), dtype=np.uint8)).save(tmp_path / "pictures" / f"{i}.png")
    config = smoke_config(
        tmp_path, "data.name=image_folder", f"data.root={tmp_path / 'pictures'}", "data.image_size=16", "data.num_train=null",
        "data.num_val=null", "data.val_fraction=0.2", "data.batch_size=8", "explain.foil_size=5", "trainer.epochs=1",
    )  # fmt: skip
    runs.train(config)
    values = logged(tmp_path / "smoke")
    assert (1, "explain/rise/gap") in values
    assert (1, "val/effective_rank") in values
    assert not any("knn" in name or "class" in name or "two_object" in name for _, name in values)


def test_the_script_trains_and_says_what_to_do_next(tmp_path: Path, smoke_config: Callable[..., Config]) -> None:
    overrides = ["trainer.epochs=1", f"run.root={tmp_path}", "explain.attributions=[rise]", "data.num_train=400"]
    command = [sys.executable, str(ROOT / "train.py"), "--config", str(ROOT / "configs/smoke.yaml"), *overrides]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "tensorboard --logdir" in done.stdout
    assert "--samples_per_plugin images=" in done.stdout
    assert f"python explain.py --ckpt {tmp_path / 'smoke'}" in done.stdout
    assert "arning" not in done.stderr


def test_every_method_can_be_asked_for_by_the_config(smoke_run: Path, tmp_path: Path) -> None:
    names = [*ATTRIBUTIONS, *CONTROLS]
    options = f"explain.attributions=[{','.join(names)}]", "explain.num_explicands=2", "explain.views=[original]", "explain.num_pairs=2"
    findings = runs.explain(Request((smoke_run / "last.ckpt",), out=tmp_path, overrides=options))
    assert findings is not None
    assert {trace.key.partition("-")[0] for trace in findings.traces} == set(names)
    with np.load(tmp_path / "attributions.npz") as arrays:
        assert all(np.isfinite(arrays[trace.key]).all() for trace in findings.traces)


@pytest.mark.parametrize("name", REMOVALS)
def test_every_removal_can_be_asked_for_by_the_config(smoke_run: Path, name: str) -> None:
    options = "explain.attributions=[rise]", f"explain.removal={name}", "explain.num_explicands=2", "explain.views=[original]"
    looked = runs.look(Request((smoke_run / "last.ckpt",), overrides=options))
    assert float(looked.readings[0].look.attributions["rise"].std()) > 0


@pytest.mark.parametrize("option", ["explain.space=projections", "explain.layer=stages.1", "explain.precision=bf16"])
def test_another_space_layer_or_precision(smoke_run: Path, option: str) -> None:
    few = ("explain.precision=32", "explain.num_explicands=2", "explain.views=[original]", "explain.attributions=[rise]")
    plain, other = (runs.look(Request((smoke_run / "last.ckpt",), overrides=(*few, *more))).readings[0] for more in ((), (option,)))
    assert not torch.equal(plain.look.attributions["rise"], other.look.attributions["rise"])


def test_the_encoder_of_a_run_from_python(smoke_run: Path) -> None:
    images = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    encoder = load_encoder(smoke_run)
    assert torch.equal(encoder(images), load_encoder(smoke_run / "last.ckpt")(images))
    state = torch.load(smoke_run / "last.ckpt", weights_only=True)
    assert encoder(images).shape[1] == state["state_dict"]["projection_head.layers.0.weight"].shape[1]
    assert load_encoder(smoke_run, space="projections")(images).shape[1] == state["cocoa_pl"]["config"]["model"]["projection_dim"]
    assert load_encoder(smoke_run, layer="stages.0")(images).shape[1] == state["cocoa_pl"]["config"]["model"]["width"]
    with pytest.raises(ConfigError, match=r"explain.space=head: unknown"):
        load_encoder(smoke_run, space="head")
    with pytest.raises(CheckpointError, match="no such checkpoint"):
        load_encoder(smoke_run / "heatmaps")
