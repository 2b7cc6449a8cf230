"""Every method and control gives the same maps where processes share it out, whatever their number."""

from __future__ import annotations

import inspect

import pytest
import torch

from cocoa_pl.attributions import Gradient, Rise, SmoothGrad
from cocoa_pl.attributions.shared import Shared, share_out
from cocoa_pl.encoding import FrozenEncoder
from cocoa_pl.registry import ATTRIBUTIONS, CONTROLS
from cocoa_pl.removal import Black
from cocoa_pl.sharing import ALONE, Team
from cocoa_pl.targets import cocoa
from cocoa_pl.types import Attributed, Attribution, Divisible, Scorer
from tests.teams import in_team

ENTRIES = [*ATTRIBUTIONS, *CONTROLS]
SIDE = 12
_CHEAP = {"num_steps": 3, "num_samples": 24, "num_masks": 9, "grid_size": 3, "num_segments": 6}


def cheap(name: str) -> Attribution:
    method = (CONTROLS if name in CONTROLS else ATTRIBUTIONS).load(name)
    known = inspect.signature(method).parameters
    made: Attribution = method(**{option: value for option, value in _CHEAP.items() if option in known})
    return made


def scorer(explicands: torch.Tensor) -> Scorer:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net = torch.nn.Sequential(torch.nn.Conv2d(3, 6, 3), torch.nn.Softplus(), torch.nn.Conv2d(6, 5, 3, stride=2), torch.nn.Tanh())
    encoder = FrozenEncoder(net, pool=True)
    draw = torch.Generator().manual_seed(2)
    corpus, foil = (encoder.encode(torch.rand(n, 3, SIDE, SIDE, generator=draw)) for n in (4, 6))
    own = encoder.encode(explicands)[:, None]  # a corpus for each explicand, so that a row of another one would show
    return Scorer(encoder, cocoa(corpus, foil, name="class") + cocoa(own, foil, name="own"))


def shared(method: Attribution, size: int, num: int) -> tuple[Attributed, list[Attributed]]:
    explicands = torch.rand(num, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(1))
    scorers = [scorer(explicands) for _ in range(size)]  # an encoder for each thread: hooks would see the others' passes

    def made(one: Attribution, score_fn: Scorer) -> Attributed:
        baseline = Black()(explicands)
        found = getattr(one, "attribute", one)(score_fn, explicands, baseline, seed=3, chunk_size=16)
        return found if isinstance(found, Attributed) else Attributed(found)

    def share(team: Team) -> Attributed:
        with team.lockstep():
            return made(Shared(method, team), scorers[team.rank])

    found = in_team(size, share)
    for one in found:
        if isinstance(one, Exception):
            raise one
    return made(method, scorers[0]), found  # type: ignore[return-value]


@pytest.mark.parametrize("name", ENTRIES)
@pytest.mark.parametrize(("size", "num"), [(2, 1), (3, 2), (2, 3)], ids=["one explicand", "more processes than explicands", "odd"])
def test_a_team_has_the_maps_of_one_process(name: str, size: int, num: int) -> None:
    alone, together = shared(cheap(name), size, num)
    for one in together:
        for part, expected in alone._asdict().items():
            got = getattr(one, part)
            if isinstance(expected, torch.Tensor):
                torch.testing.assert_close(
                    got, expected, rtol=1e-5, atol=1e-6, equal_nan=True, msg=lambda text, part=part: f"{part}: {text}"
                )
            else:
                assert got == expected, part


def test_more_processes_than_masks_or_steps() -> None:
    for method in (Rise(num_masks=2, grid_size=2), SmoothGrad(num_samples=1, method=Gradient())):
        assert isinstance(method, Divisible)
        alone, together = shared(method, 4, 1)
        torch.testing.assert_close(together[3].maps, alone.maps, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("options", [{"estimator": "petsiuk"}, {"time_budget": 100.0}], ids=str)
def test_masks_that_cannot_be_counted_beforehand_stay_with_their_explicand(options: dict[str, object]) -> None:
    method = Rise(num_masks=96, grid_size=3, **options)  # type: ignore[arg-type]
    assert method.num_parts == 0
    alone, together = shared(method, 2, 3)
    torch.testing.assert_close(together[0].maps, alone.maps, rtol=1e-5, atol=1e-6)


def test_masks_are_shared_out_evenly() -> None:
    """Work, not only results: of 2 processes each encodes half of the masked images."""
    explicands = torch.rand(1, 3, SIDE, SIDE)
    scorers = [scorer(explicands) for _ in range(2)]

    def forwards(team: Team) -> int:
        score_fn = scorers[team.rank]
        before = score_fn.encoder.num_forwards  # type: ignore[attr-defined]
        Shared(Rise(num_masks=64, grid_size=3), team)(score_fn, explicands, Black()(explicands))
        return int(score_fn.encoder.num_forwards - before)  # type: ignore[attr-defined]

    assert in_team(2, forwards) == [33, 33]
    assert share_out({"rise": Rise()}, ALONE) == {"rise": Rise()}
