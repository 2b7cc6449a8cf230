"""A study of seconds that is whole: its folder, its numbers, and all that it takes to compute them slowly."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from cocoa_pl.build import config_of_run, restore_module
from cocoa_pl.config import StudyConfig, load_config
from cocoa_pl.data.source import Source
from cocoa_pl.encoding import FrozenEncoder
from cocoa_pl.metrics.randomisation import randomised
from cocoa_pl.models.checkpoint import read_checkpoint
from cocoa_pl.models.module import EncoderModule
from cocoa_pl.rng import derive_seed
from cocoa_pl.runs import train
from cocoa_pl.study import study as story
from cocoa_pl.study.cells import Cells
from cocoa_pl.study.command import StudyRequest, parse_study
from cocoa_pl.study.drawing import Draw, classes_of, draw
from cocoa_pl.study.grid import Part, Seed
from cocoa_pl.study.opening import Opened, opened, plan_of
from cocoa_pl.study.plan import Plan
from cocoa_pl.study.results import Areas, Cell, Level, Results
from cocoa_pl.study.subject import LinearHead, Subject
from tests.study import slow

STEPS, MASKS, GRID_SIZE, SIDE = 4, 12, 4, 32
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

    def seed(self, number: int, subject: Subject | None = None, **changes: object) -> Seed:
        """The engine's grid of a seed, with another plan or of another encoder."""
        return Seed(subject or self.subject, replace(self.plan, **changes), self.draws[number], self.head)  # type: ignore[arg-type]

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

    def ranking(
        self, method: str, target: str, meeting: slow.Meeting, *, number: int, num_masks: int = MASKS, baseline: Tensor | None = None
    ) -> np.ndarray:
        """The slow map of a method; the baseline is blurred where none is given."""
        seed, image = derive_seed(self.draws[number].seed, "masks"), meeting.image
        score = slow.score_of(target, meeting)
        baseline = slow.blurred(image) if baseline is None else baseline
        if method == "integrated_gradients":
            return slow.integrated_gradients(score, image, baseline, num_steps=3)
        if method == "gradient_shap":
            return slow.gradient_shap(score, image, baseline, num_samples=3, seed=seed)
        return slow.rise(score, image, baseline, num_masks=num_masks, grid_size=GRID_SIZE, seed=seed)

    def control(self, name: str, *, number: int, row: int) -> np.ndarray:
        """The slow map of a control, drawn for every explicand anew."""
        seed = derive_seed(self.draws[number].seed, "control", int(self.draws[number].explicands[row]))
        return slow.control(name, height=SIDE, width=SIDE, grid_size=GRID_SIZE, seed=seed)

    def curves(self, ranking: np.ndarray, judge: slow.Judge, baseline: Tensor | None = None) -> dict[str, np.ndarray]:
        """Measure to values along insertion and then deletion."""
        image = judge.meeting.image
        baseline = slow.blurred(image) if baseline is None else baseline
        return judge.values(slow.perturbed(self.plain, image, baseline, ranking, num_steps=STEPS))


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


def small_run(root: Path) -> Path:
    """A run of two steps: its batch norms have statistics of their own."""
    layer = {
        "run": {"root": str(root), "name": "tiny", "logger": "none"},
        "data": {"name": "scenes", "num_train": 128, "num_val": 40, "batch_size": 64, "num_bank": 16},
        "model": {"width": 8, "projection_dim": 8}, "augment": {"jitter": 0, "grayscale": 0}, "explain": {"enabled": False},
        "trainer": {"epochs": 1, "accelerator": "cpu", "progress_bar": False},
    }  # fmt: skip
    train(load_config(layer))
    return root / "tiny"


def small_study(run: Path, out: Path) -> Studied:
    """The command's own story, without pictures, which take longer than all numbers."""
    (out / "small.yaml").write_text(json.dumps(OPTIONS))  # JSON is YAML
    known, counts, parts = list[Opened](), list[int](), Seed.parts

    def open_once(request: StudyRequest) -> Opened:
        known.append(opened(request))
        return known[-1]

    def counted(part: Part) -> dict[str, Tensor]:
        with counting() as count:
            made = part.compute()
        counts.append(count())
        return made

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("cocoa_pl.study.folder.plots", lambda results: {})
        patch.setattr("cocoa_pl.study.factors._CASCADE_STEPS", 2)
        patch.setattr(story, "opened", open_once)
        patch.setattr(Seed, "parts", lambda seed, rows: [replace(part, compute=partial(counted, part)) for part in parts(seed, rows)])
        results = story.study(parse_study([str(out / "small.yaml"), "--ckpt", str(run), "--out", str(out)]))
    (given,) = known
    splits, study = given.splits, given.config.study
    labels, _ = classes_of(splits.val, study.classes)
    draws = tuple(
        draw(
            splits.train, splits.val, labels=labels, seed=seed, per_class=2, corpus_size=3, foil_size=6, judge_corpus_size=3,
            judge_foil_size=6,
        ) for seed in study.seeds
    )  # fmt: skip
    ((title, asked),) = given.encoders.items()
    subject = Subject(title, asked, asked.on(torch.device("cpu")), splits, Cells(out / "cells"))
    trained = restore_module(read_checkpoint(run / "last.ckpt"), config_of_run(run / "last.ckpt", []), path=run / "last.ckpt")
    plan, head = plan_of(given.config, splits, num_classes=len(labels)), subject.head(num_bank=study.num_bank)
    return Studied(results, given.config, plan, subject, head, draws, trained, sum(counts))
