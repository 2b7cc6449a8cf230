"""The benchmarks run; what they measure is written in benchmarks/README.md and never asserted."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.programs import run

ROOT = Path(__file__).parents[1]
NAMES = sorted(path.stem for path in (ROOT / "benchmarks").glob("*.py") if path.stem not in ("__init__", "common"))


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_a_benchmark_prints_a_table(name: str) -> None:
    done = run(f"benchmarks.{name}", ["--smoke"])
    assert done.returncode == 0, done.stderr
    assert "|---" in done.stdout


@pytest.mark.parametrize("name", NAMES)
def test_every_benchmark_has_its_figures_written_down(name: str) -> None:
    assert f"python -m benchmarks.{name}" in (ROOT / "benchmarks" / "README.md").read_text()
