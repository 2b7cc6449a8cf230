"""A study as a story: open encoders and data, measure part by part, write after each encoder what is known."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor
from tqdm.auto import tqdm

from cocoa_pl.allocator import keep_freed_memory
from cocoa_pl.errors import ConfigError
from cocoa_pl.files import require_folder
from cocoa_pl.study.cells import Cells, described, digest
from cocoa_pl.study.collecting import collect
from cocoa_pl.study.command import StudyRequest
from cocoa_pl.study.drawing import Draw, classes_of, draw
from cocoa_pl.study.factors import cascaded, level_sizes, sensitivity
from cocoa_pl.study.folder import Folder
from cocoa_pl.study.grid import Part, Seed, joined
from cocoa_pl.study.opening import Opened, opened, plan_of
from cocoa_pl.study.plan import Plan, forwards, forwards_alone
from cocoa_pl.study.results import Cost, EncoderFacts, Results
from cocoa_pl.study.subject import LinearHead, Subject
from cocoa_pl.study.views import ViewsStudy, study_views
from cocoa_pl.study.views_kept import as_tensors, of_tensors

_NEED_HEAD = ("corpus_majority", "explicand_probability")


@dataclass(frozen=True)
class _Study:
    """What all parts know.

    Attributes:
        given: options, data, encoders.
        plan: the grid.
        labels: of the classes that take part.
        names: theirs.
        draws: one a seed.
    """

    given: Opened
    plan: Plan
    labels: Tensor
    names: tuple[str, ...]
    draws: tuple[Draw, ...]


def study(request: StudyRequest) -> Results:
    """Do it, and write everything into one folder.

    Raises:
        CocoaError: encoders, pictures or options cannot be used; or the folder cannot be written. What was computed is kept.
    """
    keep_freed_memory()
    given = opened(request)
    config = given.config
    labels, names = classes_of(given.splits.val, config.study.classes)
    plan = plan_of(config, given.splits, num_classes=len(labels))
    draws = tuple(_draw(given, plan, labels, seed) for seed in config.study.seeds)
    if "sensitivity" in config.study.parts:
        level_sizes(config, given.splits, plan, labels)  # too few pictures are better known now than after the grid
    whole = _Study(given, plan, labels, names, draws)
    path = require_folder(request.out or _default_folder(request, given))
    folder = Folder(path, request.name, config, class_names=names, notes=list(given.notes))
    results, views = Results(seeds=tuple(config.study.seeds)), list[ViewsStudy]()
    for title, asked in given.encoders.items():
        subject = Subject(title, asked, asked.on(given.device), given.splits, Cells(path / "cells" if asked.fingerprint else None))
        if not asked.fingerprint:
            folder.note(f"{title}: what its output depends on is not known, so none of its results are kept for another time.")
        _study_one(whole, subject, results, views, folder)
        folder.write(results, views)
    folder.draw(results, views)
    folder.tell(results)
    return results


def _default_folder(request: StudyRequest, given: Opened) -> Path:
    name = re.sub(r"[^\w.+-]+", "_", request.name)  # of an encoder: it may have slashes
    return Path(given.config.run.root) / f"study-{name}"


def _study_one(whole: _Study, subject: Subject, results: Results, views: list[ViewsStudy], folder: Folder) -> None:
    """All parts that are asked for, of one encoder."""
    config, plan = whole.given.config, whole.plan
    weighs = _has_weights(subject)
    if not weighs:
        plan = replace(plan, randomised=False)
    if not weighs and (config.study.randomised or "sanity" in config.study.parts):
        folder.note(f"{subject.title}: is a plain function without weights to redraw; the randomised network and the cascade are left out.")
    needs = config.study.parts != ["grid"] or {*_NEED_HEAD} & {*plan.measures}
    head = subject.head(num_bank=config.study.num_bank) if needs else None
    accuracy = float("nan") if head is None else head.accuracy
    reliability = float("nan")
    if "grid" in config.study.parts:
        reliability = _grid(replace(whole, plan=plan), subject, head, results)
    results.encoders = (*results.encoders, EncoderFacts(subject.title, dict(subject.asked.about), accuracy, reliability))
    if "sensitivity" in config.study.parts:
        results.factors += sensitivity(config, whole.given.splits, subject, plan, head, labels=whole.labels)
    if "sanity" in config.study.parts and weighs:
        results.factors += cascaded(config, subject, plan, whole.draws, head)
    if "views" in config.study.parts:
        assert head is not None
        views.append(_views(whole, subject, head))


def _has_weights(subject: Subject) -> bool:
    """Whether there is something to redraw."""
    try:
        return subject.network is not None
    except ConfigError:
        return False


def _draw(given: Opened, plan: Plan, labels: Tensor, seed: int) -> Draw:
    judges = not plan.in_sample
    return draw(
        given.splits.train, given.splits.val, labels=labels, seed=seed, per_class=plan.per_class, corpus_size=plan.corpus_size,
        foil_size=plan.foil_size, judge_corpus_size=plan.corpus_size * judges, judge_foil_size=plan.foil_size * judges,
    )  # fmt: skip


def _grid(whole: _Study, subject: Subject, head: LinearHead | None, results: Results) -> float:
    """The grid of one encoder into the results; the reliability of RISE."""
    plan = whole.plan
    height, width = whole.given.splits.val.load([0]).shape[-2:]
    seeds = [Seed(subject, plan, drawn, head) for drawn in whole.draws]
    total, alone = forwards(plan, height, width), forwards_alone(plan, height, width)
    blocks = [[seed.parts(rows) for rows in seed.blocks()] for seed in seeds]
    left = [[part for parts in own for part in parts if not subject.cells.has(part.key)] for own in blocks]
    to_do = sum(sum(part.forwards for part in own) + plan.forwards_of_references() for own in left if own)
    known = f", {total - to_do:,} of them known from before" if to_do < total else ""
    print(f"{subject.title}: {total:,} images through the encoder{known}; {alone:,} if each cell were computed on its own", flush=True)
    made = []
    hidden = not whole.given.config.trainer.progress_bar
    with tqdm(total=to_do, unit="image", desc=f"{subject.title}, grid", unit_scale=True, leave=False, disable=hidden) as bar:
        for seed, own, missing in zip(seeds, blocks, left, strict=True):
            made.append([joined([_known(seed, part, missing, bar) for part in parts]) for parts in own])
            seed.release()
    results.grid |= collect(subject.title, seeds, made)
    every = [block for blocks in made for block in blocks]
    spent = sum(int(block["forwards"]) for block in every) + len(seeds) * plan.forwards_of_references()
    results.costs[subject.title] = Cost(spent, alone, sum(float(block["seconds"]) for block in every))
    return float(torch.stack([block["reliability"] for block in every]).float().mean())


def _known(seed: Seed, part: Part, missing: Sequence[Part], bar: tqdm) -> dict[str, Tensor]:
    """A part of a block; the bar counts those that are missing, the first one with corpora and foils."""
    found = seed.subject.cells.of(part.key, part.compute)
    if part in missing:
        bar.update(part.forwards + (seed.plan.forwards_of_references() if part is missing[0] else 0))
    return found


def _views(whole: _Study, subject: Subject, head: LinearHead) -> ViewsStudy:
    """The augmentation study of one encoder, on the first seed's explicands."""
    config, splits, first = whole.given.config, whole.given.splits, whole.draws[0]
    few = first.few(min(config.study.views_per_class, config.study.per_class))
    assert splits.val.labels is not None
    images, foil = splits.val.load(few.explicands.tolist()), splits.train.load(first.foil.tolist())
    names: Sequence[str] = splits.val.class_names or [str(k) for k in range(splits.val.num_classes)]
    views = config.explain.views
    total = len(images) * len(views)
    key = [
        "views", subject.title, subject.fingerprint, first.seed, views, list(whole.plan.methods.items()), described(whole.plan.removal),
        digest(splits.val, few.explicands), few.explicands.tolist(), digest(splits.train, first.foil), head.key, names,
    ]  # fmt: skip
    with tqdm(total=total, unit="view", desc=f"{subject.title}, views", leave=False, disable=not config.trainer.progress_bar) as bar:

        def advance(done: int) -> None:
            bar.update(done - bar.n)

        def compute() -> dict[str, Tensor]:
            return as_tensors(
                study_views(
                    subject.encoder, title=subject.title, images=images, ids=few.explicands, labels=splits.val.labels[few.explicands],  # type: ignore[index]
                    class_names=names, foil=foil, head=head, attributions=whole.plan.methods, removal=whole.plan.removal, views=views,
                    seed=first.seed, chunk_size=whole.plan.chunk_size, progress=advance,
                )
            )  # fmt: skip

        return of_tensors(subject.cells.of(key, compute))
