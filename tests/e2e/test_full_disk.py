"""A disk that is really full, in a run by the script."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from cocoa_pl import runs
from cocoa_pl.config import Config, to_yaml
from tests.programs import run

ROOT = Path(__file__).parents[2]


@pytest.fixture
def small_disk(smoke_run: Path, tmp_path: Path) -> Iterator[Path]:
    """A file system on which a run of two epochs has room for little more than one."""
    disk = tmp_path / "disk"
    disk.mkdir()
    needed = sum(path.stat().st_size for path in smoke_run.rglob("*") if path.is_file())
    size = needed - (smoke_run / "last.ckpt").stat().st_size // 2
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(disk)], capture_output=True, check=False)
    if done.returncode:
        pytest.skip("only root may make a file system")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


@pytest.mark.slow
def test_a_full_disk_is_one_line_and_the_run_goes_on_once_there_is_room(
    small_disk: Path, tmp_path: Path, smoke_run: Path, smoke_config: Callable[..., Config]
) -> None:
    config, folder = smoke_config(small_disk), small_disk / "smoke"
    (tmp_path / "config.yaml").write_text(to_yaml(config))
    done = run(str(ROOT / "train.py"), ["--config", str(tmp_path / "config.yaml")])
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert "cannot be written (No space left on device)" in line
    assert line.endswith(f"once there is room, to go on: python train.py --resume {folder}")
    assert torch.load(folder / "last.ckpt", weights_only=True)["global_step"] == 3
    subprocess.run(["mount", "-o", "remount,size=100m", str(small_disk)], check=True)
    runs.train(config, resume=folder)
    resumed, undisturbed = (torch.load(path / "last.ckpt", weights_only=True)["state_dict"] for path in (folder, smoke_run))
    assert all(torch.equal(value, resumed[name]) for name, value in undisturbed.items())
