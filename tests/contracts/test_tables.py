"""What every entry of a table must keep, before its author writes a test: shapes, determinism, laws 3, 4 and 9, and its own cost.

A new target, method, control or removal is covered by its line in the registry alone. Conventions: a target is built from what its
parameters name, ``explicand_reps`` (N, D), ``corpus_reps`` (M, D), ``foil_reps`` (F, D) and a linear ``head``; a method or a control
without options; a removal without options but a ``pool`` of images.
"""

from __future__ import annotations

import inspect
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from cocoa_pl.augmentations.held_out import VIEWS
from cocoa_pl.encoding import FrozenEncoder
from cocoa_pl.explainer import Explainer
from cocoa_pl.registry import ATTRIBUTIONS, CONTROLS, NEED_HEAD, REMOVALS, TARGETS, VIEW_NAMES, Table
from cocoa_pl.removal import Black
from cocoa_pl.streaming import blend
from cocoa_pl.targets import DirectionTarget, corpus_similarity
from cocoa_pl.types import Attribution, Removal, Scorer, Target

SHAPE = (3, 8, 9)
NUM = 3
EVERY_MAP = [(table, name) for table in (ATTRIBUTIONS, CONTROLS) for name in table]


def pictures(num: int, *, seed: int = 0) -> Tensor:
    return torch.rand(num, *SHAPE, generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def encoder() -> FrozenEncoder:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return FrozenEncoder(nn.Sequential(nn.Conv2d(3, 6, 3, stride=2), nn.Softplus(), nn.Conv2d(6, 5, 2), nn.Tanh()), pool=True)


def make_target(entry: str, explicand_reps: Tensor, corpus_reps: Tensor, foil_reps: Tensor, **options: Any) -> Target:
    weights = torch.randn(5, 3, generator=torch.Generator().manual_seed(5))
    given = {"explicand_reps": explicand_reps, "corpus_reps": corpus_reps, "foil_reps": foil_reps, "head": lambda reps: reps @ weights}
    make = TARGETS.load(entry)
    target = make(**{key: given[key] for key in inspect.signature(make).parameters if key in given}, **options)
    assert isinstance(target, Target)
    return target


def explain(encoder: FrozenEncoder, method: Attribution, explicands: Tensor, *, seed: int = 3, chunk_size: int = 500) -> Tensor:
    target = corpus_similarity(encoder.encode(pictures(4, seed=9)))
    explainer = Explainer(encoder, attributions={"it": method}, removal=Black(), chunk_size=chunk_size)
    return explainer.explain(explicands, target, seed=seed).attributions["it"]


def test_names_of_views_are_the_views_there_are() -> None:
    assert tuple(VIEWS) == VIEW_NAMES


def test_targets_that_need_a_head_are_named() -> None:
    assert {name for name in TARGETS if "head" in inspect.signature(TARGETS.load(name)).parameters} == set(NEED_HEAD)


# targets


def reps(num: int, seed: int) -> Tensor:
    return torch.randn(num, 5, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("name", TARGETS)
def test_a_target_gives_a_score_of_every_row_whatever_the_batch(name: str) -> None:
    target, seen = make_target(name, reps(NUM, 1), reps(4, 2), reps(6, 3)), reps(7, 4)
    rows = torch.tensor([2, 0, 1, 1, 0, 2, 2])
    scores = target(seen, rows)
    assert scores.shape == (7, len(target.names))
    assert torch.isfinite(scores).all()
    assert scores.std(dim=0).min() > 1e-3
    for n in range(7):  # law 3
        torch.testing.assert_close(target(seen[n : n + 1], rows[n : n + 1]), scores[n : n + 1], atol=1e-6, rtol=0)


@pytest.mark.parametrize("name", TARGETS)
def test_a_target_row_meets_its_own_reference(name: str) -> None:
    own, corpus, foil = reps(NUM, 1), reps(4, 2), reps(6, 3)
    together = make_target(name, own, corpus, foil)(reps(NUM, 6), torch.arange(NUM))
    alone = [make_target(name, own[n : n + 1], corpus, foil)(reps(NUM, 6)[n : n + 1], torch.tensor([0])) for n in range(NUM)]
    torch.testing.assert_close(together, torch.cat(alone), atol=1e-6, rtol=0)


@pytest.mark.parametrize("name", TARGETS)
def test_zero_representations_score_alike_and_never_nan(name: str) -> None:
    zeros = torch.zeros(NUM, 5, requires_grad=True)  # law 9: explicands, corpus and foil of a dead encoder
    scores = make_target(name, zeros.detach(), zeros.detach(), zeros.detach())(zeros, torch.arange(NUM))
    assert torch.isfinite(scores).all()
    assert bool((scores == scores[0]).all())
    if isinstance(make_target(name, reps(2, 1), reps(4, 2), reps(6, 3)), DirectionTarget):
        assert not scores.any()
    assert torch.isfinite(torch.autograd.grad(scores.sum(), zeros)[0]).all()


@pytest.mark.parametrize("name", TARGETS)
def test_every_target_takes_a_name_of_its_own(name: str) -> None:
    assert make_target(name, reps(NUM, 1), reps(4, 2), reps(6, 3)).names == (name,)
    assert make_target(name, reps(NUM, 1), reps(4, 2), reps(6, 3), name="mine").names == ("mine",)


# attributions and controls


@pytest.mark.parametrize(("table", "name"), EVERY_MAP)
def test_a_method_maps_every_pixel_repeats_by_seed_and_is_the_same_in_a_batch(table: Table, name: str, encoder: FrozenEncoder) -> None:
    method = table.load(name)()
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
def test_a_method_gives_each_of_several_targets_its_own_map(name: str, encoder: FrozenEncoder) -> None:
    method: Attribution = ATTRIBUTIONS.load(name)()
    directions = torch.randn(2, 5, generator=torch.Generator().manual_seed(0))
    black = torch.zeros(NUM, *SHAPE)
    both = method(Scorer(encoder, DirectionTarget(directions, names=["a", "b"])), pictures(NUM), black, seed=1, chunk_size=500)
    assert both.shape == (2, NUM, *SHAPE[1:])
    assert float((both[0] - both[1]).abs().max()) > 1e-4
    for k in range(2):  # law 4
        scorer = Scorer(encoder, DirectionTarget(directions[k : k + 1], names=["it"]))
        torch.testing.assert_close(both[k], method(scorer, pictures(NUM), black, seed=1, chunk_size=500)[0], atol=1e-6, rtol=1e-5)


class Constant:
    """5.3 whatever one shows it, with a gradient of zero."""

    names = ("constant",)

    def __call__(self, reps: Tensor, rows: Tensor) -> Tensor:
        return reps[:, :1] * 0 + 5.3


@pytest.mark.parametrize("name", ATTRIBUTIONS)
def test_a_method_makes_nothing_of_a_constant_score(name: str, encoder: FrozenEncoder) -> None:
    maps = ATTRIBUTIONS.load(name)()(Scorer(encoder, Constant()), pictures(NUM), torch.zeros(NUM, *SHAPE), seed=1, chunk_size=500)
    assert float(maps.abs().max()) < 1e-5  # law 9


@pytest.mark.parametrize("name", CONTROLS)
def test_a_control_knows_nothing_of_the_score(name: str, encoder: FrozenEncoder) -> None:
    control: Attribution = CONTROLS.load(name)()
    some, other = (
        control(Scorer(encoder, target), pictures(NUM), torch.zeros(NUM, *SHAPE), seed=1, chunk_size=500)
        for target in (Constant(), DirectionTarget(torch.ones(1, 5), names=["it"]))
    )
    assert torch.equal(some, other)


@pytest.mark.parametrize(("table", "name"), EVERY_MAP)
def test_a_method_keeps_to_the_chunk_size_and_costs_what_it_says(table: Table, name: str, encoder: FrozenEncoder) -> None:
    sizes: list[int] = []
    encoder.on_forward = sizes.append
    method: Attribution = table.load(name)()
    scorer = Scorer(encoder, DirectionTarget(torch.ones(1, 5), names=["it"]))
    method(scorer, pictures(NUM), torch.zeros(NUM, *SHAPE), seed=1, chunk_size=64)
    assert max(sizes, default=0) <= 64
    assert sum(sizes) == method.num_forwards(NUM, *SHAPE[1:])


@pytest.mark.parametrize("name", ATTRIBUTIONS)
@pytest.mark.filterwarnings("ignore:out of memory with")
def test_a_method_goes_on_in_smaller_passes_when_memory_runs_out(name: str, encoder: FrozenEncoder) -> None:
    method: Attribution = ATTRIBUTIONS.load(name)()
    expected = explain(encoder, method, pictures(NUM))

    def little_memory(num: int) -> None:
        if num > 7:
            raise torch.OutOfMemoryError("no room")

    encoder.on_forward = little_memory
    scorer = Scorer(encoder, corpus_similarity(torch.cat([encoder.encode(image[None]) for image in pictures(4, seed=9)])))
    maps = method(scorer, pictures(NUM), torch.zeros(NUM, *SHAPE), seed=3, chunk_size=64)
    torch.testing.assert_close(maps, expected, atol=float(expected.abs().max()) * 1e-3, rtol=0)


# removals


def make_removal(name: str) -> Removal:
    kind = REMOVALS.load(name)
    removal: Removal = kind(pool=pictures(5, seed=8)) if "pool" in inspect.signature(kind).parameters else kind()
    return removal


def shown(name: str, explicands: Tensor) -> Tensor:
    """What is seen where everything is removed."""
    nothing, rows = explicands.new_zeros(len(explicands), 1, *explicands.shape[2:]), torch.arange(len(explicands))
    return blend(explicands, make_removal(name)(explicands), nothing, rows)


@pytest.mark.parametrize("name", REMOVALS)
def test_a_removal_keeps_shape_and_range_and_sees_one_picture_at_a_time(name: str) -> None:
    explicands = pictures(NUM)
    gone = shown(name, explicands)
    assert gone.shape == explicands.shape
    assert gone.dtype == explicands.dtype
    assert gone.min() >= 0
    assert gone.max() <= 1 + 1e-6
    assert torch.equal(explicands, pictures(NUM))
    assert torch.equal(shown(name, explicands), gone)
    assert (gone - explicands).abs().amax((1, 2, 3)).min() > 0.1
    alone = torch.cat([shown(name, explicands[n : n + 1]) for n in range(NUM)])  # law 3
    torch.testing.assert_close(alone, gone, atol=1e-6, rtol=0)


@pytest.mark.parametrize("name", REMOVALS)
def test_what_is_kept_stays_as_it_is(name: str) -> None:
    explicands = pictures(NUM)
    keep = (torch.rand(NUM, 1, *SHAPE[1:], generator=torch.Generator().manual_seed(2)) < 0.6).float()
    seen = blend(explicands, make_removal(name)(explicands), keep, torch.arange(NUM))
    inside = keep.expand_as(seen) == 1
    torch.testing.assert_close(seen[inside], explicands[inside])
    assert (seen[~inside] - explicands[~inside]).abs().max() > 0.1


@pytest.mark.parametrize("name", REMOVALS)
@pytest.mark.parametrize("shape", [(1, 1), (7, 40), (33, 32)])
def test_a_removal_takes_pictures_of_any_size(name: str, shape: tuple[int, int]) -> None:
    kind, grey = REMOVALS.load(name), torch.full((2, 3, *shape), 0.5)
    removal = kind(pool=torch.full((3, 3, *shape), 0.4)) if "pool" in inspect.signature(kind).parameters else kind()
    gone = blend(grey, removal(grey), torch.zeros(2, 1, *shape), torch.arange(2))
    assert gone.shape == (2, 3, *shape)
    assert torch.isfinite(gone).all()
