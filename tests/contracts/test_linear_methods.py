"""Every attribution method is linear in the score: the study explains sums of directions by the maps of few.

The map of a difference of two directions is the difference of their maps, and a direction twice as long has a map twice as large, whether
they are explained in one pass or apart. A method with a positive part, such as Grad-CAM with ``relu``, would not be.
"""

from __future__ import annotations

import inspect

import pytest
import torch
from torch import Tensor, nn

from cocoa_pl.attributions import GradCam
from cocoa_pl.encoding import FrozenEncoder
from cocoa_pl.registry import ATTRIBUTIONS
from cocoa_pl.removal import Blur
from cocoa_pl.rng import generator
from cocoa_pl.study.asking import Known, ask, wanted
from cocoa_pl.study.results import SETTINGS, TARGETS
from cocoa_pl.targets import DirectionTarget, cocoa, contrastive_label_free, corpus_similarity, label_free, normalize
from cocoa_pl.types import Attribution, Scorer, Target

SIDE = 16
_CHEAP = {"num_steps": 3, "num_samples": 24, "num_masks": 12, "grid_size": 3, "num_segments": 6}


def cheap(name: str) -> Attribution:
    method = ATTRIBUTIONS.load(name)
    known = inspect.signature(method).parameters
    made: Attribution = method(**{option: value for option, value in _CHEAP.items() if option in known})
    return made


@pytest.fixture(scope="module")
def encoder() -> FrozenEncoder:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net = nn.Sequential(nn.Conv2d(3, 6, 3), nn.ReLU(), nn.Conv2d(6, 8, 3, stride=2), nn.ReLU())
    return FrozenEncoder(net, pool=True)


def pictures(num: int, *, seed: int) -> Tensor:
    return torch.rand(num, 3, SIDE, SIDE, generator=generator(seed, "pictures"))


def maps_of(method: Attribution, encoder: FrozenEncoder, target: Target) -> Tensor:
    explicands = pictures(2, seed=0)
    return method(Scorer(encoder, target), explicands, Blur()(explicands), seed=3, chunk_size=16)


def near(found: Tensor, expected: Tensor) -> bool:
    """Equal up to a share of the largest value, which is what single precision leaves of differences."""
    return bool(((found - expected).abs().amax((-2, -1)) <= 2e-5 * expected.abs().amax() + 1e-8).all())


@pytest.mark.parametrize("name", ATTRIBUTIONS)
def test_maps_of_sums_are_sums_of_maps(name: str, encoder: FrozenEncoder) -> None:
    a, b = torch.randn(2, 2, 8, generator=generator(1)).unbind(0)  # a direction for each of two explicands
    alone = DirectionTarget(torch.stack([a, b]), names=["a", "b"])
    sums = DirectionTarget(torch.stack([a - b, 2 * a + b, -a]), names=["difference", "sum", "opposite"])
    method = cheap(name)
    first, second = maps_of(method, encoder, alone)
    assert float((first - second).abs().max()) > 0
    assert near(maps_of(method, encoder, sums), torch.stack([first - second, 2 * first + second, -first]))


@pytest.mark.parametrize("name", ATTRIBUTIONS)
def test_the_study_s_maps_are_those_of_the_paper_s_targets_explained_one_by_one(name: str, encoder: FrozenEncoder) -> None:
    own, foil = encoder.encode(pictures(2, seed=0)), encoder.encode(pictures(9, seed=2))
    corpora = encoder.encode(pictures(8, seed=3)).view(2, 4, 8)
    known = Known(own, corpora, foil, {"same": torch.tensor([0, 1]), "different": torch.tensor([1, 0])})
    asked = ask(known, wanted(TARGETS, SETTINGS))
    assert len(asked.target.names) == 4  # explicand, foil, two corpora
    method = cheap(name)
    found = asked.maps(maps_of(method, encoder, asked.target))
    meets = {"same": corpora, "different": corpora.flip(0)}
    literal = {("label_free", "any"): label_free(own), ("contrastive_label_free", "any"): contrastive_label_free(own, foil)}
    literal |= {("corpus", setting): corpus_similarity(met) for setting, met in meets.items()}
    literal |= {("cocoa", setting): cocoa(met, foil) for setting, met in meets.items()}
    assert set(found) == set(literal)
    scale = float(maps_of(method, encoder, DirectionTarget(normalize(foil).mean(0)[None], names=["foil"])).abs().max())
    for key, target in literal.items():
        (expected,) = maps_of(method, encoder, target)
        assert float((found[key] - expected).abs().max()) < 1e-4 * scale + 5e-7, key  # of scores near 1 in single precision


def test_a_method_with_a_positive_part_would_be_found_out(encoder: FrozenEncoder) -> None:
    a, b = torch.randn(2, 2, 8, generator=generator(1)).unbind(0)
    first, second, difference = maps_of(GradCam(relu=True), encoder, DirectionTarget(torch.stack([a, b, a - b]), names=["a", "b", "c"]))
    assert not near(difference, first - second)
