"""A small study against the paper's formulas computed slowly: every number of every cell, what it costs, and how it depends on settings."""

from __future__ import annotations

import csv
import io
import itertools
from dataclasses import replace

import numpy as np
import pytest
import scipy.stats
import torch
from torch import Tensor, nn

from cocoa_pl.attributions import GradientShap, IntegratedGradients, Rise
from cocoa_pl.encoding import FrozenEncoder
from cocoa_pl.errors import DataError
from cocoa_pl.study import grid as engine
from cocoa_pl.study.cells import Cells
from cocoa_pl.study.collecting import collect
from cocoa_pl.study.grid import Seed
from cocoa_pl.study.plan import forwards, forwards_alone
from cocoa_pl.study.results import CONTROL, MEASURES, RANDOMISED, SETTINGS, TARGETS
from cocoa_pl.study.tables import grid_csv
from tests.study import slow
from tests.study.small import METHODS, SIDE, STEPS, Studied, counting, small_run, small_study

pytestmark = pytest.mark.slow
EQUAL = 5e-6
"""Of areas in single precision."""
CLEAR = 1e-4
"""Pixels at a cut of the ranking that are nearer to each other than this share of the map's peak may change places by rounding."""


@pytest.fixture(scope="module")
def studied(tmp_path_factory: pytest.TempPathFactory) -> Studied:
    run = small_run(tmp_path_factory.mktemp("run"))
    return small_study(run, tmp_path_factory.mktemp("studied"))


def equals(found: Tensor, expected: float, ranking: np.ndarray) -> bool:
    """Whether a number is the slow one; where it is not, rounding must be able to change the ranking, and little may change."""
    apart = abs(float(found) - expected)
    if apart > EQUAL:
        assert slow.margin(ranking, num_steps=STEPS) < CLEAR, apart
        assert apart < 0.02
    return apart <= EQUAL


def mostly_equal(found: Tensor, expected: Tensor) -> bool:
    """The same but for single maps of which rounding changed the ranking."""
    apart = (found - expected).abs()
    return bool(apart.max() < 0.02 and (apart < EQUAL).float().mean() > 0.9)


def gap(curves: np.ndarray) -> float:
    insertion, deletion = slow.areas(curves)
    return insertion - deletion


@pytest.mark.parametrize(("number", "row"), [(0, 3), (1, 5)], ids=str)
def test_every_number_of_an_explicand_is_the_slow_one(studied: Studied, number: int, row: int) -> None:
    rows = [*itertools.product(METHODS, (*TARGETS, RANDOMISED)), *((CONTROL, name) for name in studied.plan.controlled)]
    other = studied.encode(redrawn=studied.draws[number].seed)
    meetings = {(setting, wiped): studied.meeting(number, row, setting, encode=other if wiped else None)
                for setting in SETTINGS for wiped in (False, True)}  # fmt: skip
    judges = {setting: studied.judge(number, row, setting) for setting in SETTINGS}
    image, differ, compared = judges["same"].meeting.image, set(), 0
    for method, target in rows:
        for setting in SETTINGS:
            if setting == SETTINGS[0] or target in ("corpus", "cocoa", RANDOMISED):  # others know of no corpus
                asked, meeting = "cocoa" if target == RANDOMISED else target, meetings[setting, target == RANDOMISED]
                if method == CONTROL:
                    ranking = studied.control(target, number=number, row=row)
                else:
                    ranking = studied.ranking(method, asked, meeting, number=number)
                reps = slow.perturbed(studied.plain, image, slow.blurred(image), ranking, num_steps=STEPS)
            for measure, curves in judges[setting].values(reps).items():
                found = studied.cell(setting, measure, method, target)
                for areas, value in zip((found.insertion, found.deletion), slow.areas(curves), strict=True):
                    if not equals(areas[number, row], value, ranking):
                        differ.add((method, target, setting))
                compared += 1
    assert compared == len(studied.results.grid) == len(SETTINGS) * len(MEASURES) * (3 * 5 + 3)
    assert len(differ) <= 2, differ  # of 36: rounding may change a ranking here and there


