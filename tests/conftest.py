"""What tests share: a run of seconds, and the same machine state for all."""

from __future__ import annotations

import csv
import gc
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from cocoa_pl.config import Config, load_config, read_yaml

ROOT = Path(__file__).parents[1]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long tests come first, so that at the end no process is left alone with one of them."""
    items.sort(key=lambda item: not any(item.get_closest_marker(name) for name in ("slow", "browser")))


@pytest.fixture(autouse=True, scope="session")
def _two_threads() -> None:
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "2")))


@pytest.fixture
def objects_set_aside() -> Iterator[None]:
    """What is there before a test is left out of garbage collections: half a million objects, and half a second each time otherwise."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture(scope="session")
def smoke_config() -> Callable[..., Config]:
    """``configs/smoke.yaml`` made smaller still, with a root of one's own and ``key=value`` overrides."""

    def make(root: Path, *overrides: str) -> Config:
        tiny = [
            "data.num_train=96",
            "data.num_val=24",
            "data.num_bank=64",
            "explain.corpus_size=1",
            "trainer.accelerator=cpu",
            "trainer.progress_bar=false",
        ]
        return load_config(read_yaml(ROOT / "configs/smoke.yaml"), overrides=[*tiny, f"run.root={root}", *overrides])

    return make


@pytest.fixture(scope="session")
def smoke_run(tmp_path_factory: pytest.TempPathFactory, smoke_config: Callable[..., Config]) -> Path:
    """The folder of a finished run of two epochs; tests only read it."""
    from cocoa_pl.runs import train

    root = tmp_path_factory.mktemp("runs")
    train(smoke_config(root))
    return root / "smoke"


@pytest.fixture(scope="session")
def logged() -> Callable[[Path], dict[tuple[int, str], float]]:
    """``metrics.csv`` as (step, metric) to value."""

    def read(folder: Path) -> dict[tuple[int, str], float]:
        with (folder / "metrics.csv").open(newline="") as file:
            return {(int(row["step"]), row["metric"]): float(row["value"]) for row in csv.DictReader(file)}

    return read
