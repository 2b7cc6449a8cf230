"""The benchmarks run; what they measure is written in benchmarks/README.md and never asserted."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
NAMES = sorted(path.stem for path in (ROOT / "benchmarks").glob("*.py") if path.stem not in ("__init__", "common"))


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_a_benchmark_prints_a_table(name: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", f"benchmarks.{name}", "--smoke"], cwd=ROOT, capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stderr
    assert "|---" in done.stdout


@pytest.mark.parametrize("name", NAMES)
def test_every_benchmark_has_its_figures_written_down(name: str) -> None:
    assert f"python -m benchmarks.{name}" in (ROOT / "benchmarks" / "README.md").read_text()
