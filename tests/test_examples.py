"""The examples run, are short, and do what they say."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

import pytest
import torch
import torchvision
from PIL import Image

EXAMPLES = sorted((Path(__file__).parents[1] / "examples").glob("*.py"))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_examples_fit_on_a_screen(path: Path) -> None:
    assert len(path.read_text().splitlines()) < 60


@pytest.mark.parametrize("weights", [False, True], ids=["random weights", "weights from a file"])
def test_any_encoder(weights: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    argv = ["--out", str(tmp_path / "sheet.png"), "--size", "32", "--masks", "8"]
    if weights:
        torch.save(torchvision.models.resnet18(weights=None).state_dict(), tmp_path / "resnet18.pth")
        argv += ["--weights", str(tmp_path / "resnet18.pth")]
    monkeypatch.setattr(sys, "argv", ["explain_any_encoder.py", *argv])
    runpy.run_path(str(EXAMPLES[0].with_name("explain_any_encoder.py")), run_name="__main__")
    sheet = Image.open(tmp_path / "sheet.png").convert("RGB")
    assert sheet.width >= 600
    assert len(sheet.getcolors(maxcolors=2**24) or []) > 100  # pictures and maps, not a blank page
    assert "scores" in capsys.readouterr().out
