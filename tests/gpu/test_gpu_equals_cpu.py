"""What a GPU computes is what the CPU computes: every method, every target, every removal.

``COCOA_TEST_DEVICE=cpu python -m pytest -m gpu tests/gpu`` runs the same without a GPU, to see that the tests themselves work.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from cocoa_pl.encoding import FrozenEncoder
from cocoa_pl.explainer import Explainer
from cocoa_pl.explanation import Explanation
from cocoa_pl.registry import ATTRIBUTIONS, CONTROLS, REMOVALS, TARGETS
from cocoa_pl.removal import Blur
from cocoa_pl.types import Attribution, Removal, Target

pytestmark = pytest.mark.gpu
METHODS = {name: table for table in (ATTRIBUTIONS, CONTROLS) for name in table}
CHEAP = {"num_steps": 5, "num_samples": 64, "num_masks": 96, "grid_size": 4, "num_segments": 8, "compactness": 1000}
SHAPE = (3, 16, 20)
POOLS = [*((name, SHAPE) for name in REMOVALS), ("random_image", (3, 16, 10))]  # pictures that some removals draw from


@pytest.fixture
def device() -> Iterator[torch.device]:
    """The device that is held against the CPU, in full single precision."""
    name = os.environ.get("COCOA_TEST_DEVICE", "cuda")
    if name == "cuda" and not torch.cuda.is_available():
        pytest.skip("there is no CUDA device")
    matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    before = matmul.allow_tf32, cudnn.allow_tf32
    matmul.allow_tf32 = cudnn.allow_tf32 = False
    yield torch.device(name)
    matmul.allow_tf32, cudnn.allow_tf32 = before


def pictures(num: int, *, seed: int, shape: tuple[int, int, int] = SHAPE) -> Tensor:
    return torch.rand(num, *shape, generator=torch.Generator().manual_seed(seed))


def made(kind: Any, **options: Any) -> Any:
    """With those of the options that it has."""
    return kind(**{name: value for name, value in options.items() if name in inspect.signature(kind).parameters})


def explain(device: torch.device, *, method: str = "rise", target: str = "cocoa", removal: Removal | None = None) -> Explanation:
    """Everything on one device: encoder, references, explicands."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net = nn.Sequential(nn.Conv2d(3, 6, 3), nn.BatchNorm2d(6), nn.Softplus(), nn.Conv2d(6, 5, 3, stride=2), nn.Tanh())
        for conv in (net[0], net[3]):
            conv.weight.data *= 4  # what a map holds has to stand out from rounding
    encoder, weights = FrozenEncoder(net, mean=[0.4], std=[0.3], pool=True, device=device), torch.linspace(-1, 1, 15).view(5, 3)
    reps, corpus, foil = (encoder.encode(pictures(num, seed=num)) for num in (3, 4, 6))
    given: Target = made(
        TARGETS.load(target), explicand_reps=reps, corpus_reps=corpus, foil_reps=foil, head=lambda seen: seen @ weights.to(seen.device)
    )  # fmt: skip
    attribution: Attribution = made(METHODS[method].load(method), **CHEAP)
    explainer = Explainer(encoder, attributions={"it": attribution}, removal=removal or Blur(), chunk_size=50)
    found = explainer.explain(pictures(3, seed=3), given, seed=11)
    assert found.attributions["it"].device.type == found.scores.device.type == device.type
    return found


def assert_same(on_device: Explanation, on_cpu: Explanation) -> None:
    torch.testing.assert_close(on_device.scores.cpu(), on_cpu.scores, atol=1e-5, rtol=1e-4)
    for kind in ("attributions", "standard_errors", "reliability"):
        theirs, ours = getattr(on_device, kind), getattr(on_cpu, kind)
        assert theirs.keys() == ours.keys()
        for name, values in ours.items():
            torch.testing.assert_close(theirs[name].cpu(), values, atol=float(values.abs().max()) * 1e-3, rtol=0, msg=kind)
    assert on_device.num_samples == on_cpu.num_samples
    assert on_cpu.attributions["it"].flatten(2).std(dim=2).min() > 0


@pytest.mark.parametrize("method", METHODS)
def test_every_method(device: torch.device, method: str) -> None:
    assert_same(explain(device, method=method), explain(torch.device("cpu"), method=method))


@pytest.mark.parametrize("target", TARGETS)
def test_every_target(device: torch.device, target: str) -> None:
    assert_same(explain(device, target=target), explain(torch.device("cpu"), target=target))


@pytest.mark.parametrize(("name", "shape"), POOLS)
def test_every_removal(device: torch.device, name: str, shape: tuple[int, int, int]) -> None:
    removal: Removal = made(REMOVALS.load(name), pool=pictures(4, seed=8, shape=shape))
    on_device, on_cpu = explain(device, removal=removal), explain(torch.device("cpu"), removal=removal)
    assert_same(on_device, on_cpu)
    if isinstance(on_cpu.baseline, Tensor):
        torch.testing.assert_close(on_device.baseline.cpu(), on_cpu.baseline, atol=1e-5, rtol=0)
