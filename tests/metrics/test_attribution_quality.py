"""The metrics that keep values of explicands: in pieces, with gaps and repeats, and over two processes."""

from __future__ import annotations

import os
import socket
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.distributed
import torch.multiprocessing
from torch import Tensor

from cocoa_pl.errors import ConfigError, DataError
from cocoa_pl.metrics.attribution_quality import AttributionQuality, InsertionDeletion
from cocoa_pl.metrics.intervals import bootstrap_interval, paired_difference, t_interval
from cocoa_pl.metrics.perturbation import PerturbationCurves

NAMES = ("gap/rise", "gap/random")
IDS = torch.tensor([14, 3, 8, 5, 21])
VALUES = dict(zip(NAMES, torch.randn(2, 5, generator=torch.Generator().manual_seed(0)), strict=True))
CURVES = PerturbationCurves(*torch.rand(2, 2, 5, 4, generator=torch.Generator().manual_seed(1)))


def piece(places: list[int]) -> tuple[Tensor, dict[str, Tensor]]:
    return IDS[places], {name: value[places] for name, value in VALUES.items()}


def whole() -> AttributionQuality:
    metric = AttributionQuality(NAMES)
    metric.update(IDS, VALUES)
    return metric


@pytest.mark.parametrize("pieces", [[[0, 1, 2, 3, 4]], [[4], [2, 0], [1, 3]], [[0, 1, 2], [2, 3, 4], [0]], [[], [0, 1, 2, 3, 4, 4]]])
def test_any_pieces_equal_the_whole(pieces: list[list[int]]) -> None:
    metric = AttributionQuality(NAMES)
    for places in pieces:
        metric.update(*piece(places))
    for name in NAMES:
        assert float(metric.compute()[name]) == pytest.approx(float(VALUES[name].mean()), abs=1e-6)
        assert metric.interval(name) == whole().interval(name)
    ids, table = metric.table()
    assert ids.tolist() == sorted(IDS.tolist())
    assert torch.equal(table["gap/rise"], VALUES["gap/rise"][IDS.argsort()])


def test_intervals_are_those_of_the_values_and_pairs_are_paired() -> None:
    metric, order = whole(), IDS.argsort()
    rise, random = (VALUES[name][order] for name in NAMES)
    assert metric.interval("gap/rise") == t_interval(rise)
    assert metric.paired(*NAMES) == paired_difference(rise, random)
    few = partial(bootstrap_interval, num_resamples=100)
    assert metric.paired(*NAMES, interval_fn=few) == paired_difference(rise, random, interval_fn=few)


def test_missing_values_are_left_out_of_means_and_filled_in_later() -> None:
    metric = AttributionQuality(NAMES)
    metric.update([1, 2, 3], {"gap/rise": torch.tensor([0.2, torch.nan, 0.6])})
    assert metric.compute()["gap/rise"].item() == pytest.approx(0.4)
    assert metric.compute()["gap/random"].isnan()
    metric.update([2, 3, 1], {"gap/rise": torch.tensor([0.7, 0.6, torch.nan]), "gap/random": torch.tensor([0.1, torch.nan, 0.1])})
    assert metric.compute()["gap/rise"].item() == pytest.approx(0.5)
    assert (metric.paired(*NAMES).num, metric.paired(*NAMES).mean) == (2, pytest.approx(0.35))
    metric.reset()
    metric.update([1], {"gap/random": torch.tensor([5.0])})
    assert metric.compute()["gap/random"] == 5


def test_nothing_yet_is_nan_and_a_step_gives_its_own_mean() -> None:
    metric = AttributionQuality(NAMES)
    assert (metric.interval("gap/rise").num, len(metric.table()[0])) == (0, 0)
    for place in range(5):
        step = metric(*piece([place]))
        assert step["gap/rise"] == VALUES["gap/rise"][place]
    assert metric.interval("gap/rise") == whole().interval("gap/rise")


