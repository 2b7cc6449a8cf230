"""What the laws share: a small encoder, and every target and every method of the tables with cheap options."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from cocoa_pl.encoding import FrozenEncoder
from cocoa_pl.targets import DirectionTarget, cocoa, contrastive_label_free, corpus_similarity, label_free

collect_ignore = ["conftest.py"]  # as a module of doctests: two modules of one name cannot be collected


@pytest.fixture
def tiny_encoder() -> FrozenEncoder:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net = nn.Sequential(nn.Conv2d(3, 6, 3), nn.BatchNorm2d(6), nn.Softplus(), nn.Conv2d(6, 5, 3, stride=2), nn.Tanh())
        return FrozenEncoder(net, mean=(0.4, 0.5, 0.6), std=(0.2, 0.3, 0.2))


@pytest.fixture
def tiny_explicands() -> Tensor:
    return torch.rand(5, 3, 8, 10, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def tiny_targets(tiny_encoder: FrozenEncoder) -> Callable[[Tensor], list[DirectionTarget]]:
    """Targets of every kind for given explicands."""
    draw = torch.Generator().manual_seed(2)
    corpus, foil = (tiny_encoder.encode(torch.rand(n, 3, 8, 10, generator=draw)) for n in (4, 6))

    def make(explicands: Tensor) -> list[DirectionTarget]:
        reps = tiny_encoder.encode(explicands)
        own = torch.stack([reps, reps.flip(1)], dim=1)  # a corpus of two for each explicand
        return [
            label_free(reps), contrastive_label_free(reps, foil), corpus_similarity(corpus), cocoa(corpus, foil),
            cocoa(own, foil, name="own"),
        ]  # fmt: skip

    return make
