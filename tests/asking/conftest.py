"""What tests of answers share: a small encoder with weights of its own, pictures, and two encoders' answers on disk."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from cocoa_pl.asking.answering import Answering
from cocoa_pl.asking.assembling import Layout
from cocoa_pl.asking.parts import Parts
from cocoa_pl.asking.question import Asked
from cocoa_pl.attributions import IntegratedGradients, Rise
from cocoa_pl.encoding import FrozenEncoder
from cocoa_pl.removal import Blur
from cocoa_pl.targets import normalize

SIDE, NUM = 24, 7


def pictures(num: int, *, seed: int) -> Tensor:
    """(num, 3, SIDE, SIDE) uint8."""
    return torch.randint(0, 256, (num, 3, SIDE, SIDE), generator=torch.Generator().manual_seed(seed), dtype=torch.uint8)


def encoder(seed: int) -> FrozenEncoder:
    """Maps of a network of random weights, averaged."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = nn.Sequential(nn.Conv2d(3, 16, 5, stride=2), nn.ReLU(), nn.Conv2d(16, 10, 3, stride=2))
    return FrozenEncoder(network, pool=True, mean=(0.5,), std=(0.25,))


def answering(seed: int, **more: object) -> Answering:
    """Three targets and two methods; the question is the same for every encoder."""
    own = encoder(seed)
    corpus, foil = (normalize(own.encode(pictures(num, seed=num))) for num in (8, 30))
    none = corpus[:0]
    asked = (
        Asked("self", "self", none, none, foil[:20], foil[20:]),
        Asked("dog", "shared", corpus[:5], corpus[5:], foil[:20], foil[20:]),
        Asked("near", "neighbours", foil, foil, foil[:20], foil[20:], num=3),
    )
    methods = {"integrated_gradients": IntegratedGradients(num_steps=4), "rise": Rise(num_masks=32, grid_size=4)}
    return Answering(own, asked, methods, Blur(), curve_steps=4, **more)  # type: ignore[arg-type]


@pytest.fixture(scope="session")
def two_frames(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Layout]:
    """Answers of encoders in blocks of two pictures, two views each, as a layout."""

    def make(*seeds: int, health: tuple[float, float] = (0.2, 9.0)) -> Layout:
        parts = Parts(tmp_path_factory.mktemp("out") / ".parts", "0123456789abcdef" * 4)
        everything = pictures(NUM, seed=50)
        for frame, seed in enumerate(seeds):
            how = answering(seed, views=("original", "flip"), keep_draws=len(seeds) > 1)
            for block, ids in enumerate(torch.arange(NUM).split(2)):
                parts.write(frame, block, how.answer(everything[ids], ids))
        return Layout(parts, len(seeds), NUM, 2, how.traces, (health,) * len(seeds))

    return make
