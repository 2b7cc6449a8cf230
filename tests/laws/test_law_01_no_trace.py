"""Law 1: weights, optimiser and loss curve are bit-identical with explanations on or off."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from cocoa_pl.config import Config
from cocoa_pl.runs import train
from tests.overrides import TEXTS

Logged = Callable[[Path], dict[tuple[int, str], float]]


@pytest.mark.parametrize(
    "extra", [(), ("model.ema_decay=0.9", "trainer.accumulate=2"), TEXTS], ids=["plain", "ema and accumulation", "images and captions"]
)
def test_explaining_leaves_no_trace(tmp_path: Path, smoke_config: Callable[..., Config], logged: Logged, extra: tuple[str, ...]) -> None:
    checkpoints, losses = [], []
    for enabled in ("true", "false"):
        train(smoke_config(tmp_path / enabled, f"explain.enabled={enabled}", *extra))
        folder = tmp_path / enabled / "smoke"
        checkpoints.append(torch.load(folder / "last.ckpt", weights_only=True))
        losses.append({key: value for key, value in logged(folder).items() if key[1].startswith(("train/", "val/"))})
    explained, plain = checkpoints
    assert explained["state_dict"].keys() == plain["state_dict"].keys()
    for name, value in explained["state_dict"].items():
        assert torch.equal(value, plain["state_dict"][name]), name
    _assert_same(explained["optimizer_states"], plain["optimizer_states"])
    assert losses[0] == losses[1]
    assert any("train/loss" in name for _, name in losses[0])


def _assert_same(first: object, second: object) -> None:
    if isinstance(first, torch.Tensor):
        assert isinstance(second, torch.Tensor)
        assert torch.equal(first, second)
    elif isinstance(first, dict):
        assert isinstance(second, dict)
        assert first.keys() == second.keys()
        for key in first:
            _assert_same(first[key], second[key])
    elif isinstance(first, list):
        assert isinstance(second, list)
        assert len(first) == len(second)
        for one, other in zip(first, second, strict=True):
            _assert_same(one, other)
    else:
        assert first == second
