"""Which trainers have a whole encoder to explain."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from pytorch_lightning.strategies import DDPStrategy, FSDPStrategy, ModelParallelStrategy, SingleDeviceStrategy, Strategy

from cocoa_pl.callbacks.finding import refuse_sharded
from cocoa_pl.errors import ConfigError


def _trainer(strategy: Strategy) -> Any:
    return SimpleNamespace(strategy=strategy)


@pytest.mark.parametrize("strategy", [FSDPStrategy(), ModelParallelStrategy()], ids=["FSDP", "model parallel"])
def test_a_strategy_that_shares_out_parameters_is_refused(strategy: Strategy) -> None:
    message = f"strategy {type(strategy).__name__} shares out the encoder's parameters; .* take strategy='ddp'"
    with pytest.raises(ConfigError, match=message):
        refuse_sharded(_trainer(strategy))


def test_whole_encoders_pass() -> None:
    refuse_sharded(_trainer(DDPStrategy()))
    refuse_sharded(_trainer(SingleDeviceStrategy()))
