"""The monitor under faults: every process meets the others in the gather, whatever happened to its own share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from cocoa_pl.attributions import Rise
from cocoa_pl.build import build_explain_set, build_splits, load_encoder
from cocoa_pl.config import Config
from cocoa_pl.data.explain_set import ExplainSet
from cocoa_pl.errors import ConfigError, DataError
from cocoa_pl.monitor import Monitor, Rows
from cocoa_pl.removal import Black


@pytest.fixture
def given(smoke_config: Callable[..., Config], tmp_path: Path) -> ExplainSet:
    config = smoke_config(tmp_path)
    return build_explain_set(config, build_splits(config))


class Broken:
    def num_forwards(self, num: int, height: int, width: int) -> int:
        return 0

    def __call__(self, score_fn: object, explicands: Tensor, baseline: object, *, seed: int, chunk_size: int) -> Tensor:
        raise ValueError("no such luck")


def test_a_process_that_fails_still_meets_the_others_and_then_raises(given: ExplainSet, smoke_run: Path) -> None:
    monitor, met = Monitor(given, attributions={"broken": Broken()}, removal=Black()), []

    def gather(rows: Rows) -> list[Rows]:
        met.append(rows)
        return [rows]

    with pytest.raises(ValueError, match="no such luck"):
        monitor.look(load_encoder(smoke_run), gather=gather)
    assert bytes(met[0]["error"].tolist()).decode() == "ValueError: no such luck"


def test_the_others_raise_what_the_one_has_met(given: ExplainSet, smoke_run: Path) -> None:
    monitor = Monitor(given, attributions={"rise": Rise(num_masks=4, grid_size=2)}, removal=Black())
    error = {"error": torch.tensor(list(b"ValueError: no such luck"), dtype=torch.uint8), "num_forwards": torch.tensor([0])}
    with pytest.raises(DataError, match="process 1 could not explain its share: ValueError: no such luck"):
        monitor.look(load_encoder(smoke_run), world_size=2, gather=lambda rows: [rows, error])


def test_a_name_that_would_break_a_trace_is_refused(given: ExplainSet) -> None:
    with pytest.raises(ConfigError, match="attribution name 'rise-1000': must hold neither"):
        Monitor(given, attributions={"rise-1000": Rise()}, removal=Black())
