"""The examples run, are short, and do what they say."""

from __future__ import annotations

import re
import runpy
import sys
from pathlib import Path

import pytest
from PIL import Image

from cocoa_pl import Explanation

EXAMPLES = sorted((Path(__file__).parents[1] / "examples").glob("*.py"))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_examples_fit_on_a_screen(path: Path) -> None:
    assert len(path.read_text().splitlines()) < 60


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
