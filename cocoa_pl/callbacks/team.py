"""The processes of a trainer as a team that shares out explanations."""

from __future__ import annotations

from typing import Any

import pytorch_lightning as pl
import torch
import torch.distributed
from torch import Tensor, nn

from cocoa_pl.sharing import ALONE, Team
from cocoa_pl.types import Rows


def team_of(trainer: pl.Trainer) -> Team:
    """The team of a trainer that runs; of this process alone where it is the only one."""
    return ALONE if trainer.world_size == 1 else team_of_processes(trainer.strategy.root_device)


def team_of_processes(device: torch.device) -> Team:
    """The team of all processes of torch's default group, of which this one works on ``device``."""

    def add(values: Tensor) -> Tensor:
        total = values.to(device, copy=True)  # not in place: a share may be needed again
        torch.distributed.all_reduce(total)
        return total.to(values.device)

    return Team(torch.distributed.get_rank(), torch.distributed.get_world_size(), _gather, add)


def take_from_first(module: object, team: Team) -> None:
    """Give a module the parameters and buffers of process zero's: DDP lets running statistics differ until the next forward pass.

    Raises:
        PeerError: another process failed.
    """
    if team.size == 1 or not isinstance(module, nn.Module):
        return
    team.meet({})
    with torch.no_grad():
        for values in (*module.parameters(), *module.buffers()):
            same = values.contiguous().clone()
            torch.distributed.broadcast(same, src=0)
            values.copy_(same)


def _gather(rows: Rows) -> list[Rows]:
    parts: list[Any] = [None] * torch.distributed.get_world_size()
    torch.distributed.all_gather_object(parts, rows)
    return parts