def test_curves_are_means_over_explicands_and_tables_are_over_seeds(studied: Studied) -> None:
    """The ends of curves are known without any map: the whole picture, and nothing of it."""
    number, num = 1, len(studied.draws[1].explicands)
    for setting in SETTINGS:
        judges = [studied.judge(number, row, setting) for row in range(num)]
        ends = [studied.curves(np.zeros((SIDE, SIDE)), judge) for judge in judges]  # of a flat map, which come last in insertion
        for measure in MEASURES:
            nothing, whole = (float(np.mean([each[measure][place] for each in ends])) for place in (0, STEPS))
            for (encoder, own, asked, _, _), areas in studied.results.grid.items():
                if (own, asked) == (setting, measure):
                    assert encoder == "tiny"
                    curves = areas.insertion_curve[number], areas.deletion_curve[number]
                    assert [float(curve[end]) for curve in curves for end in (0, -1)] == pytest.approx(
                        [nothing, whole, whole, nothing], abs=EQUAL
                    )
                    means = [float(part[number].mean()) for part in (areas.insertion, areas.deletion)]
                    assert [slow.area(np.asarray(curve)) for curve in curves] == pytest.approx(means, abs=EQUAL)
    rows = {tuple(row.values())[1:5]: row for row in csv.DictReader(io.StringIO(grid_csv(studied.results)))}
    assert len(rows) == len(studied.results.grid)
    for cell, areas in studied.results.grid.items():
        gaps = [float(sum(values) / num) for values in areas.gap]
        row = rows[cell[1:]]
        found = [float(row[name]) for name in ("gap", "gap_low", "gap_high")]
        assert found == pytest.approx(slow.interval(gaps), abs=1e-4), cell


def test_forwards_are_those_predicted_and_a_cell_alone_has_the_numbers_of_the_whole(studied: Studied) -> None:
    plan, num_seeds = studied.plan, len(studied.draws)
    assert studied.forwards == forwards(plan, SIDE, SIDE) == studied.results.costs["tiny"].forwards
    cells = list(plan.cells())
    assert len(cells) == len(studied.results.grid)
    assert studied.results.costs["tiny"].alone == forwards_alone(plan, SIDE, SIDE) == sum(forwards(cell, SIDE, SIDE) for cell in cells)
    for cell in cells[::29]:
        seed = Seed(studied.subject, cell, studied.draws[0], studied.head)
        with counting() as count:
            block = seed.compute(torch.arange(6))
        assert count() == forwards(cell, SIDE, SIDE) / num_seeds
        ((key, alone),) = collect("tiny", [seed], [[block]]).items()
        for name in ("insertion", "deletion"):
            assert mostly_equal(getattr(alone, name)[0], getattr(studied.results.grid[key], name)[0]), key
    kinds = {(bool(cell.methods), bool(cell.controlled), cell.randomised) for cell in cells[::29]}
    assert kinds == {(True, False, False), (False, True, False), (True, False, True)}


def test_sharing_saves_eight_times_the_forwards_and_with_the_paper_s_masks_fifteen_times(studied: Studied) -> None:
    methods = {"integrated_gradients": IntegratedGradients(50), "gradient_shap": GradientShap(50), "rise": Rise(256)}
    paper = replace(
        studied.plan, methods=methods, curve_steps=50, num_seeds=5, num_classes=10, per_class=25, corpus_size=100, foil_size=1500
    )  # fmt: skip
    together = forwards(paper, 32, 32)
    maps = 3 * 6 + 3 * 2 + 3  # of each explicand; two targets do not ask for the setting
    passes = 50 + 50 + 257
    explicand = 1 + 1 + passes + 1 + 1 + passes + 1 + maps * 2 * 50  # itself, maps, those of the randomised network, controls, curves
    references = 3 * (10 * 100 + 1500)  # that explain, that judge, and of the randomised network
    assert together == 5 * (250 * explicand + references)
    assert forwards_alone(paper, 32, 32) > 8 * together
    as_in_the_paper = replace(paper, methods={**methods, "rise": Rise(5000)})
    assert forwards_alone(as_in_the_paper, 32, 32) > 15 * forwards(as_in_the_paper, 32, 32)


def test_blocks_of_explicands_make_up_the_seed_and_single_precision_changes_nothing(
    studied: Studied, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "_MOST", 4)
    mean, std = (values.flatten().tolist() for values in (studied.trained.mean, studied.trained.std))
    single = replace(studied.subject, encoder=FrozenEncoder(studied.trained.backbone, mean=mean, std=std))
    seed = studied.seed(0, single, methods={"rise": studied.plan.methods["rise"]}, targets=("cocoa",), randomised=False)
    assert [len(rows) for rows in seed.blocks()] == [4, 2]
    made = [seed.compute(rows) for rows in seed.blocks()]
    for key, areas in collect("tiny", [seed], [made]).items():
        whole = studied.results.grid[key]
        for name in ("insertion", "deletion", "insertion_curve", "deletion_curve"):
            assert mostly_equal(getattr(areas, name)[0], getattr(whole, name)[0]), (key, name)


def test_in_sample_the_pictures_that_explain_judge(studied: Studied) -> None:
    seed = studied.seed(
        0, methods={"rise": studied.plan.methods["rise"]}, targets=("cocoa",), randomised=False, controlled={}, in_sample=True
    )
    with counting() as count:
        found = collect("tiny", [seed], [[seed.compute(torch.arange(2))]])
    assert count() == seed.plan.forwards_of_maps(2, SIDE, SIDE) + seed.plan.forwards_of_references()
    for setting in SETTINGS:
        ranking = studied.ranking("rise", "cocoa", studied.meeting(0, 1, setting), number=0)
        curves = studied.curves(ranking, studied.judge(0, 1, setting, judging=False))
        out_of_sample = studied.cell(setting, "corpus_similarity", "rise", "cocoa").gap[0, 1]
        for (_, own, measure, _, _), areas in found.items():
            if own == setting:
                assert equals(areas.gap[0, 1], gap(curves[measure]), ranking)
        assert abs(gap(curves["corpus_similarity"]) - float(out_of_sample)) > 100 * EQUAL


