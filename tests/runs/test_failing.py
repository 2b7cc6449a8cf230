"""What ends a training run from outside is one line."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from torch._utils import ExceptionWrapper

from cocoa_pl import runs
from cocoa_pl.callbacks.guarding import Guard
from cocoa_pl.config import Config
from cocoa_pl.errors import CocoaError, DataError, OutputError
from cocoa_pl.runs.failing import training_errors

QUICK = ("explain.enabled=false", "run.logger=none", "checkpoint.top_k=0")


class Quiet:
    """As much of a trainer as an error needs."""

    callbacks: list[Any] = []
    callback_metrics: dict[str, float] = {}


def told(error: Exception, config: Config) -> CocoaError:
    with pytest.raises(CocoaError) as raised, training_errors(config, Quiet(), Path("run")):  # type: ignore[arg-type]
        raise error
    return raised.value


def raised_in_a_worker(error: Exception) -> Exception:
    """What torch raises in the main process for an error in a loader's process."""
    try:
        raise error
    except Exception:
        wrapped = ExceptionWrapper(where="in DataLoader worker process 0")
    with pytest.raises(type(error)) as raised:
        wrapped.reraise()
    return raised.value


def test_a_loader_process_that_is_killed(tmp_path: Path, smoke_config: Callable[..., Config], monkeypatch: pytest.MonkeyPatch) -> None:
    original, others = Guard.on_train_epoch_start, set(multiprocessing.active_children())

    def kill(self: Guard, trainer: Any, pl_module: Any) -> None:
        original(self, trainer, pl_module)
        if trainer.current_epoch == 1:
            for child in set(multiprocessing.active_children()) - others:
                os.kill(child.pid or 0, signal.SIGKILL)

    monkeypatch.setattr(Guard, "on_train_epoch_start", kill)
    began, folder = time.monotonic(), tmp_path / "smoke"
    with pytest.raises(DataError) as stopped:
        runs.train(smoke_config(tmp_path, *QUICK, "data.num_workers=1"))
    assert time.monotonic() - began < 60
    said = str(stopped.value)
    assert "was killed (signal: Killed), most likely for want of memory: take fewer than data.num_workers=1" in said
    assert said.endswith(f"; to go on: python train.py --resume {folder}")
    assert (folder / "last.ckpt").is_file()
    assert not multiprocessing.active_children()


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (DataError("07.png: cannot be read"), "07.png: cannot be read"),
        (ValueError("no: such"), "a loader process failed: ValueError: no: such; to go on: python train.py --resume run"),
        (KeyError("a"), "a loader process failed: KeyError: 'a'; to go on: python train.py --resume run"),
        (
            MemoryError(),
            "a loader process failed: out of memory; take fewer than data.num_workers=0; to go on: python train.py --resume run",
        ),
    ],
)
def test_an_error_in_a_loader_process_is_its_own_line(
    tmp_path: Path, smoke_config: Callable[..., Config], error: Exception, line: str
) -> None:
    made = told(raised_in_a_worker(error), smoke_config(tmp_path))
    assert str(made) == line
    assert isinstance(made, DataError)


def test_a_full_disk_behind_another_error(tmp_path: Path, smoke_config: Callable[..., Config]) -> None:
    """As Lightning's TensorBoard logger has it."""
    wrapped = ValueError("you tried to log 1 which is currently not supported")
    wrapped.__cause__ = OSError(28, "No space left on device")
    made = told(wrapped, smoke_config(tmp_path))
    assert isinstance(made, OutputError)
    assert str(made) == "run: cannot be written (No space left on device); once there is room, to go on: python train.py --resume run"


def test_a_mistake_of_ours_keeps_its_traceback(tmp_path: Path, smoke_config: Callable[..., Config]) -> None:
    with pytest.raises(TypeError, match="ours"), training_errors(smoke_config(tmp_path), Quiet(), Path("run")):  # type: ignore[arg-type]
        raise TypeError("ours")
