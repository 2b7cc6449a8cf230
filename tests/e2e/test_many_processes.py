"""A distributed run of which one process is killed: the others end with a line that says how to go on, to the same weights."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from cocoa_pl.config import Config, to_yaml
from cocoa_pl.runs import train
from tests.programs import Program

ROOT = Path(__file__).parents[2]
_SHORT = (
    "trainer.epochs=3", "trainer.precision=64", "trainer.sync_batchnorm=true", "data.num_train=64", "data.batch_size=8",
    "explain.attributions=[gradient]", "explain.views=[original]", "explain.num_pairs=0", "run.logger=csv",
)  # fmt: skip


def _start(*arguments: str) -> Program:
    return Program(str(ROOT / "train.py"), arguments)


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _is_there(pid: int) -> bool:
    stat = Path(f"/proc/{pid}/stat")
    return stat.exists() and stat.read_text().rpartition(")")[2].split()[0] != "Z"


def _wait_for(file: Path, *, of: Program, seconds: float) -> None:
    end = time.monotonic() + seconds
    while not file.exists():
        assert time.monotonic() < end, f"{file} is not there in time"
        assert of.runs, of.done().stderr
        time.sleep(0.05)


@pytest.mark.slow
def test_a_killed_process_ends_the_run_and_resuming_gives_the_weights_of_no_kill(
    tmp_path: Path, smoke_config: Callable[..., Config]
) -> None:
    config = smoke_config(tmp_path / "killed", "trainer.devices=2", "trainer.strategy=ddp", *_SHORT)
    (tmp_path / "config.yaml").write_text(to_yaml(config))
    folder = tmp_path / "killed/smoke"
    main = _start("--config", str(tmp_path / "config.yaml"))
    _wait_for(folder / "last.ckpt", of=main, seconds=120)
    (child,) = _children(main.pid)
    os.kill(child, signal.SIGKILL)
    ended = main.done(seconds=60)
    said = ended.stderr
    assert ended.returncode in (1, 2), said
    errors = [line for line in said.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1, said
    assert errors[0].endswith(f"to go on: python train.py --resume {folder}"), said
    assert "Traceback" not in said
    assert not _is_there(child)

    again = _start("--resume", str(folder)).done(seconds=120)
    assert again.returncode == 0, again.stderr
    train(smoke_config(tmp_path / "undisturbed", *_SHORT))
    resumed, undisturbed = (
        torch.load(path / "last.ckpt", weights_only=True)["state_dict"] for path in (folder, tmp_path / "undisturbed/smoke")
    )
    for name, value in undisturbed.items():
        torch.testing.assert_close(resumed[name], value, rtol=1e-9, atol=1e-9, msg=name)
