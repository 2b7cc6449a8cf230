"""Thousands of pictures: killed, out of time, with one that cannot be read, on two processes; nothing is lost or done twice."""

from __future__ import annotations

import io
import json
import math
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from cocoa_pl.cli import parse_explain
from cocoa_pl.errors import CocoaError
from cocoa_pl.runs import explain
from cocoa_pl.runs.fingerprint import fingerprint
from cocoa_pl.runs.understanding import understand
from tests.e2e.asking import FEW, encoder_module, write_encoder, write_pictures
from tests.programs import Program, run

ROOT = Path(__file__).parents[2]
SCRIPT = str(ROOT / "explain.py")
_SIDE = 16
_MANY = int(os.environ.get("COCOA_MANY_PICTURES", "640"))
_IN_A_BLOCK = 64


def words(out: str, *more: str) -> list[str]:
    return [
        "--encoder", "someones_encoder:make", "--image-size", str(_SIDE), "--input", "many",
        "--corpus", "some", "--foil", "few", "--cache", "none", "--out", out, *FEW, *more,
    ]  # fmt: skip


def here(folder: Path, monkeypatch: pytest.MonkeyPatch, out: str, *more: str) -> None:
    """The command in this process, which saves its start."""
    monkeypatch.chdir(folder)
    explain(parse_explain(words(out, *more)))


def many(folder: Path, num: int) -> None:
    """So many pictures, a corpus, a foil and an encoder."""
    write_encoder(folder)
    write_pictures(folder / "some", 14, seed=1)
    write_pictures(folder / "few", 24, seed=2)
    (folder / "many").mkdir()
    noise = np.random.default_rng(0).integers(0, 256, (num, 20, 20, 3), dtype=np.uint8)
    for number, pixels in enumerate(noise):
        Image.fromarray(pixels).save(folder / "many" / f"{number:05d}.bmp")


def numbers(out: Path) -> tuple[bytes, dict[str, Any], dict[str, np.ndarray]]:
    """What must come out the same: table, the report but for times, maps."""
    report = json.loads((out / "report.json").read_text())
    with np.load(out / "attributions.npz") as arrays:
        return (out / "metrics.csv").read_bytes(), report, {name: arrays[name] for name in arrays.files}


@pytest.mark.slow
def test_killed_in_the_middle_of_many_pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """640 of them, or as many as COCOA_MANY_PICTURES says: killed and started again, they come out as if nothing had been."""
    many(tmp_path, _MANY)
    num_blocks = math.ceil(_MANY / _IN_A_BLOCK)
    killed = Program(SCRIPT, words("killed"), cwd=tmp_path)
    until = time.monotonic() + 200
    while len(done := list((tmp_path / "killed").rglob("*.npz"))) < 3 and time.monotonic() < until:
        time.sleep(0.02)
    killed.kill()
    assert 3 <= len(done) < num_blocks, "it was to be killed in the middle"
    assert not (tmp_path / "killed" / "report.html").exists()
    (folder,) = {path.parent for path in done}
    before = {path: path.stat().st_mtime_ns for path in folder.glob("[0-9]*.npz")}
    again = Program(SCRIPT, words("killed"), cwd=tmp_path)
    while again.runs and len(list(folder.glob("[0-9]*.npz"))) < num_blocks - 2:
        time.sleep(0.02)
    after = {path: path.stat().st_mtime_ns for path in before if path.exists()}
    ended = again.done()
    assert ended.returncode == 0, ended.stderr
    assert f"{len(before)} of {num_blocks} blocks of pictures were done before" in ended.stdout
    assert after == before, "finished pictures were done again"
    here(tmp_path, monkeypatch, "whole")
    (table, report, maps), (table_2, report_2, maps_2) = numbers(tmp_path / "killed"), numbers(tmp_path / "whole")
    assert (table, report, maps.keys()) == (table_2, report_2, maps_2.keys())
    assert all(maps[name].tobytes() == maps_2[name].tobytes() for name in maps)
    assert not (tmp_path / "killed" / ".parts").exists()


TWO = ("trainer.devices=2", "trainer.strategy=ddp")


