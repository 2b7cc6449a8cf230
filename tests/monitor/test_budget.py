"""The budget against a simulated clock: it settles, keeps to its share, and only ever cuts the sequence of masks short."""

from __future__ import annotations

import time

import pytest
import torch

from cocoa_pl.attributions import Rise
from cocoa_pl.attributions.rise_masks import rise_masks
from cocoa_pl.errors import ConfigError
from cocoa_pl.monitor import Budget, Stopwatch


def looks(budget: Budget, *, training: float, fixed: float, per_mask: float, num: int = 12) -> list[int]:
    """Masks of successive looks whose cost is fixed + per_mask * masks."""
    taken = []
    for _ in range(num):
        masks = budget.plan(training=training)
        assert masks is not None
        taken.append(masks)
        budget.spent(looking=fixed + per_mask * masks, masking=per_mask * masks)
    return taken


@pytest.mark.parametrize("share", [0.05, 0.15, 0.5])
@pytest.mark.parametrize("per_mask", [0.002, 0.01, 0.05])
def test_it_settles_at_once_and_keeps_to_its_share(share: float, per_mask: float) -> None:
    training, fixed = 20.0, 0.2
    taken = looks(Budget(share, most=512), training=training, fixed=fixed, per_mask=per_mask)
    assert len(set(taken[1:])) == 1
    last = taken[-1]
    assert last == 16 or fixed + per_mask * last <= share / (1 - share) * training * 1.1  # a tenth more is no reason to change
    assert last == 512 or fixed + per_mask * 1.5 * (last + 8) > share / (1 - share) * training  # half as many again do not fit


@pytest.mark.parametrize("per_mask", [0.003, 0.0111, 0.4])
def test_masks_are_a_multiple_of_eight_from_the_front_of_the_sequence(per_mask: float) -> None:
    taken = looks(Budget(0.1, most=256), training=10.0, fixed=0.1, per_mask=per_mask)[-1]
    assert taken % 8 == 0
    assert 16 <= taken <= 256
    whole, cut = (rise_masks(torch.arange(Rise(num_masks=num).num_masks), seed=1, height=8, width=8, grid_size=2) for num in (256, taken))
    assert torch.equal(whole[:taken], cut)


def test_never_fewer_than_sixteen_nor_more_than_asked_for() -> None:
    assert looks(Budget(0.01, most=256), training=1.0, fixed=50.0, per_mask=1.0)[-1] == 16
    assert looks(Budget(0.01, most=12), training=1.0, fixed=50.0, per_mask=1.0) == [12] * 12
    assert looks(Budget(0.9, most=100), training=1000.0, fixed=0.0, per_mask=1e-6) == [100] * 12


@pytest.mark.parametrize("share", [None, 1.0])
def test_without_a_limit_nothing_is_cut(share: float | None) -> None:
    assert looks(Budget(share, most=256), training=0.01, fixed=5.0, per_mask=1.0) == [256] * 12


def test_where_nothing_masks_nothing_can_be_saved() -> None:
    budget = Budget(0.1, most=None)
    budget.spent(looking=9.0, masking=0.0)
    assert budget.plan(training=1.0) is None


def test_pictures_that_only_some_looks_draw_are_shared_out() -> None:
    budget, taken = Budget(0.2, most=256), []
    for number in range(12):
        masks = budget.plan(training=10.0)
        assert masks is not None
        taken.append(masks)
        budget.spent(looking=(1.2 if number % 4 == 0 else 0.0) + 0.01 * masks, masking=0.01 * masks)
    fixed = [1.2 if number % 4 == 0 else 0.0 for number in range(12)]
    assert sum(fixed) + 0.01 * sum(taken) <= 1.1 * 0.25 * 10.0 * 12
    assert len(set(taken[4:])) == 1


def test_a_faster_clock_brings_masks_back_and_a_slight_change_moves_nothing() -> None:
    budget = Budget(0.2, most=256)
    slow = looks(budget, training=10.0, fixed=0.1, per_mask=0.05)[-1]
    for change in (0.95, 1.05):
        assert looks(budget, training=10.0, fixed=0.1, per_mask=0.05 * change)[-1] == slow
    assert looks(budget, training=10.0, fixed=0.1, per_mask=0.005)[-1] == 256


def test_a_budget_goes_on_where_it_was() -> None:
    budget, resumed = Budget(0.2, most=256), Budget(0.2, most=256)
    looks(budget, training=10.0, fixed=0.3, per_mask=0.05)
    resumed.load_state_dict(budget.state_dict())
    assert resumed == budget
    assert resumed.plan(training=2.0) == budget.plan(training=2.0) == 16


@pytest.mark.parametrize("share", [0.0, -0.1, 1.5])
def test_a_share_out_of_range_is_refused(share: float) -> None:
    with pytest.raises(ConfigError, match="budget_share"):
        Budget(share, most=256)


def test_the_stopwatch_adds_up(monkeypatch: pytest.MonkeyPatch) -> None:
    now = iter([10.0, 12.5, 20.0, 21.0])
    monkeypatch.setattr(time, "perf_counter", lambda: next(now))
    watch = Stopwatch()
    for _ in range(2):
        with watch.masking(torch.device("cpu")):
            pass
    assert watch.seconds == 3.5
