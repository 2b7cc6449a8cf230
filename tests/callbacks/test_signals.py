"""Signals that end a run in good order, and the queue of SLURM."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from cocoa_pl import runs
from cocoa_pl.build import training
from cocoa_pl.callbacks.guarding import Guard
from cocoa_pl.callbacks.signals import Signals, requeue
from cocoa_pl.config import Config

JOB = {
    "SLURM_JOB_ID": "71", "SLURM_JOB_NAME": "train", "SLURM_NTASKS": "1", "SLURM_NTASKS_PER_NODE": "1", "SLURM_PROCID": "0",
    "SLURM_LOCALID": "0", "SLURM_NODEID": "0",
}  # fmt: skip


@pytest.fixture
def scontrol(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[int], Path]:
    """Puts a program of that name, with an exit code, on the PATH; it writes down how it was called."""

    def make(code: int) -> Path:
        program, called = tmp_path / "bin" / "scontrol", tmp_path / "called"
        program.parent.mkdir()
        program.write_text(f'#!/bin/sh\necho "$@" > {called}\necho refused >&2\nexit {code}\n')
        program.chmod(0o755)
        monkeypatch.setenv("PATH", str(program.parent), prepend=os.pathsep)
        return called

    return make


@pytest.fixture
def job(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in JOB.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def signals() -> Iterator[Signals]:
    listening = Signals()
    yield listening
    listening.restore()


def send(*numbers: int) -> None:
    for number in numbers:
        os.kill(os.getpid(), number)


def test_the_first_signal_counts_and_sigterm_may_come_twice(signals: Signals, capfd: pytest.CaptureFixture[str]) -> None:
    signals.listen(loud=True)
    send(signal.SIGTERM, signal.SIGTERM)
    assert signals.asked == signal.SIGTERM
    assert capfd.readouterr().out == "\nstopping after this step (SIGTERM)\n"


def test_ctrl_c_twice_ends_at_once_and_handlers_are_given_back(signals: Signals) -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)]
    signals.listen(loud=False)
    send(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        send(signal.SIGINT)
    assert signal.getsignal(signal.SIGUSR1) == before[2], "not ours outside of SLURM"
    signals.restore()
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)] == before


@pytest.mark.usefixtures("job")
def test_slurm_is_asked_to_queue_a_task_of_an_array_again(scontrol: Callable[[int], Path], monkeypatch: pytest.MonkeyPatch) -> None:
    called = scontrol(0)
    monkeypatch.setenv("SLURM_ARRAY_JOB_ID", "70")
    monkeypatch.setenv("SLURM_ARRAY_TASK_ID", "4")
    requeue()
    assert called.read_text() == "requeue 70_4\n"


@pytest.mark.usefixtures("job")
def test_what_scontrol_refuses_is_a_warning(scontrol: Callable[[int], Path]) -> None:
    scontrol(1)
    with pytest.warns(UserWarning, match=r"scontrol requeue 71 failed \(refused\); the run is saved"):
        requeue()


@pytest.mark.usefixtures("job")
def test_a_missing_scontrol_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.warns(UserWarning, match="scontrol is not on the PATH: job 71 is not queued again"):
        requeue()


@pytest.mark.usefixtures("job")
@pytest.mark.parametrize(("name", "ours"), [("train", [False]), ("interactive", []), ("bash", [])])
def test_lightnings_own_handlers_are_switched_off_in_a_job(monkeypatch: pytest.MonkeyPatch, name: str, ours: list[bool]) -> None:
    monkeypatch.setenv("SLURM_JOB_NAME", name)
    assert [made.auto_requeue for made in training.slurm()] == ours


@pytest.mark.usefixtures("job")
def test_a_job_whose_time_is_nearly_up_is_saved_and_queued_again(
    tmp_path: Path, smoke_config: Callable[..., Config], scontrol: Callable[[int], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    called, original = scontrol(0), Guard.on_train_batch_end

    def warn(self: Guard, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        send(signal.SIGUSR1)
        original(self, trainer, pl_module, outputs, batch, batch_idx)

    monkeypatch.setattr(Guard, "on_train_batch_end", warn)
    with pytest.raises(SystemExit) as stopped:
        runs.train(smoke_config(tmp_path / "runs", "explain.enabled=false", "run.logger=none"))
    assert stopped.value.code == 128 + signal.SIGUSR1
    assert called.read_text() == "requeue 71\n"
    assert torch.load(tmp_path / "runs" / "smoke" / "last.ckpt", weights_only=True)["global_step"] == 1
