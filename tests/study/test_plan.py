"""How many images a plan says go through the encoder, against the same counted by hand, and the paper's grid."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from cocoa_pl.attributions.gradient_shap import GradientShap
from cocoa_pl.attributions.integrated_gradients import IntegratedGradients
from cocoa_pl.attributions.rise import Rise
from cocoa_pl.config.study import CONTROLS, MEASURES, SETTINGS, TARGETS
from cocoa_pl.explainer import load_attribution, load_removal
from cocoa_pl.study.plan import Plan, forwards, forwards_alone

METHODS = {
    "integrated_gradients": IntegratedGradients(num_steps=50),
    "gradient_shap": GradientShap(num_samples=50),
    "rise": Rise(num_masks=512),
}
PAPER = Plan(
    TARGETS, SETTINGS, MEASURES, METHODS, {name: load_attribution(name)() for name in CONTROLS}, True, False,
    load_removal("blur"), 50, num_seeds=5, num_classes=10, per_class=25, corpus_size=100, foil_size=1500,
)  # fmt: skip


def test_the_papers_grid_counted_by_hand() -> None:
    explained = 250 * (50 + 50 + 513)  # RISE sees the whole picture too
    own = 2 * 1 + 2 * 2  # maps of a method: two targets have one, and two have one a setting
    maps = 3 * own + 3 * 2 + 3  # and those by the copy, and the controls
    curves = maps * 250 * 2 * 50
    explicands = 250 * (1 + 1 + 2 + 1)  # for measures, for maps by the encoder, twice by its copy, for controls
    references = 3 * (10 * 100 + 1500)  # for maps, for measures, for the copy
    assert forwards(PAPER, 32, 32) == 5 * (2 * explained + curves + explicands + references)
    assert PAPER.forwards_of_references() == references


def test_the_goal_is_met_at_the_papers_sizes() -> None:
    literal = replace(PAPER, methods={**METHODS, "rise": Rise(num_masks=5000)})
    assert forwards_alone(literal, 32, 32) >= 16 * forwards(literal, 32, 32)
    assert forwards_alone(PAPER, 32, 32) >= 10 * forwards(PAPER, 32, 32)
    few = replace(PAPER, methods={**METHODS, "rise": Rise(num_masks=64)})  # then what is left are curves, of which every map has its own
    assert 7 * forwards(few, 32, 32) <= forwards_alone(few, 32, 32) < 10 * forwards(few, 32, 32)


def test_a_plan_is_made_of_its_cells() -> None:
    cells = list(PAPER.cells())
    assert len(cells) == 2 * 4 * (3 * (4 + 1) + 3)
    kinds = Counter((cell.settings, cell.measures) for cell in cells)
    assert kinds == {((setting,), (measure,)): 18 for setting in SETTINGS for measure in MEASURES}
    for cell in cells:
        assert len(cell.targets) + cell.randomised + len(cell.controlled) == 1
        assert len(cell.methods) == (0 if cell.controlled else 1)
    assert forwards_alone(PAPER, 32, 32) == sum(forwards(cell, 32, 32) for cell in cells)
    assert forwards(cells[0], 32, 32) == forwards_alone(cells[0], 32, 32)


def test_one_cell_counted_by_hand() -> None:
    def one(target: str, measure: str) -> int:
        chosen = replace(
            PAPER, targets=(target,), settings=("different",), measures=(measure,), methods={"rise": METHODS["rise"]}, controlled={},
            randomised=False, num_seeds=1,
        )  # fmt: skip
        return forwards(chosen, 32, 32)

    maps = 250 * (1 + 1 + 513 + 2 * 50)  # for the measure, for the map and by RISE, along the curves
    assert one("label_free", "representation_shift") == maps
    assert one("contrastive_label_free", "representation_shift") == maps + 1500
    assert one("corpus", "corpus_majority") == maps + 2 * 1000
    assert one("cocoa", "corpus_similarity") == maps + 2 * 2500


def test_corpora_that_judge_in_their_own_sample_are_encoded_once() -> None:
    own = replace(PAPER, in_sample=True)
    assert PAPER.forwards_of_references() - own.forwards_of_references() == 10 * 100 + 1500
    blind = replace(own, targets=("label_free",), randomised=False)
    assert blind.forwards_of_references() == 10 * 100 + 1500  # nothing explains by them, so that they are encoded to judge


@pytest.mark.parametrize("nothing", [{"controlled": {}}, {"randomised": False}, {"controlled": {}, "randomised": False}])
def test_what_is_not_asked_for_costs_nothing(nothing: dict[str, object]) -> None:
    assert forwards(replace(PAPER, **nothing), 32, 32) < forwards(PAPER, 32, 32)  # type: ignore[arg-type]
