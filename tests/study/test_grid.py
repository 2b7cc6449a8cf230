"""A small study, whole, against the paper's formulas computed slowly: every number of every cell."""

from __future__ import annotations

import copy
import csv
import io
import itertools
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from cocoa_pl.build import AskedEncoder, config_of_run, restore_module
from cocoa_pl.config import StudyConfig, load_config
from cocoa_pl.data.source import Source
from cocoa_pl.data.splits import Splits
from cocoa_pl.encoding import FrozenEncoder
from cocoa_pl.errors import DataError
from cocoa_pl.metrics.randomisation import randomised
from cocoa_pl.models.checkpoint import read_checkpoint
from cocoa_pl.models.module import EncoderModule
from cocoa_pl.rng import derive_seed
from cocoa_pl.runs import train
from cocoa_pl.study import grid as engine
from cocoa_pl.study import study as story
from cocoa_pl.study.cells import Cells
from cocoa_pl.study.command import StudyRequest, parse_study
from cocoa_pl.study.drawing import Draw, classes_of, draw
from cocoa_pl.study.grid import Seed, collect
from cocoa_pl.study.opening import Opened, opened, plan_of
from cocoa_pl.study.plan import Plan, forwards, forwards_alone
from cocoa_pl.study.results import CONTROL, MEASURES, RANDOMISED, SETTINGS, TARGETS, Areas, Cell, Level, Results
from cocoa_pl.study.subject import LinearHead, Subject
from cocoa_pl.study.tables import grid_csv
from tests.study import slow

STEPS, MASKS, GRID_SIZE, SIDE = 4, 12, 4, 32
EQUAL = 5e-6
"""Of areas in single precision."""
CLEAR = 1e-4
"""Pixels at a cut of the ranking that are nearer to each other than this share of the map's peak may change places by rounding."""
METHODS = ("integrated_gradients", "gradient_shap", "rise")
OPTIONS = {
    "study": {
        "parts": ["grid", "sensitivity", "sanity"], "seeds": [1, 2], "per_class": 2, "classes": ["1", "4", "7"], "num_bank": 48,
        "corpus_sizes": [1], "foil_sizes": [2], "mask_counts": [5], "removals": ["black"], "blur_sigmas": [2.0],
        "sensitivity_per_class": 1, "cascade_per_class": 1,
    },
    "explain": {
        "corpus_size": 3, "foil_size": 6, "num_masks": MASKS, "num_steps": 3, "num_samples": 3, "curve_steps": STEPS,
        "precision": "64",  # in single precision gradients of ReLUs near zero jump, and near ties of a ranking change places
    },
    "trainer": {"accelerator": "cpu", "progress_bar": False},
}  # fmt: skip


@dataclass
class Studied:
    """A study that was done, and all that it takes to do it slowly."""

    results: Results
    config: StudyConfig
    plan: Plan
    subject: Subject
    head: LinearHead
    draws: tuple[Draw, ...]
    trained: EncoderModule
    forwards: int  # images that encoders saw for the grid, the linear head's apart

    def cell(self, setting: str, measure: str, method: str, target: str) -> Areas:
        return self.results.grid[Cell(self.subject.title, setting, measure, method, target)]

    def factor(self, name: str) -> dict[str, Level]:
        (found,) = (factor for factor in self.results.factors if factor.name == name)
        return {level.name: level for level in found.levels}

    def encode(self, *, redrawn: int | None = None) -> slow.Encode:
        """The network as trained, not folded and in double precision; or with its parameters redrawn by a seed."""
        network = self.trained.backbone if redrawn is None else randomised(self.trained.backbone, redrawn)
        network = copy.deepcopy(network).double().eval()
        mean, std = (values.double().view(3, 1, 1) for values in (self.trained.mean, self.trained.std))
        return lambda images: network((images - mean) / std)

    @cached_property
    def plain(self) -> slow.Encode:
        return self.encode()

    def meeting(self, number: int, row: int, setting: str, *, encode: slow.Encode | None = None, judging: bool = False) -> slow.Meeting:
        """An explicand of a seed with what it meets in a setting."""
        drawn, splits = self.draws[number], self.subject.splits
        corpora, foil = (drawn.judge_corpora, drawn.judge_foil) if judging else (drawn.corpora, drawn.foil)
        (image,) = pictures(splits.val, drawn.explicands[[row]])
        corpus = corpora[drawn.corpus_of(setting)[row]]
        return slow.Meeting(encode or self.plain, image, pictures(splits.train, corpus), pictures(splits.train, foil))

    def judge(self, number: int, row: int, setting: str, *, judging: bool = True) -> slow.Judge:
        weight, bias = (np.asarray(part.double()) for part in (self.head.weight, self.head.bias))
        return slow.Judge(self.meeting(number, row, setting, judging=judging), weight, bias)

    def ranking(self, method: str, target: str, meeting: slow.Meeting, *, number: int, num_masks: int = MASKS) -> np.ndarray:
        """The slow map of a cell."""
        seed, image = derive_seed(self.draws[number].seed, "masks"), meeting.image
        if method == CONTROL:
            return slow.control(target, height=SIDE, width=SIDE, grid_size=GRID_SIZE, seed=seed)
        score, baseline = slow.score_of(target, meeting), slow.blurred(image)
        if method == "integrated_gradients":
            return slow.integrated_gradients(score, image, baseline, num_steps=3)
        if method == "gradient_shap":
            return slow.gradient_shap(score, image, baseline, num_samples=3, seed=seed)
        return slow.rise(score, image, baseline, num_masks=num_masks, grid_size=GRID_SIZE, seed=seed)

    def curves(self, ranking: np.ndarray, judge: slow.Judge) -> dict[str, np.ndarray]:
        """Measure to values along insertion and then deletion."""
        image = judge.meeting.image
        return judge.values(slow.perturbed(self.plain, image, slow.blurred(image), ranking, num_steps=STEPS))


