"""Work that the processes of a trainer do as a team, by Lightning's prediction loop: it starts them, places them, and ends them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar

import pytorch_lightning as pl
import torch
from torch.utils.data import DataLoader

from cocoa_pl.callbacks.predicting import run
from cocoa_pl.callbacks.team import team_of
from cocoa_pl.sharing import ALONE, Team

_T = TypeVar("_T")
Work = Callable[[Team, torch.device], _T]
"""The team and this process's device to anything."""


def in_team(trainer: pl.Trainer, work: Work[_T]) -> _T:
    """Do something in every process of a trainer; what this process makes of it.

    Raises:
        KeyboardInterrupt: Ctrl-C.
    """
    if trainer.world_size == 1:
        return work(ALONE, trainer.strategy.root_device)
    working = _Working(work)
    run(trainer, working)
    (made,) = working.made
    return made


class _Working(pl.LightningModule, Generic[_T]):
    """A module whose only prediction is the work."""

    def __init__(self, work: Work[_T]) -> None:
        super().__init__()
        self.work = work
        self.made: list[_T] = []

    def predict_dataloader(self) -> DataLoader[Any]:
        return DataLoader([0])  # type: ignore[arg-type]

    def predict_step(self, batch: Any, batch_idx: int, dataloader_idx: int = 0) -> None:
        with torch.inference_mode(False), torch.enable_grad():
            self.made.append(self.work(team_of(self.trainer), self.device))
