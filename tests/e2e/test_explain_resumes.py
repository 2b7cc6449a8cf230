"""Thousands of pictures: killed, out of time, with one that cannot be read, on two processes; nothing is lost or done twice."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.e2e.asking import FEW, write_encoder, write_pictures

ROOT = Path(__file__).parents[2]
_SIDE = 16


def command(out: str, *more: str) -> list[str]:
    return [
        sys.executable, str(ROOT / "explain.py"), "--encoder", "someones_encoder:make", "--image-size", str(_SIDE), "--input", "many",
        "--corpus", "some", "--foil", "few", "--cache", "none", "--out", out, *FEW, *more,
    ]  # fmt: skip


def run(folder: Path, out: str, *more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(out, *more), cwd=folder, capture_output=True, text=True, check=False, timeout=500)


def many(folder: Path, num: int) -> None:
    """So many pictures, a corpus, a foil and an encoder."""
    write_encoder(folder)
    write_pictures(folder / "some", 14, seed=1)
    write_pictures(folder / "few", 24, seed=2)
    (folder / "many").mkdir()
    noise = np.random.default_rng(0).integers(0, 256, (num, 20, 20, 3), dtype=np.uint8)
    for number, pixels in enumerate(noise):
        Image.fromarray(pixels).save(folder / "many" / f"{number:05d}.bmp")


def numbers(out: Path) -> tuple[bytes, dict[str, Any], dict[str, bytes]]:
    """What must come out the same: tables, the report but for times, maps."""
    report = json.loads((out / "report.json").read_text())
    with np.load(out / "attributions.npz") as arrays:
        return (out / "metrics.csv").read_bytes(), report, {name: arrays[name].tobytes() for name in arrays.files}


@pytest.mark.slow
def test_killed_in_the_middle_of_2000_pictures(tmp_path: Path) -> None:
    many(tmp_path, 2000)
    process = subprocess.Popen(command("killed"), cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    until = time.monotonic() + 200
    while len(done := list((tmp_path / "killed").rglob("*.npz"))) < 5 and time.monotonic() < until:
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert 5 <= len(done) < 32, "it was to be killed in the middle"
    assert not (tmp_path / "killed" / "report.html").exists()
    (folder,) = {path.parent for path in done}
    before = {path: path.stat().st_mtime_ns for path in folder.glob("[0-9]*.npz")}
    again = subprocess.Popen(command("killed"), cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    while again.poll() is None and len(list(folder.glob("[0-9]*.npz"))) < 30:
        time.sleep(0.02)
    after = {path: path.stat().st_mtime_ns for path in before if path.exists()}
    words, _ = again.communicate(timeout=300)
    assert again.returncode == 0
    assert f"{len(before)} of 32 blocks of pictures were done before" in words
    assert after == before, "finished pictures were done again"
    whole = run(tmp_path, "whole")
    assert whole.returncode == 0, whole.stderr[-2000:]
    assert numbers(tmp_path / "killed") == numbers(tmp_path / "whole")
    assert not (tmp_path / "killed" / ".parts").exists()


@pytest.mark.slow
def test_two_processes_answer_what_one_does(tmp_path: Path) -> None:
    many(tmp_path, 200)
    one, two = run(tmp_path, "one"), run(tmp_path, "two", "trainer.devices=2", "trainer.strategy=ddp")
    assert one.returncode == two.returncode == 0, two.stderr[-2000:]
    assert numbers(tmp_path / "one") == numbers(tmp_path / "two")
    (tmp_path / "many" / "00150.bmp").write_bytes(b"BM no more")
    failed = run(tmp_path, "failed", "trainer.devices=2", "trainer.strategy=ddp")
    assert failed.returncode == 2
    assert "00150.bmp" in failed.stderr


@pytest.mark.slow
def test_out_of_time_and_with_a_picture_that_cannot_be_read(tmp_path: Path) -> None:
    """A budget ends in a report of what is done; the same command goes on; an unreadable picture stops it, or is left out."""
    many(tmp_path, 400)
    (tmp_path / "many" / "00300.bmp").write_bytes(b"BM no more")
    late = run(tmp_path, "out", "--budget", "0.01s")
    assert late.returncode == 0, late.stderr[-2000:]
    assert "400 of 400 pictures are not explained yet" in late.stdout
    stopped = run(tmp_path, "out")
    assert stopped.returncode == 2
    assert "00300.bmp" in stopped.stderr
    assert "data.on_bad_image=skip" in stopped.stderr
    rest = run(tmp_path, "out", "data.on_bad_image=skip")
    assert rest.returncode == 0, rest.stderr[-2000:]
    assert "blocks of pictures were done before" in rest.stdout
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert (report["num_pictures"], report["num_finished"]) == (400, 399)
    with np.load(tmp_path / "out" / "attributions.npz") as arrays:
        unknown = np.isnan(arrays["rise-some"]).all((1, 2, 3))
    assert np.flatnonzero(unknown).tolist() == [300]
