"""Law 10: a run that was stopped and resumed has the weights and the drift curve of one that was not."""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from cocoa_pl import runs
from cocoa_pl.callbacks.guarding import Guard
from cocoa_pl.config import Config
from tests.overrides import TEXTS

Logged = Callable[[Path], dict[tuple[int, str], float]]


class Killed(BaseException):
    """Ends a run at once, as far as a test of one process can."""


@pytest.mark.parametrize(
    ("stop_at", "signum", "code"),
    [((0, 1), signal.SIGINT, 130), ((1, 0), signal.SIGTERM, 143)],
    ids=["Ctrl-C in the first epoch", "SIGTERM in the second epoch"],
)
def test_a_signal_in_the_middle_of_an_epoch(
    tmp_path: Path,
    smoke_run: Path,
    smoke_config: Callable[..., Config],
    logged: Logged,
    monkeypatch: pytest.MonkeyPatch,
    stop_at: tuple[int, int],
    signum: int,
    code: int,
) -> None:
    before = signal.getsignal(signum)
    at_batch(monkeypatch, *stop_at, before=lambda: os.kill(os.getpid(), signum))
    with pytest.raises(SystemExit) as stopped:
        runs.train(smoke_config(tmp_path))
    assert stopped.value.code == code
    assert signal.getsignal(signum) == before
    monkeypatch.undo()
    runs.train(smoke_config(tmp_path), resume=tmp_path / "smoke" / "last.ckpt")
    assert_same_run(tmp_path / "smoke", smoke_run, logged)


def test_captions_go_on_where_they_were(
    tmp_path: Path, smoke_config: Callable[..., Config], logged: Logged, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The captions of an epoch, the learned temperature and what is explained in words."""
    runs.train(smoke_config(tmp_path / "whole", *TEXTS))
    at_batch(monkeypatch, 1, 0, before=lambda: os.kill(os.getpid(), signal.SIGTERM))
    with pytest.raises(SystemExit):
        runs.train(smoke_config(tmp_path, *TEXTS))
    monkeypatch.undo()
    runs.train(smoke_config(tmp_path, *TEXTS), resume=tmp_path / "smoke" / "last.ckpt")
    assert_same_run(tmp_path / "smoke", tmp_path / "whole" / "smoke", logged)


def test_killed_after_an_epoch(
    tmp_path: Path, smoke_run: Path, smoke_config: Callable[..., Config], logged: Logged, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was written after the last checkpoint is written again, not twice, and what is half-written goes."""
    at_batch(monkeypatch, 1, 1, after=die)
    with pytest.raises(Killed):
        runs.train(smoke_config(tmp_path))
    monkeypatch.undo()
    folder = tmp_path / "smoke"
    with (folder / "metrics.csv").open("a") as file:
        file.write("2,explain/rise/gap,9.0\n7,train/lr,9.0\n2,val/kn")  # what a run killed while explaining leaves behind
    (folder / "heatmaps" / ".epoch-0002.npz.7.part").write_bytes(b"half")
    runs.train(smoke_config(tmp_path), resume=folder)
    assert not list(folder.rglob("*.part"))
    assert_same_run(folder, smoke_run, logged)


def test_killed_at_the_end_of_an_epoch_of_a_run_that_saves_within_epochs(
    tmp_path: Path, smoke_run: Path, smoke_config: Callable[..., Config], logged: Logged, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second epoch's numbers and maps were logged, its checkpoint not yet written: it goes on within that epoch."""
    config, folder = smoke_config(tmp_path, "checkpoint.every_n_minutes=0"), tmp_path / "smoke"

    def die_at_the_end(self: Guard, trainer: Any, pl_module: Any, checkpoint: Any) -> None:
        if checkpoint["global_step"] == 6:
            raise Killed

    monkeypatch.setattr(Guard, "on_save_checkpoint", die_at_the_end)
    with pytest.raises(Killed):
        runs.train(config)
    monkeypatch.undo()
    assert (2, "explain/rise/gap") in logged(folder)
    assert torch.load(folder / "last.ckpt", weights_only=True)["global_step"] == 5
    runs.train(config, resume=folder)
    assert_same_run(folder, smoke_run, logged)


def test_killed_before_the_first_checkpoint_it_begins_again(
    tmp_path: Path, smoke_run: Path, smoke_config: Callable[..., Config], logged: Logged, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_batch(monkeypatch, 0, 1, after=die)
    with pytest.raises(Killed):
        runs.train(smoke_config(tmp_path))
    monkeypatch.undo()
    runs.train(smoke_config(tmp_path), resume=tmp_path / "smoke")
    assert [path.name for path in tmp_path.iterdir()] == ["smoke"]
    assert_same_run(tmp_path / "smoke", smoke_run, logged)


def nothing() -> None:
    """Happens at a batch where nothing else does."""


def die() -> None:
    raise Killed


def at_batch(
    monkeypatch: pytest.MonkeyPatch, epoch: int, batch: int, *, before: Callable[[], None] = nothing, after: Callable[[], None] = nothing
) -> None:
    """Have something happen before or after the guard's turn at the end of a batch."""
    original = Guard.on_train_batch_end

    def wrapped(self: Guard, trainer: Any, pl_module: Any, outputs: Any, batch_: Any, batch_idx: int) -> None:
        here = (trainer.current_epoch, batch_idx) == (epoch, batch)
        if here:
            before()
        original(self, trainer, pl_module, outputs, batch_, batch_idx)
        if here:
            after()

    monkeypatch.setattr(Guard, "on_train_batch_end", wrapped)


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
    steps = points(resumed)
    assert max(steps.values()) == 1, "a point is shown twice"
    assert steps.keys() >= {key for key in points(undisturbed) if key[0].startswith(("explain/", "val/"))}
    assert {path.name for path in resumed.iterdir()} == {path.name for path in undisturbed.iterdir()}


def points(folder: Path) -> Counter[tuple[str, int]]:
    """How often TensorBoard finds a tag at a step."""
    events = EventAccumulator(str(folder / "tensorboard"), size_guidance={"images": 0, "scalars": 0})
    events.Reload()
    scalars = [(tag, event.step) for tag in events.Tags()["scalars"] if tag != "epoch" for event in events.Scalars(tag)]
    return Counter(scalars + [(tag, event.step) for tag in events.Tags()["images"] for event in events.Images(tag)])