@pytest.mark.slow
def test_two_processes_answer_what_one_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three blocks: one for each, and one for both together. From a list on standard input, which only the first process can read."""
    many(tmp_path, 150)
    listed = "".join(f"many/{number:05d}.bmp\n" for number in range(150))
    here(tmp_path, monkeypatch, "one")
    two = subprocess.run(
        [sys.executable, SCRIPT, *(word if word != "many" else "-" for word in words("two", *TWO))], cwd=tmp_path, input=listed,
        capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    assert two.returncode == 0, two.stderr[-2000:]
    (table, report, maps), (table_2, report_2, maps_2) = numbers(tmp_path / "one"), numbers(tmp_path / "two")
    alone = 128  # pictures in blocks of one process
    for name, values in maps.items():
        if values.dtype.kind != "f":
            continue
        np.testing.assert_array_equal(values[:alone], maps_2[name][:alone], err_msg=name)
        np.testing.assert_allclose(values, maps_2[name], rtol=1e-4, atol=1e-6, err_msg=name)
    pd.testing.assert_frame_equal(pd.read_csv(io.BytesIO(table)), pd.read_csv(io.BytesIO(table_2)), rtol=1e-4, atol=1e-5)
    assert report["facts"] == report_2["facts"]
    (tmp_path / "many" / "00100.bmp").write_bytes(b"BM no more")
    failed = run(SCRIPT, words("failed", *TWO), cwd=tmp_path)
    assert failed.returncode == 2
    assert "00100.bmp" in failed.stderr


@pytest.mark.slow
def test_fewer_pictures_than_processes_and_encoders_without_a_fingerprint(tmp_path: Path) -> None:
    many(tmp_path, 2)
    bare = [word.replace(":make", ":bare") for word in words("two", *TWO, "--against-encoder", "someones_encoder:make")]
    state = tmp_path / "state.pth"
    torch.save(encoder_module().state_dict(), state)
    done = run(SCRIPT, [*bare, "--against", str(state)], cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-2000:]
    report = json.loads((tmp_path / "two" / "report.json").read_text())
    assert (report["num_finished"], len(report["frames"])) == (2, 2)
    assert max(found["drift"] for picture in report["pictures"] for found in picture["maps"] if found["frame"] == 1) < 1e-6


def test_out_of_time_and_with_a_picture_that_cannot_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A budget ends in a report of what is done; the same command goes on; an unreadable picture stops it, or is left out."""
    many(tmp_path, 200)
    (tmp_path / "many" / "00130.bmp").write_bytes(b"BM no more")
    with pytest.raises(CocoaError, match="was too short for any picture"):
        here(tmp_path, monkeypatch, "out", "--budget", "0.01s")
    with pytest.raises(CocoaError, match=r"00130\.bmp.*data\.on_bad_image=skip"):
        here(tmp_path, monkeypatch, "out")
    with pytest.warns(UserWarning, match=r"1 of 200 pictures cannot be read and are left out: 00130\.bmp"):
        here(tmp_path, monkeypatch, "out", "data.on_bad_image=skip")
    told = capsys.readouterr().out
    assert "blocks of pictures were done before" in told
    assert "not explained yet" not in told
    assert not (tmp_path / "out" / ".parts").exists()
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert (report["num_pictures"], report["num_finished"]) == (200, 199)
    with np.load(tmp_path / "out" / "attributions.npz") as arrays:
        unknown = np.isnan(arrays["rise-some"]).all((1, 2, 3))
    assert np.flatnonzero(unknown).tolist() == [130]


@pytest.mark.parametrize("change", ["corpus", "foil", "option", "picture", "nothing"])
def test_what_decides_an_answer_is_in_its_fingerprint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: str) -> None:
    monkeypatch.chdir(tmp_path)
    many(tmp_path, 2)
    draw = np.random.default_rng(0)
    for name in ("corpus", "foil"):
        np.save(f"{name}.npy", draw.normal(size=(20, 8)).astype(np.float32))
    asked = ["--encoder", "someones_encoder:bare", "--image-size", "16", "--input", "many", "--corpus", "corpus.npy", "--foil", "foil.npy"]

    def told(*more: str) -> str:
        request = parse_explain([*asked, *more])
        return fingerprint(request, understand(request))

    before = told()
    if change in ("corpus", "foil"):
        np.save(f"{change}.npy", draw.normal(size=(20, 8)).astype(np.float32))
    if change == "picture":
        Image.new("RGB", (9, 9)).save("many/00001.bmp")
    assert (told(*(["explain.num_masks=9"] if change == "option" else [])) == before) == (change == "nothing")