class Same(nn.Module):
    """All pictures look the same to it."""

    def __init__(self, value: float) -> None:
        super().__init__()
        self.value = value

    def forward(self, images: Tensor) -> Tensor:
        return images.mean((2, 3)) * 0 + self.value


def test_an_encoder_that_sees_no_difference_has_no_gap_and_one_that_diverged_is_refused(studied: Studied) -> None:
    for value in (1.0, 0.0):
        subject = replace(studied.subject, encoder=FrozenEncoder(Same(value)), cells=Cells(None))
        seed = studied.seed(0, subject, randomised=False)
        seed.head = subject.head(num_bank=48)
        for key, areas in collect("same", [seed], [[seed.compute(torch.arange(6))]]).items():
            assert float(areas.gap.abs().max()) < EQUAL, key
            assert bool(areas.insertion_curve.isfinite().all())
    subject = replace(studied.subject, encoder=FrozenEncoder(Same(float("nan"))), cells=Cells(None))
    with pytest.raises(DataError, match="NaN"):
        studied.seed(0, subject, randomised=False).compute(torch.arange(6))


def test_levels_of_the_sensitivity_study_are_slow_grids_of_their_own(studied: Studied) -> None:
    number, row, place = 1, 2, 1  # the second class' first explicand
    meeting, judge = studied.meeting(number, row, "same"), studied.judge(number, row, "same")
    image, own = meeting.image, studied.ranking("rise", "cocoa", studied.meeting(number, row, "same"), number=number)
    black, weak = torch.zeros_like(image), slow.blurred(image, sigma=2)
    slow_maps = {
        ("corpus_size", "1"): (studied.ranking("rise", "cocoa", replace(meeting, corpus=meeting.corpus[:1]), number=number), None),
        ("foil_size", "2"): (studied.ranking("rise", "cocoa", replace(meeting, foil=meeting.foil[:2]), number=number), None),
        ("num_masks", "5"): (studied.ranking("rise", "cocoa", meeting, number=number, num_masks=5), None),
        ("removal", "black"): (studied.ranking("rise", "cocoa", meeting, number=number, baseline=black), black),
        ("blur_sigma", "2"): (studied.ranking("rise", "cocoa", meeting, number=number, baseline=weak), weak),
    }
    for (factor, name), (ranking, baseline) in slow_maps.items():
        level = studied.factor(factor)[name]
        for measure, curves in studied.curves(ranking, judge, baseline).items():
            if measure in level.gaps:
                assert equals(level.gaps[measure][number, place], gap(curves), ranking), (factor, measure)
        agreement = scipy.stats.spearmanr(ranking.ravel(), own.ravel()).statistic
        assert float(level.agreement[number, place]) == pytest.approx(agreement, abs=1e-4), factor
    for factor, name in (("corpus_size", "3"), ("foil_size", "6"), ("num_masks", "12"), ("removal", "blur"), ("blur_sigma", "5")):
        level = studied.factor(factor)[name]
        assert set(level.gaps) == {"corpus_majority", "corpus_similarity"}
        assert level.agreement.tolist() == [[1.0] * 3] * 2, factor
        for measure, gaps in level.gaps.items():
            assert mostly_equal(gaps, studied.cell("same", measure, "rise", "cocoa").gap[:, ::2]), factor


def test_the_cascade_goes_from_the_encoder_to_the_randomised_network(studied: Studied) -> None:
    levels = list(studied.factor("cascade").values())
    assert [level.name for level in levels] == ["", *studied.subject.layers(2)]
    assert levels[0].agreement.tolist() == [[1.0] * 3] * len(levels[0].agreement)
    for measure in levels[0].gaps:
        for level, target in ((levels[0], "cocoa"), (levels[-1], RANDOMISED)):
            expected = studied.cell("same", measure, "rise", target).gap[: len(level.agreement), ::2]
            assert mostly_equal(level.gaps[measure], expected), (level.name, measure)
    seed, row = studied.draws[0].seed, 4
    maps = [studied.ranking("rise", "cocoa", studied.meeting(0, row, "same", encode=encode), number=0)
            for encode in (studied.plain, studied.encode(redrawn=seed))]  # fmt: skip
    agreement = scipy.stats.spearmanr(*(each.ravel() for each in maps)).statistic
    assert float(levels[-1].agreement[0, 2]) == pytest.approx(agreement, abs=1e-3)
