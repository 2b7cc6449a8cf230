"""What the tests of attributions share: a small CNN and targets of every kind."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from cocoa_pl.encoding import FrozenEncoder
from cocoa_pl.targets import DirectionTarget, cocoa, contrastive_label_free, corpus_similarity, label_free

collect_ignore = ["conftest.py"]  # as a module of doctests: two modules of one name cannot be collected


@pytest.fixture
def encoder() -> FrozenEncoder:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        return FrozenEncoder(nn.Sequential(nn.Conv2d(3, 6, 3), nn.Softplus(), nn.Conv2d(6, 5, 3, stride=2), nn.Tanh()))


@pytest.fixture
def explicands() -> Tensor:
    return torch.rand(3, 3, 9, 11, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def targets(encoder: FrozenEncoder, explicands: Tensor) -> DirectionTarget:
    draw = torch.Generator().manual_seed(1)
    reps, corpus, foil = encoder.encode(explicands), *(encoder.encode(torch.rand(n, 3, 9, 11, generator=draw)) for n in (4, 6))
    return label_free(reps) + contrastive_label_free(reps, foil) + corpus_similarity(corpus) + cocoa(corpus, foil)
