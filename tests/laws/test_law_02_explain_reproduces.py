"""Law 2: explain.py on the last checkpoint reproduces the last epoch's logged explanation scalars exactly."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from cocoa_pl.cli import Request
from cocoa_pl.config import Config
from cocoa_pl.runs import explain, train
from tests.overrides import TEXTS

Logged = Callable[[Path], dict[tuple[int, str], float]]
_MACHINE = {"explain/seconds", "explain/share_of_epoch"}


_RUNS = {
    "weights": (),
    "moving average": ("model.ema_decay=0.9",),
    "texts": TEXTS,
}


@pytest.mark.parametrize("kind", _RUNS)
def test_explaining_the_last_checkpoint_gives_the_logged_numbers(
    tmp_path: Path, smoke_run: Path, smoke_config: Callable[..., Config], logged: Logged, kind: str
) -> None:
    folder = smoke_run
    if overrides := _RUNS[kind]:
        train(smoke_config(tmp_path, *overrides))
        folder = tmp_path / "smoke"
    explain(Request((folder / "last.ckpt",), out=tmp_path / "report"))
    again = json.loads((tmp_path / "report" / "report.json").read_text())["scalars"]
    before = {name: value for (step, name), value in logged(folder).items() if step == 2 and name.startswith("explain/")}
    assert before.keys() - _MACHINE == again.keys()
    assert {name for name in again if "drift" in name}
    assert any("-text/" in name for name in again) == (kind == "texts")
    for name, value in again.items():
        assert value == before[name] or (value is None and before[name] != before[name]), name
