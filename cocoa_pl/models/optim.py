"""Optimisers and learning-rate courses, each a function of its numbers."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from lightly.models.utils import get_weight_decay_parameters
from lightly.utils.lars import LARS
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

ParamGroups = Iterable[Mapping[str, Any]]
Factor = Callable[[int], float]


@dataclass(frozen=True)
class OptimSpec:
    """How to build optimiser and course: ``optimizer`` and ``schedule`` are functions of this module.

    Attributes:
        optimizer: (parameter groups, lr) to an optimiser.
        schedule: (total steps, warm-up steps) to a function from the step to a factor of the peak learning rate.
        lr: peak learning rate, already scaled.
        weight_decay: of weights; biases and norm layers have none.
        warmup_epochs: epochs of rising learning rate.
    """

    optimizer: Callable[[ParamGroups, float], Optimizer]
    schedule: Callable[[int, int], Factor]
    lr: float
    weight_decay: float
    warmup_epochs: float

    def build(self, modules: list[nn.Module], *, total_steps: int, epochs: int) -> tuple[Optimizer, LambdaLR]:
        """The optimiser over the modules' parameters, and its schedule by step."""
        decayed, plain = get_weight_decay_parameters(modules)
        groups = [{"params": decayed, "weight_decay": self.weight_decay}, {"params": plain, "weight_decay": 0.0}]
        optimizer = self.optimizer([group for group in groups if group["params"]], self.lr)
        warmup = round(self.warmup_epochs / epochs * total_steps)
        return optimizer, LambdaLR(optimizer, self.schedule(total_steps, min(warmup, total_steps - 1)))


def adamw(groups: ParamGroups, lr: float) -> Optimizer:
    """AdamW (Loshchilov & Hutter, ICLR 2019)."""
    return torch.optim.AdamW([dict(group) for group in groups], lr=lr)


def sgd(groups: ParamGroups, lr: float) -> Optimizer:
    """SGD with momentum .9."""
    return torch.optim.SGD([dict(group) for group in groups], lr=lr, momentum=0.9)


def lars(groups: ParamGroups, lr: float) -> Optimizer:
    """LARS (You, Gitman & Ginsburg, 2017), SimCLR's optimiser for large batches, with momentum .9."""
    optimizer: Optimizer = LARS([dict(group) for group in groups], lr=lr, momentum=0.9)
    return optimizer


def one_cycle(total: int, warmup: int) -> Factor:
    """Half a cosine up from 1/25 during the warm-up, half a cosine down to 0 (after Smith & Topin, 2018)."""

    def factor(step: int) -> float:
        if step < warmup:
            return 1 / 25 + (1 - 1 / 25) * (1 - math.cos(math.pi * step / warmup)) / 2
        return _cosine((step - warmup) / max(1, total - warmup))

    return factor


def warmup_cosine(total: int, warmup: int) -> Factor:
    """A straight line up from near 0, half a cosine down to 0: SimCLR's schedule."""
    return lambda step: (step + 1) / (warmup + 1) if step < warmup else _cosine((step - warmup) / max(1, total - warmup))


def constant(total: int, warmup: int) -> Factor:
    """A straight line up during the warm-up, then constant."""
    return lambda step: (step + 1) / (warmup + 1) if step < warmup else 1.0


def _cosine(progress: float) -> float:
    return (1 + math.cos(math.pi * min(1.0, progress))) / 2
