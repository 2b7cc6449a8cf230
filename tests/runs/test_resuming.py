"""Which checkpoint a run goes on from, without training."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from cocoa_pl import runs
from cocoa_pl.cli import parse_train
from cocoa_pl.config import Config, to_dict, to_yaml
from cocoa_pl.errors import CheckpointError, ConfigError
from cocoa_pl.runs.resuming import clear, later_than, origin_of, refuse_changes


@pytest.fixture
def folder(smoke_run: Path, tmp_path: Path) -> Path:
    """A run of two epochs with a checkpoint of its first beside the last."""
    folder = tmp_path / "smoke"
    folder.mkdir()
    for name in ("config.yaml", "last.ckpt", "metrics.csv"):
        shutil.copy(smoke_run / name, folder / name)
    earlier = torch.load(folder / "last.ckpt", weights_only=True)
    earlier["epoch"], earlier["global_step"] = 0, 3
    earlier["loops"]["fit_loop"]["epoch_progress"]["current"]["processed"] = 1
    torch.save(earlier, folder / "epoch=000.ckpt")
    return folder


def flip_a_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1000])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def test_of_a_folder_the_checkpoint_that_has_come_furthest_is_taken(folder: Path) -> None:
    shutil.copy(folder / "last.ckpt", folder / "best-epoch=001.ckpt")
    origin = origin_of(folder)
    assert (origin.path, origin.place) == (folder / "last.ckpt", (2, 6))
    shutil.copy(folder / "epoch=000.ckpt", folder / "last.ckpt")  # killed between the best and the last
    assert origin_of(folder).path == folder / "best-epoch=001.ckpt"


@pytest.mark.parametrize("damage", [flip_a_bit, cut, empty])
def test_a_damaged_checkpoint_is_passed_over_with_one_warning(folder: Path, damage: Callable[[Path], None]) -> None:
    damage(folder / "last.ckpt")
    with pytest.warns(UserWarning, match=r"last\.ckpt: .*; going on from epoch=000\.ckpt \(epochs done: 1, steps: 3\)") as warned:
        origin = origin_of(folder)
    assert len(warned) == 1
    assert origin.place == (1, 3)
    assert origin_of(folder, tell=False).path == origin.path


def test_a_file_is_taken_itself_and_a_damaged_one_is_an_error(folder: Path) -> None:
    assert origin_of(folder / "epoch=000.ckpt").place == (1, 3)
    flip_a_bit(folder / "last.ckpt")
    with pytest.raises(CheckpointError, match=r"last\.ckpt: cannot be read, damaged \(the checksum of record .* is wrong\)"):
        origin_of(folder / "last.ckpt")


def test_where_all_are_damaged_there_is_one_error(folder: Path) -> None:
    for path in folder.glob("*.ckpt"):
        cut(path)
    with pytest.raises(CheckpointError, match=r"none of its 2 checkpoints is whole \(.*\); begin anew under another run\.name"):
        origin_of(folder)


def test_a_run_whose_checkpoints_are_gone_keeps_its_logs(folder: Path) -> None:
    for path in folder.glob("*.ckpt"):
        path.unlink()
    with pytest.raises(CheckpointError, match="has logged 2 epochs, but holds no checkpoint any more"):
        origin_of(folder)


def test_a_run_without_a_checkpoint_begins_again_without_its_logs(folder: Path) -> None:
    for path in folder.glob("*.ckpt"):
        path.unlink()
    (folder / "metrics.csv").write_text("step,metric,value\r\n0,explain/rise/gap,0.1\r\n5,train/lr,0.1\r\n1,val/kn")
    (folder / "heatmaps").mkdir()
    (folder / "heatmaps" / "epoch-0000.npz").write_bytes(b"")
    origin = origin_of(folder)
    clear(origin)
    assert (origin.path, origin.place) == (None, (0, 0))
    assert origin.config["run"]["name"] == "smoke"
    assert [path.name for path in folder.iterdir()] == ["config.yaml"]


def test_only_what_keeps_the_numbers_may_change(smoke_config: Callable[..., Config], tmp_path: Path) -> None:
    before = to_dict(smoke_config(tmp_path))
    refuse_changes(before, to_dict(smoke_config(tmp_path / "elsewhere", "checkpoint.every_n_minutes=null", "optim.clip_grad_norm=1")))
    with pytest.raises(ConfigError, match=r"optim\.lr=0\.5: the run to resume has 0\.003"):
        refuse_changes(before, to_dict(smoke_config(tmp_path, "optim.lr=0.5")))


class TestTheCommandLine:
    def test_auto_begins_a_run_that_is_not_there(self, tmp_path: Path) -> None:
        config, resume = parse_train(["--resume", "auto", f"run.root={tmp_path}", "run.name=mine", "model.width=16"])
        assert resume == tmp_path / "mine"
        assert config.model.width == 16

    def test_auto_goes_on_with_a_run_and_its_options(self, folder: Path) -> None:
        config, resume = parse_train(["--resume", "auto", f"run.root={folder.parent}", "run.name=smoke"])
        assert resume == folder
        assert config.model.width == 8

    def test_a_folder_is_handed_on_even_without_a_checkpoint(self, tmp_path: Path, smoke_config: Callable[..., Config]) -> None:
        (tmp_path / "config.yaml").write_text(to_yaml(smoke_config(tmp_path)))
        config, resume = parse_train(["--resume", str(tmp_path), "trainer.epochs=9"])
        assert (resume, config.trainer.epochs, config.model.width) == (tmp_path, 9, 8)

    @pytest.mark.parametrize("how", ["auto", "folder"])
    def test_checkpoints_without_options_are_no_run(self, folder: Path, how: str) -> None:
        (folder / "config.yaml").unlink()
        argv = ["--resume", str(folder)] if how == "folder" else ["--resume", "auto", f"run.root={folder.parent}", "run.name=smoke"]
        with pytest.raises(CheckpointError, match=r"smoke: no run to resume; it holds no config\.yaml"):
            parse_train(argv)


def test_checkpoints_of_the_way_that_is_left_are_set_aside(tmp_path: Path, smoke_config: Callable[..., Config]) -> None:
    """Else the next to go on, after another kill, would take the furthest of them."""
    quick = ("explain.enabled=false", "run.logger=none", "checkpoint.top_k=0", "checkpoint.keep_every_n_epochs=1")
    runs.train(smoke_config(tmp_path, *quick))
    folder = tmp_path / "smoke"
    assert later_than(origin_of(folder)) == []
    assert set(later_than(origin_of(folder / "epoch=000.ckpt"))) == {folder / "last.ckpt", folder / "epoch=001.ckpt"}
    runs.train(smoke_config(tmp_path, *quick), resume=folder / "epoch=000.ckpt")
    assert sorted(path.name for path in folder.glob("*.abandoned")) == ["epoch=001.ckpt.abandoned", "last.ckpt.abandoned"]
    assert origin_of(folder).place == (2, 6)


@pytest.mark.parametrize("broken", ["loops", "fit_loop"])
def test_a_checkpoint_that_does_not_say_how_far_it_is(folder: Path, broken: str) -> None:
    content = torch.load(folder / "last.ckpt", weights_only=True)
    (content if broken == "loops" else content["loops"]).pop(broken)
    torch.save(content, folder / "last.ckpt")
    with pytest.raises(CheckpointError, match=r"last\.ckpt: does not say how far training had come"):
        origin_of(folder / "last.ckpt")


def test_what_is_no_run_is_not_begun_in_and_nothing_is_removed(tmp_path: Path) -> None:
    (tmp_path / "tensorboard").mkdir()
    (tmp_path / "metrics.csv").write_text("mine")
    with pytest.raises(CheckpointError, match="is no run, and not empty"):
        origin_of(tmp_path)
    assert (tmp_path / "metrics.csv").read_text() == "mine"


def test_a_pipe_among_checkpoints_is_passed_over(folder: Path) -> None:
    os.mkfifo(folder / "pipe.ckpt")
    with pytest.warns(UserWarning, match=r"pipe\.ckpt"):
        assert origin_of(folder).path == folder / "last.ckpt"