def pictures(source: Source, ids: Tensor) -> list[Tensor]:
    return list(source.load(ids.tolist()).double() / 255)


@contextmanager
def counting() -> Iterator[Callable[[], int]]:
    """How many images went through any encoder."""
    total, original = 0, FrozenEncoder.__call__

    def counted(encoder: FrozenEncoder, images: Tensor) -> Tensor:
        nonlocal total
        total += len(images)
        return original(encoder, images)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(FrozenEncoder, "__call__", counted)
        yield lambda: total


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint after two steps of training: its batch norms have statistics of their own."""
    root = tmp_path_factory.mktemp("grid")
    layer = {
        "run": {"root": str(root), "name": "tiny", "logger": "none"},
        "data": {"name": "scenes", "num_train": 128, "num_val": 40, "batch_size": 64, "num_bank": 16},
        "model": {"width": 8, "projection_dim": 8}, "augment": {"jitter": 0, "grayscale": 0}, "explain": {"enabled": False},
        "trainer": {"epochs": 1, "accelerator": "cpu", "progress_bar": False},
    }  # fmt: skip
    train(load_config(layer))
    return root / "tiny"


@pytest.fixture(scope="module")
def studied(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Studied:
    out = tmp_path_factory.mktemp("studied")
    (out / "small.yaml").write_text(json.dumps(OPTIONS))  # JSON is YAML
    known, forwards_of_grid = list[Opened](), 0

    def open_once(request: StudyRequest) -> Opened:
        known.append(opened(request))
        return known[-1]

    def counted_grid(*args: Any) -> float:
        nonlocal forwards_of_grid
        with counting() as count:
            reliability = grid_of(*args)
        forwards_of_grid = count()
        return reliability

    grid_of = story._grid
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("cocoa_pl.study.folder.plots", lambda results: {})  # pictures take longer than all numbers
        patch.setattr("cocoa_pl.study.factors._CASCADE_STEPS", 2)
        patch.setattr(story, "opened", open_once)
        patch.setattr(story, "_grid", counted_grid)
        results = story.study(parse_study([str(out / "small.yaml"), "--ckpt", str(run), "--out", str(out)]))
    (given,) = known
    labels, _ = classes_of(given.splits.val, given.config.study.classes)
    draws = tuple(drawn(given.splits, labels, seed) for seed in given.config.study.seeds)
    ((title, asked),) = given.encoders.items()
    subject = Subject(title, asked, asked.on(torch.device("cpu")), given.splits, Cells(out / "cells"))
    trained = restore_module(read_checkpoint(run / "last.ckpt"), config_of_run(run / "last.ckpt", []), path=run / "last.ckpt")
    plan, head = plan_of(given.config, given.splits, num_classes=len(labels)), subject.head(num_bank=given.config.study.num_bank)
    return Studied(results, given.config, plan, subject, head, draws, trained, forwards_of_grid)


def drawn(splits: Splits, labels: Tensor, seed: int) -> Draw:
    return draw(
        splits.train, splits.val, labels=labels, seed=seed, per_class=2, corpus_size=3, foil_size=6, judge_corpus_size=3, judge_foil_size=6
    )


def check(studied: Studied, found: Areas, ranking: np.ndarray, curves: np.ndarray, *, number: int, row: int) -> bool:
    """Whether areas equal slow ones; where they do not, rounding must be able to change the ranking, and little may change."""
    expected = slow.areas(curves)
    apart = np.abs(np.array([float(part[number, row]) for part in (found.insertion, found.deletion)]) - expected).max()
    if apart > EQUAL:
        assert slow.margin(ranking, num_steps=STEPS) < CLEAR, apart
        assert apart < 0.02
    return bool(apart <= EQUAL)


@pytest.mark.parametrize(("number", "row"), [(0, 0), (0, 3), (1, 5)], ids=str)
def test_every_number_of_an_explicand_is_the_slow_one(studied: Studied, number: int, row: int) -> None:
    rows = [*itertools.product(METHODS, (*TARGETS, RANDOMISED)), *((CONTROL, name) for name in studied.plan.controlled)]
    other = studied.encode(redrawn=studied.draws[number].seed)
    meetings = {(setting, wiped): studied.meeting(number, row, setting, encode=other if wiped else None)
                for setting in SETTINGS for wiped in (False, True)}  # fmt: skip
    judges = {setting: studied.judge(number, row, setting) for setting in SETTINGS}
    differ, compared = set(), 0
    for (method, target), setting in itertools.product(rows, SETTINGS):
        meeting = meetings[setting, target == RANDOMISED]
        ranking = studied.ranking(method, "cocoa" if target == RANDOMISED else target, meeting, number=number)
        curves = studied.curves(ranking, judges[setting])
        for measure in MEASURES:
            found = studied.cell(setting, measure, method, target)
            if not check(studied, found, ranking, curves[measure], number=number, row=row):
                differ.add((method, target, setting))
            compared += 1
    assert compared == len(studied.results.grid) == len(SETTINGS) * len(MEASURES) * (3 * 5 + 3)
    assert len(differ) <= 2, differ  # at most these have pixels at a cut that rounding can tell apart or not
