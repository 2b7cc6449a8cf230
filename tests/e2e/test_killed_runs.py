"""A run that is killed at random moments loses nothing: at the last eight of 20 by default, at so many of them as COCOA_KILLS says."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from cocoa_pl.config import Config, to_yaml
from tests.e2e.killing import Moment, killed

Logged = Callable[[Path], dict[tuple[int, str], float]]
_SEED, _KILLS = 6, int(os.environ.get("COCOA_KILLS", "8"))
_EPOCHS = max(6, _KILLS - 2)
_FEW = [
    f"trainer.epochs={_EPOCHS}", "explain.attributions=[rise]", "explain.views=[original,flip]", "explain.num_masks=4",
    "explain.foil_size=8", "explain.num_pairs=2", "explain.num_gallery=0", f"checkpoint.keep_every_n_epochs={_EPOCHS // 3}",
    "checkpoint.every_n_minutes=0.01",
]  # fmt: skip
_CLOCKS = ("seconds", "share_of_epoch")


def moments(seed: int) -> list[Moment]:
    """Ten anywhere in training, four while a checkpoint is written, three while explaining, three by the clock, in a random order."""
    draw = random.Random(seed)
    drawn = [Moment("Trainer.fit", draw.randint(1, 300_000)) for _ in range(10)]
    drawn += [Moment("AtomicCheckpointIO.save_checkpoint", draw.randint(1, 60_000)) for _ in range(4)]
    drawn += [Moment("Monitor.look", draw.randint(1, 12_000)) for _ in range(3)]
    drawn += [Moment(seconds=draw.uniform(0.3, 4)) for _ in range(3)]
    return draw.sample(drawn, len(drawn))


@pytest.mark.slow
def test_a_run_killed_at_random_moments_is_the_run_that_was_not(
    tmp_path: Path, smoke_config: Callable[..., Config], logged: Logged
) -> None:  # fmt: skip
    """Same weights, same curves, same files; each kill is followed by the very same command. ``-s`` shows where it was killed."""
    words: dict[str, list[str]] = {}
    for name in ("killed", "undisturbed"):
        config = tmp_path / f"{name}.yaml"
        config.write_text(to_yaml(smoke_config(tmp_path, f"run.name={name}", *_FEW)))
        words[name] = ["--config", str(config), "--resume", "auto"]
    assert killed(words["undisturbed"], None, tmp_path)[0] is False
    for number, moment in list(enumerate(moments(_SEED), start=1))[-_KILLS:]:
        was_killed, doing = killed(words["killed"], moment, tmp_path)
        assert was_killed, f"kill {number} ({moment}) came after the end: give the run more epochs"
        print(f"| {number} | {moment.place or 'clock'} | {doing} |")
    assert killed(words["killed"], None, tmp_path)[0] is False
    first, second = (torch.load(tmp_path / name / "last.ckpt", weights_only=True) for name in ("killed", "undisturbed"))
    assert first["global_step"] == second["global_step"]
    for name, value in second["state_dict"].items():
        assert torch.equal(value, first["state_dict"][name]), name
    curves = [
        {key: value for key, value in logged(tmp_path / name).items() if not key[1].endswith(_CLOCKS)} for name in ("killed", "undisturbed")
    ]
    assert curves[0] == pytest.approx(curves[1], abs=0, nan_ok=True)
    files = [_files(tmp_path / name) for name in ("killed", "undisturbed")]
    assert files[0] == files[1]
    assert _points(tmp_path / "killed") == _points(tmp_path / "undisturbed"), "TensorBoard shows every point once"


def _files(folder: Path) -> list[str]:
    """What lies in a run's folder, TensorBoard's files apart, of which every start makes one."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if "tensorboard" not in path.parts)


def _points(folder: Path) -> dict[str, list[int]]:
    events = EventAccumulator(str(folder / "tensorboard"), size_guidance={"scalars": 0}).Reload()
    return {tag: [point.step for point in events.Scalars(tag)] for tag in events.Tags()["scalars"]}
