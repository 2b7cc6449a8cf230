"""Law 10: a run that was stopped and resumed has the weights and the drift curve of one that was not."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from cocoa_pl import runs
from cocoa_pl.callbacks.checkpointing import StopGracefully
from cocoa_pl.config import Config

Logged = Callable[[Path], dict[tuple[int, str], float]]


@pytest.mark.parametrize("stop_at", [(0, 1), (1, 0)], ids=["first epoch", "second epoch"])
def test_ctrl_c_in_the_middle_of_an_epoch(
    tmp_path: Path,
    smoke_run: Path,
    smoke_config: Callable[..., Config],
    logged: Logged,
    monkeypatch: pytest.MonkeyPatch,
    stop_at: tuple[int, int],
) -> None:
    ask_at_batch(monkeypatch, *stop_at)
    with pytest.raises(SystemExit) as stopped:
        runs.train(smoke_config(tmp_path))
    assert stopped.value.code == 130
    monkeypatch.undo()
    runs.train(smoke_config(tmp_path), resume=tmp_path / "smoke" / "last.ckpt")
    assert_same_run(tmp_path / "smoke", smoke_run, logged)


def test_killed_after_an_epoch(
    tmp_path: Path, smoke_run: Path, smoke_config: Callable[..., Config], logged: Logged, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was written after the last checkpoint is written again, not twice."""

    class Killed(BaseException):
        pass

    def die(self: StopGracefully, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        if (trainer.current_epoch, batch_idx) == (1, 1):
            raise Killed

    monkeypatch.setattr(StopGracefully, "on_train_batch_end", die)
    with pytest.raises(Killed):
        runs.train(smoke_config(tmp_path))
    monkeypatch.undo()
    with (tmp_path / "smoke" / "metrics.csv").open("a") as file:
        file.write("2,explain/rise/gap,9.0\n7,train/lr,9.0\n")  # what a run killed while explaining leaves behind
    runs.train(smoke_config(tmp_path), resume=tmp_path / "smoke" / "last.ckpt")
    assert_same_run(tmp_path / "smoke", smoke_run, logged)


def ask_at_batch(monkeypatch: pytest.MonkeyPatch, epoch: int, batch: int) -> None:
    """Press Ctrl-C, for real, at a batch."""
    original = StopGracefully.on_train_batch_end

    def press(self: StopGracefully, trainer: Any, pl_module: Any, outputs: Any, batch_: Any, batch_idx: int) -> None:
        if (trainer.current_epoch, batch_idx) == (epoch, batch):
            os.kill(os.getpid(), signal.SIGINT)
        original(self, trainer, pl_module, outputs, batch_, batch_idx)

    monkeypatch.setattr(StopGracefully, "on_train_batch_end", press)


def assert_same_run(resumed: Path, undisturbed: Path, logged: Logged) -> None:
    first, second = (torch.load(folder / "last.ckpt", weights_only=True) for folder in (resumed, undisturbed))
    for name, value in second["state_dict"].items():
        assert torch.equal(value, first["state_dict"][name]), name
    curves = [
        {
            key: value
            for key, value in logged(folder).items()
            if key[1].startswith(("explain/", "val/")) and "seconds" not in key[1] and "share" not in key[1]
        }
        for folder in (resumed, undisturbed)
    ]
    assert curves[0] == pytest.approx(curves[1], abs=0, nan_ok=True)
    assert len((resumed / "metrics.csv").read_text().splitlines()) == len(set((resumed / "metrics.csv").read_text().splitlines()))
