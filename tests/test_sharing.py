"""What a team shares out, and of whose failure everybody hears."""

from __future__ import annotations

from itertools import chain

import pytest
import torch

from cocoa_pl.errors import PeerError
from cocoa_pl.sharing import ALONE, Team
from tests.teams import in_team


@pytest.mark.parametrize("num", [0, 1, 5, 6, 7, 12])
@pytest.mark.parametrize("size", [1, 2, 3, 8])
def test_shares_are_of_equal_size_and_cover_everything(num: int, size: int) -> None:
    teams = [Team(rank, size) for rank in range(size)]
    for shares in ([list(team.span(num)) for team in teams], [list(team.turns(num)) for team in teams]):
        assert sorted(chain(*shares)) == list(range(num))
        assert max(map(len, shares)) - min(map(len, shares)) <= 1
    own, left = zip(*[team.split(num) for team in teams], strict=True)
    assert {len(rows) for rows in own} == {num // size}
    assert sorted(torch.cat([*own, left[0]]).tolist()) == list(range(num))
    assert all(torch.equal(rows, left[0]) for rows in left)


def test_a_process_alone_meets_itself() -> None:
    rows = {"a": torch.arange(3)}
    assert ALONE.meet(rows)[0]["a"].tolist() == [0, 1, 2]
    assert ALONE.total(rows) is rows


def test_rows_come_in_order_of_rank_and_sums_are_the_same_everywhere() -> None:
    def work(team: Team) -> tuple[list[int], float]:
        met = team.meet({"rank": torch.tensor([team.rank])})
        return [int(part["rank"]) for part in met], float(team.total({"x": torch.tensor(team.rank + 1.0)})["x"])

    assert in_team(3, work) == [([0, 1, 2], 6.0)] * 3


@pytest.mark.parametrize("where", ["at the first meeting", "before a sum", "at the last meeting"])
def test_all_raise_what_one_has_met_wherever_the_others_wait(where: str) -> None:
    def work(team: Team) -> None:
        with team.lockstep():
            for place in ("at the first meeting", "before a sum", "at the last meeting"):
                if team.rank == 1 and place == where:
                    raise ValueError("no such \udce9 luck")  # as in a file name that is not UTF-8
                if place == "before a sum":
                    team.total({"x": torch.ones(1)})
                else:
                    team.meet({})

    first, second, third = in_team(3, work)
    assert isinstance(second, ValueError)
    for other in (first, third):
        assert isinstance(other, PeerError)
        assert str(other) == "process 1 could not do its share: ValueError: no such \\udce9 luck"
