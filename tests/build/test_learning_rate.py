"""The learning rate is scaled by the images of an optimisation step, on however many devices."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from cocoa_pl.build import build_optim
from cocoa_pl.config import Config


@pytest.mark.parametrize(("rule", "factor"), [("none", 1), ("linear", 4), ("sqrt", 2)])
@pytest.mark.parametrize(
    "machines", [(), ("trainer.devices=4", "trainer.num_nodes=2", "trainer.strategy=ddp")], ids=["one device", "eight"]
)
def test_scaling(tmp_path: Path, smoke_config: Callable[..., Config], rule: str, factor: float, machines: tuple[str, ...]) -> None:
    batches = ("data.num_train=600", "data.batch_size=512", "trainer.accumulate=2")  # 1024 images, four times 256
    config = smoke_config(tmp_path, "optim.lr=0.1", f"optim.scale_lr={rule}", *batches, *machines)
    assert build_optim(config).lr == pytest.approx(0.1 * factor)
