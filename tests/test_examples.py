"""The examples run, are short, and do what they say."""

from __future__ import annotations

import re
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage import data

from cocoa_pl import Explanation
from cocoa_pl.cli import parse_explain
from cocoa_pl.runs import explain

EXAMPLES = sorted((Path(__file__).parents[1] / "examples").glob("*.py"))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_examples_fit_on_a_screen(path: Path) -> None:
    assert len(path.read_text().splitlines()) < 60


@pytest.mark.slow
def test_an_imagenet_encoder_for_explain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What docs/results/imagenet_stamps.md does, with crops of two photographs as corpora: each is like its own."""
    monkeypatch.chdir(EXAMPLES[0].parents[1])
    rng = np.random.default_rng(0)
    for name in ("cat", "coffee"):
        pixels = getattr(data, name)()
        (tmp_path / name).mkdir()
        Image.fromarray(pixels[:, : pixels.shape[0]]).save(tmp_path / f"{name}.jpg")
        for number in range(12):
            top, left = (int(rng.integers(0, side - 200)) for side in pixels.shape[:2])
            Image.fromarray(pixels[top : top + 200, left : left + 200]).save(tmp_path / name / f"{number}.png")
    corpora = [str(tmp_path / name) for name in ("cat", "coffee")]
    argv = ["--encoder", "examples.imagenet_encoder:efficientnet_lite0", "--mean", "0.498", "--std", "0.502", "--cache", "none"]
    argv += ["--input", str(tmp_path / "cat.jpg"), str(tmp_path / "coffee.jpg"), "--corpus", *corpora, "--out", str(tmp_path / "report")]
    findings = explain(parse_explain([*argv, "explain.num_masks=16", "explain.curve_steps=2", "trainer.accelerator=cpu"]))
    assert findings is not None
    of_rise = [trace.key for trace in findings.traces].index("rise-cat"), [trace.key for trace in findings.traces].index("rise-coffee")
    scores = findings.columns["score"][0, of_rise, :, 0]
    assert scores[0, 0] > 0 > scores[0, 1]
    assert scores[1, 1] > 0 > scores[1, 0]
    assert float(findings.columns["auroc"][0, of_rise[0], 0, 0]) > 0.9


@pytest.mark.slow
def test_any_encoder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """An ImageNet network, real photographs: every map lies on the photograph that its corpus is made of."""
    monkeypatch.setattr(sys, "argv", ["explain_any_encoder.py", "--out", str(tmp_path), "--masks", "100"])
    runpy.run_path(str(EXAMPLES[0].with_name("explain_any_encoder.py")), run_name="__main__")
    shares = [float(share) for share in re.findall(r"rise ([\d.]+)", capsys.readouterr().out)]
    assert len(shares) == 4
    assert min(shares) > 0.5  # a quarter by chance
    sheet = Image.open(tmp_path / "cat.png").convert("RGB")
    assert len(sheet.getcolors(maxcolors=2**24) or []) > 1000  # pictures and maps, not a blank page
    assert Explanation.load(tmp_path / "four-photographs").targets == ("astronaut", "cat", "coffee", "rocket")
