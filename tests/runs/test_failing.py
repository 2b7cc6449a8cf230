"""What ends a training run from outside is one line."""

from __future__ import annotations

import gc
import multiprocessing
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
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


@contextmanager
def no_dead_worker_is_remembered() -> Iterator[None]:
    """Torch raises for a dead process wherever the next child ends, as long as its loader is there: in other tests, too."""
    yield
    told = signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    gc.collect()
    for child in multiprocessing.active_children():
        child.join(5)
    signal.signal(signal.SIGCHLD, told)


def test_a_loader_process_that_is_killed(tmp_path: Path, smoke_config: Callable[..., Config], monkeypatch: pytest.MonkeyPatch) -> None:
    original, others = Guard.on_train_epoch_start, set(multiprocessing.active_children())

    def kill(self: Guard, trainer: Any, pl_module: Any) -> None:
        original(self, trainer, pl_module)
        if trainer.current_epoch == 1:
            for child in set(multiprocessing.active_children()) - others:
                os.kill(child.pid or 0, signal.SIGKILL)

    monkeypatch.setattr(Guard, "on_train_epoch_start", kill)
    began, folder = time.monotonic(), tmp_path / "smoke"
    with no_dead_worker_is_remembered(), pytest.raises(DataError) as stopped:
        runs.train(smoke_config(tmp_path, *QUICK, "data.num_workers=1"))
    assert time.monotonic() - began < 60
    said = str(stopped.value)
    how = r"(was killed \(signal: Killed\)|ended unexpectedly)"  # whichever torch hears of first, the signal or the silence
    assert re.match(rf"a loader process \(pid \d+\) {how}, most likely for want of memory: take fewer than data.num_workers=1; ", said)
    assert said.endswith(f"; to go on: python train.py --resume {folder}")
    assert (folder / "last.ckpt").is_file()
    assert not set(multiprocessing.active_children()) - others


def test_a_signal_to_all_processes_of_a_job(tmp_path: Path, smoke_config: Callable[..., Config], monkeypatch: pytest.MonkeyPatch) -> None:
    """As SLURM and a terminal send it: loader processes go on until the step is finished and saved."""
    original, others = Guard.on_train_epoch_start, set(multiprocessing.active_children())

    def ask(self: Guard, trainer: Any, pl_module: Any) -> None:
        original(self, trainer, pl_module)
        if trainer.current_epoch == 1:
            processes = [str(child.pid) for child in set(multiprocessing.active_children()) - others]
            subprocess.run(["kill", "-TERM", *processes, str(os.getpid())], check=True)  # its own process: a worker obeys its parent

    monkeypatch.setattr(Guard, "on_train_epoch_start", ask)
    with pytest.raises(SystemExit) as stopped:
        runs.train(smoke_config(tmp_path, *QUICK, "data.num_workers=1"))
    assert stopped.value.code == 128 + signal.SIGTERM
    saved = torch.load(tmp_path / "smoke" / "last.ckpt", weights_only=True)
    assert (saved["epoch"], saved["global_step"]) == (1, 4), "the first step of the second epoch"


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
