"""The monitor under faults: every process meets the others in the gather, whatever happened to its own share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from torch import Tensor

from cocoa_pl.attributions import Rise
from cocoa_pl.build import build_explain_set, build_splits, load_encoder
from cocoa_pl.config import Config
from cocoa_pl.data.explain_set import ExplainSet
from cocoa_pl.errors import ConfigError, PeerError
from cocoa_pl.monitor import Look, Monitor
from cocoa_pl.removal import Black
from cocoa_pl.sharing import Team
from tests.teams import in_team


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
    encoders = [load_encoder(smoke_run) for _ in range(2)]

    def look(team: Team) -> Look:
        method = Broken() if team.rank == 1 else Rise(num_masks=4, grid_size=2)
        return Monitor(given, attributions={"rise": method}, removal=Black()).look(encoders[team.rank], team=team)

    first, second = in_team(2, look)
    assert isinstance(second, ValueError)
    assert isinstance(first, PeerError)
    assert str(first) == "process 1 could not do its share: ValueError: no such luck"


def test_a_name_that_would_break_a_trace_is_refused(given: ExplainSet) -> None:
    with pytest.raises(ConfigError, match="attribution name 'rise-1000': must hold neither"):
        Monitor(given, attributions={"rise-1000": Rise()}, removal=Black())
