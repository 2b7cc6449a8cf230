"""What the laws share: a small encoder, and every entry of every table with cheap options."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping

import pytest
import torch
from torch import Tensor, nn

from cocoa_pl.encoding import FrozenEncoder
from cocoa_pl.registry import ATTRIBUTIONS, CONTROLS, REMOVALS, TARGETS
from cocoa_pl.targets import cocoa
from cocoa_pl.types import Attribution, Removal, Target

collect_ignore = ["conftest.py"]  # as a module of doctests: two modules of one name cannot be collected
_CHEAP = {"num_steps": 3, "num_samples": 48, "num_masks": 8, "grid_size": 3, "num_segments": 6}


@pytest.fixture
def tiny_encoder() -> FrozenEncoder:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net = nn.Sequential(nn.Conv2d(3, 6, 3), nn.BatchNorm2d(6), nn.Softplus(), nn.Conv2d(6, 5, 3, stride=2), nn.Tanh())
        return FrozenEncoder(net, mean=(0.4, 0.5, 0.6), std=(0.2, 0.3, 0.2), pool=True)


@pytest.fixture
def tiny_explicands() -> Tensor:
    return torch.rand(5, 3, 8, 10, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def tiny_targets(tiny_encoder: FrozenEncoder) -> Callable[[Tensor], list[Target]]:
    """Every target of the table for given explicands, and COCOA with a corpus for each explicand."""
    draw = torch.Generator().manual_seed(2)
    corpus, foil = (tiny_encoder.encode(torch.rand(n, 3, 8, 10, generator=draw)) for n in (4, 6))
    weights = torch.randn(5, 3, generator=draw)

    def make(explicands: Tensor) -> list[Target]:
        reps = tiny_encoder.encode(explicands)
        given = {"explicand_reps": reps, "corpus_reps": corpus, "foil_reps": foil, "head": lambda x: x @ weights}
        made = []
        for name in TARGETS:
            builder = TARGETS.load(name)
            made.append(builder(**{key: given[key] for key in inspect.signature(builder).parameters if key in given}))
        own = torch.stack([reps, reps.flip(1)], dim=1)  # a corpus of two for each explicand
        return [*made, cocoa(own, foil, name="own")]

    return make


@pytest.fixture
def every_method() -> Mapping[str, Attribution]:
    """Every method and control."""
    made = {}
    for table in (ATTRIBUTIONS, CONTROLS):
        for name in table:
            method = table.load(name)
            known = inspect.signature(method).parameters
            made[name] = method(**{option: value for option, value in _CHEAP.items() if option in known})
    return made


@pytest.fixture
def every_removal() -> Mapping[str, Removal]:
    """Every removal, those that draw from images with a pool of noise."""
    pool = torch.rand(4, 3, 8, 10, generator=torch.Generator().manual_seed(3))
    kinds = {name: REMOVALS.load(name) for name in REMOVALS}
    return {name: kind(pool=pool) if "pool" in inspect.signature(kind).parameters else kind() for name, kind in kinds.items()}
