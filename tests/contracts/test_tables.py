"""What every entry of a table must keep, before its author writes a test: shapes, determinism, laws 3 and 9.

A new target, method or removal is covered by its line in the registry alone. The one convention: a target is built from representations
that its parameters name, ``explicand_reps`` (N, D), ``corpus_reps`` (M, D) and ``foil_reps`` (F, D); a method or a removal without options.
"""

from __future__ import annotations

import inspect

import pytest
import torch
from torch import Tensor, nn

from cocoa_pl.augmentations.held_out import VIEWS
from cocoa_pl.encoding import FrozenEncoder
from cocoa_pl.explainer import Explainer
from cocoa_pl.registry import ATTRIBUTIONS, REMOVALS, TARGETS, VIEW_NAMES
from cocoa_pl.removal import Black
from cocoa_pl.targets import corpus_similarity
from cocoa_pl.types import Attribution, Removal, Target

SHAPE = (3, 8, 9)
NUM = 3


def pictures(num: int, *, seed: int = 0) -> Tensor:
    return torch.rand(num, *SHAPE, generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def encoder() -> FrozenEncoder:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return FrozenEncoder(nn.Sequential(nn.Conv2d(3, 6, 3, stride=2), nn.Softplus(), nn.Conv2d(6, 5, 2), nn.Tanh()))


def make_target(name: str, explicand_reps: Tensor, corpus_reps: Tensor, foil_reps: Tensor) -> Target:
    given = {"explicand_reps": explicand_reps, "corpus_reps": corpus_reps, "foil_reps": foil_reps}
    make = TARGETS.load(name)
    target = make(**{key: given[key] for key in inspect.signature(make).parameters if key in given})
    assert isinstance(target, Target)
    return target


def explain(encoder: FrozenEncoder, method: Attribution, explicands: Tensor, *, seed: int = 3) -> Tensor:
    target = corpus_similarity(encoder.encode(pictures(4, seed=9)))
    explainer = Explainer(encoder, attributions={"it": method}, removal=Black(), chunk_size=500)
    return explainer.explain(explicands, target, seed=seed).attributions["it"]


def test_names_of_views_are_the_views_there_are() -> None:
    assert tuple(VIEWS) == VIEW_NAMES


# targets


@pytest.mark.parametrize("name", TARGETS)
def test_a_target_gives_a_score_of_every_row_whatever_the_batch(name: str, encoder: FrozenEncoder) -> None:
    reps = torch.randn(7, 5, generator=torch.Generator().manual_seed(1))
    target = make_target(name, reps[:NUM], reps[3:5], reps[4:])
    rows = torch.tensor([2, 0, 1, 1, 0, 2, 2])
    scores = target(reps, rows)
    assert scores.shape == (7, len(target.names))
    assert torch.isfinite(scores).all()
    assert scores.std(dim=0).min() > 1e-3
    for n in range(7):  # law 3
        torch.testing.assert_close(target(reps[n : n + 1], rows[n : n + 1]), scores[n : n + 1], atol=1e-6, rtol=0)


@pytest.mark.parametrize("name", TARGETS)
def test_a_target_row_meets_its_own_reference(name: str) -> None:
    reps = torch.randn(7, 5, generator=torch.Generator().manual_seed(2))
    together = make_target(name, reps[:NUM], reps[3:5], reps[4:])(reps[:NUM], torch.arange(NUM))
    alone = [make_target(name, reps[n : n + 1], reps[3:5], reps[4:])(reps[n : n + 1], torch.tensor([0])) for n in range(NUM)]
    torch.testing.assert_close(together, torch.cat(alone), atol=1e-6, rtol=0)


@pytest.mark.parametrize("name", TARGETS)
def test_zero_representations_score_zero_and_never_nan(name: str) -> None:
    zeros = torch.zeros(NUM, 5, requires_grad=True)  # law 9: explicands, corpus and foil of a dead encoder
    scores = make_target(name, zeros.detach(), zeros.detach(), zeros.detach())(zeros, torch.arange(NUM))
    assert scores.tolist() == [[0.0] * scores.shape[1]] * NUM
    assert torch.isfinite(torch.autograd.grad(scores.sum(), zeros)[0]).all()


@pytest.mark.parametrize("name", TARGETS)
def test_every_target_takes_a_name_of_its_own(name: str) -> None:
    make = TARGETS.load(name)
    given = {key: torch.ones(NUM, 5) for key in ("explicand_reps", "corpus_reps", "foil_reps") if key in inspect.signature(make).parameters}
    assert make(**given).names == (name,)
    assert make(**given, name="mine").names == ("mine",)


# attributions


@pytest.mark.parametrize("name", ATTRIBUTIONS)
def test_a_method_maps_every_pixel_repeats_by_seed_and_is_the_same_in_a_batch(name: str, encoder: FrozenEncoder) -> None:
    method = ATTRIBUTIONS.load(name)()
    explicands, rng = pictures(NUM), torch.get_rng_state()
    maps = explain(encoder, method, explicands)
    assert maps.shape == (1, NUM, *SHAPE[1:])
    assert maps.dtype == torch.float32
    assert torch.isfinite(maps).all()
    assert maps.flatten(2).std(dim=2).min() > 0
    assert torch.equal(explain(encoder, method, explicands), maps)
    assert torch.equal(torch.get_rng_state(), rng)
    assert torch.equal(explicands, pictures(NUM))
    alone = torch.cat([explain(encoder, method, explicands[n : n + 1]) for n in range(NUM)], dim=1)  # law 3
    torch.testing.assert_close(alone, maps, atol=float(maps.abs().max()) * 1e-3, rtol=0)


@pytest.mark.parametrize("name", ATTRIBUTIONS)
def test_a_method_gives_each_of_several_targets_its_own_map(name: str) -> None:
    method: Attribution = ATTRIBUTIONS.load(name)()
    weights = torch.randn(2, 3 * 8 * 9, generator=torch.Generator().manual_seed(0))

    def score(images: Tensor, rows: Tensor) -> Tensor:
        return torch.tanh(images.flatten(1) @ weights.T)

    black = torch.zeros(NUM, *SHAPE)
    both = method(score, pictures(NUM), black, seed=1, chunk_size=500)
    assert both.shape == (2, NUM, *SHAPE[1:])
    for k in range(2):  # law 4
        one = method(lambda x, rows, k=k: score(x, rows)[:, k : k + 1], pictures(NUM), black, seed=1, chunk_size=500)
        torch.testing.assert_close(both[k], one[0], atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", ATTRIBUTIONS)
def test_a_method_makes_nothing_of_a_constant_score(name: str) -> None:
    def score(images: Tensor, rows: Tensor) -> Tensor:
        return images.flatten(1)[:, :1] * 0 + 5.3

    maps = ATTRIBUTIONS.load(name)()(score, pictures(NUM), torch.zeros(NUM, *SHAPE), seed=1, chunk_size=500)
    assert not maps.any()  # law 9


@pytest.mark.parametrize("name", ATTRIBUTIONS)
def test_a_method_keeps_to_the_chunk_size(name: str) -> None:
    sizes = []

    def score(images: Tensor, rows: Tensor) -> Tensor:
        assert images.shape[1:] == SHAPE
        assert rows.shape == (len(images),)
        sizes.append(len(images))
        return images.mean((1, 2, 3))[:, None]

    ATTRIBUTIONS.load(name)()(score, pictures(NUM), torch.zeros(NUM, *SHAPE), seed=1, chunk_size=64)
    assert max(sizes) <= 64


# removals


@pytest.mark.parametrize("name", REMOVALS)
def test_a_removal_keeps_shape_and_range_and_sees_one_picture_at_a_time(name: str) -> None:
    removal: Removal = REMOVALS.load(name)()
    explicands = pictures(NUM)
    baseline = removal(explicands)
    assert baseline.shape == explicands.shape
    assert baseline.dtype == explicands.dtype
    assert baseline.min() >= 0
    assert baseline.max() <= 1 + 1e-6
    assert torch.equal(explicands, pictures(NUM))
    assert torch.equal(removal(explicands), baseline)
    assert (baseline - explicands).abs().amax((1, 2, 3)).min() > 0.1
    alone = torch.cat([removal(explicands[n : n + 1]) for n in range(NUM)])  # law 3
    torch.testing.assert_close(alone, baseline, atol=1e-6, rtol=0)


@pytest.mark.parametrize("name", REMOVALS)
@pytest.mark.parametrize("shape", [(1, 1), (7, 40), (33, 32)])
def test_a_removal_takes_pictures_of_any_size(name: str, shape: tuple[int, int]) -> None:
    baseline = REMOVALS.load(name)()(torch.full((2, 3, *shape), 0.5))
    assert baseline.shape == (2, 3, *shape)
    assert torch.isfinite(baseline).all()