def test_mistakes_are_named() -> None:
    with pytest.raises(ConfigError, match="each must be there once"):
        AttributionQuality(["gini", "gini"])
    with pytest.raises(ConfigError, match=r"unknown value 'gap/rize'; choose from: gap/random, gap/rise \(did you mean 'gap/rise'\?\)"):
        whole().update([1], {"gap/rize": torch.zeros(1)})
    with pytest.raises(DataError, match=r"gap/rise: values \(2,\) of 1 explicands"):
        whole().update([1], {"gap/rise": torch.zeros(2)})
    metric = whole()
    metric.update(IDS[:1], {"gap/rise": VALUES["gap/rise"][:1] + 0.1})
    with pytest.raises(DataError, match="explicand 14 came with two different values"):
        metric.compute()


def test_curves_are_averaged_by_area() -> None:
    metric = InsertionDeletion(["own", "class"], num_steps=3)
    for places in ([0, 1], [1, 2, 3], [4, 0]):
        metric.update(IDS[places], PerturbationCurves(*(curve[:, places] for curve in CURVES)))
    shares = np.linspace(0, 1, 4)
    areas = [np.trapezoid(curve[1].numpy(), shares).mean() for curve in CURVES]
    values = metric.compute()
    assert float(values["insertion_auc/class"]) == pytest.approx(areas[0], abs=1e-6)
    assert float(values["deletion_auc/class"]) == pytest.approx(areas[1], abs=1e-6)
    assert float(values["gap/class"]) == pytest.approx(areas[0] - areas[1], abs=1e-6)
    ids, curves = metric.curves()
    assert torch.equal(curves.deletion, CURVES.deletion[:, IDS.argsort()])
    assert torch.equal(ids, IDS.sort().values)
    with pytest.raises(DataError, match=r"curves \(2, 5, 4\): must be \(2, 4, 4\) for 2 measures and 4 explicands"):
        metric.update(IDS[:4], CURVES)


def _one_of_two(rank: int, port: int, shares: list[list[int]], out: str) -> None:
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    torch.distributed.init_process_group("gloo", rank=rank, world_size=2)
    metric, curves = AttributionQuality(NAMES), InsertionDeletion(["own", "class"], num_steps=3)
    if shares[rank]:  # a process without explicands never updates, and still meets the other
        metric.update(*piece(shares[rank]))
        curves.update(IDS[shares[rank]], PerturbationCurves(*(curve[:, shares[rank]] for curve in CURVES)))
    found = {name: float(value) for name, value in (metric.compute() | curves.compute()).items()}
    again = metric.compute()["gap/rise"].item()
    texts = [str(metric.interval("gap/rise")), str(metric.paired(*NAMES)), str(metric.table()[0].tolist())]
    torch.save((found, again, texts, sum(len(part) for part in metric.ids)), f"{out}/{rank}.pt")
    torch.distributed.destroy_process_group()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:The ``compute`` method:UserWarning")
@pytest.mark.parametrize(
    "shares", [[[0, 2, 4], [1, 3, 0]], [[0, 1, 2, 3, 4], []], [[], [4, 3, 2, 1, 0]]], ids=["padded", "first", "second"]
)
def test_two_processes_equal_one(tmp_path: Path, shares: list[list[int]]) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    torch.multiprocessing.spawn(_one_of_two, args=(port, shares, str(tmp_path)), nprocs=2)
    alone = InsertionDeletion(["own", "class"], num_steps=3)
    alone.update(IDS, CURVES)
    expected = {name: float(value) for name, value in (whole().compute() | alone.compute()).items()}
    for rank in range(2):
        found, again, texts, kept = torch.load(tmp_path / f"{rank}.pt", weights_only=True)
        assert found == pytest.approx(expected, abs=1e-6)
        assert again == found["gap/rise"]
        assert texts == [str(whole().interval("gap/rise")), str(whole().paired(*NAMES)), str(sorted(IDS.tolist()))]
        assert kept == len(shares[rank])  # what was gathered is given back
