"""The sensitivity study and the cascade of one encoder, factor by factor, over all seeds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from torch import Tensor
from tqdm.auto import tqdm

from cocoa_pl.attributions.rise import Rise
from cocoa_pl.config import StudyConfig
from cocoa_pl.data.splits import Splits
from cocoa_pl.errors import DataError
from cocoa_pl.study.cells import described
from cocoa_pl.study.drawing import Draw, draw
from cocoa_pl.study.opening import removal_of
from cocoa_pl.study.plan import Plan
from cocoa_pl.study.results import Factor
from cocoa_pl.study.sensitivity import Maps, Question, factor, measured
from cocoa_pl.study.subject import LinearHead, Subject
from cocoa_pl.study.writing import CASCADE, RISE
from cocoa_pl.types import Removal

_CASCADE_STEPS = 8

MapsOf = Callable[[Question], tuple[Maps, dict[str, Removal]]]
"""What gives the maps of every level, and what curves take pixels away by where that differs."""


def method_of(plan: Plan) -> str:
    """The method whose factors are varied: RISE, or the first where RISE is not asked for."""
    return RISE if RISE in plan.methods else next(iter(plan.methods))


@dataclass(frozen=True)
class _Levels:
    """A factor's levels, the grid's own value among them."""

    names: tuple[str, ...]
    reference: str
    note: str = ""
    removals: tuple[str, ...] = ()


def sensitivity(
    config: StudyConfig, splits: Splits, subject: Subject, plan: Plan, head: LinearHead | None, *, labels: Tensor
) -> list[Factor]:  # fmt: skip
    """Sizes of corpus and foil, RISE's masks, removal, strength of the blur."""
    study = config.study
    corpora, foils = level_sizes(config, splits, plan, labels)
    largest = {"corpus_size": max(map(int, corpora.names)), "foil_size": max(map(int, foils.names))}
    per_class = min(study.sensitivity_per_class, plan.per_class)
    method = method_of(plan)
    questions = []
    for seed in study.seeds:
        drawn = draw(
            splits.train, splits.val, labels=labels, seed=seed, per_class=plan.per_class, judge_corpus_size=plan.corpus_size,
            judge_foil_size=plan.foil_size, **largest,
        )  # fmt: skip
        questions.append(Question(subject, plan, drawn.few(per_class), head, method=method))
    removals = {name: removal_of(config, splits, name) for name in dict.fromkeys([config.explain.removal, *study.removals])}
    blurs = {
        f"{sigma:g}": removal_of(config, splits, "blur", sigma=sigma) for sigma in sorted({*study.blur_sigmas, _own_blur(plan.removal)})
    }
    parts: list[tuple[str, _Levels, MapsOf]] = [
        ("corpus_size", corpora, lambda question: (question.sizes(_ints(corpora), [])[0], {})),
        ("foil_size", foils, lambda question: (question.sizes([], _ints(foils))[1], {})),
    ]
    rise = plan.methods[method]
    if isinstance(rise, Rise):
        masks = _Levels(tuple(map(str, sorted({*study.mask_counts, rise.num_masks}))), str(rise.num_masks))
        parts.append(("num_masks", masks, lambda question: (question.masks(_ints(masks)), {})))
    parts.append(("removal", _of_removals(removals, config.explain.removal), partial(_removed, removals)))
    if config.explain.removal == "blur":
        parts.append(("blur_sigma", _of_removals(blurs, f"{_own_blur(plan.removal):g}"), partial(_removed, blurs)))
    found = []
    with _bar(config, subject, "sensitivity", total=len(parts) * len(questions)) as bar:
        for name, levels, maps_of in parts:
            made = []
            for question in questions:
                made.append(subject.cells.of(_key(name, levels, question), partial(_measured, question, maps_of, levels)))
                bar.update()
            found.append(_factor(subject, name, levels, questions[0], made, method=method))
    return found


def cascaded(config: StudyConfig, subject: Subject, plan: Plan, draws: Sequence[Draw], head: LinearHead | None) -> list[Factor]:
    """Layers lost from the top, one step more at a time: gaps of the maps that are left, and their agreement with the encoder's own."""
    method = method_of(plan)
    few = [drawn.few(min(config.study.cascade_per_class, plan.per_class)) for drawn in draws]
    questions = [Question(subject, plan, drawn, head, method=method) for drawn in few]
    levels = _Levels(("", *subject.layers(_CASCADE_STEPS)), "")
    made = []
    with _bar(config, subject, CASCADE, total=len(questions)) as bar:
        for question in questions:
            made.append(subject.cells.of(_key(CASCADE, levels, question), partial(_lost, question)))
            bar.update()
    return [_factor(subject, CASCADE, levels, questions[0], made, method=method)]


def _lost(question: Question) -> dict[str, Tensor]:
    return measured(question, dict(question.cascade(_CASCADE_STEPS)), "")


def _measured(question: Question, maps_of: MapsOf, levels: _Levels) -> dict[str, Tensor]:
    maps, removals = maps_of(question)
    return measured(question, maps, levels.reference, removals)


def _of_removals(removals: dict[str, Removal], reference: str) -> _Levels:
    return _Levels(tuple(removals), reference, removals=tuple(map(described, removals.values())))


def _removed(removals: dict[str, Removal], question: Question) -> tuple[Maps, dict[str, Removal]]:
    """Maps and curves alike are of each removal."""
    return {name: question.removed(removal) for name, removal in removals.items()}, removals


def _factor(
    subject: Subject, name: str, levels: _Levels, question: Question, made: Sequence[dict[str, Tensor]], *, method: str
) -> Factor:  # fmt: skip
    measures = [measure for measure, _ in question.measures]
    return factor(
        subject.title, name, method=method, levels=levels.names, reference=levels.reference, measures=measures, made=made, note=levels.note
    )  # fmt: skip


def level_sizes(config: StudyConfig, splits: Splits, plan: Plan, labels: Tensor) -> tuple[_Levels, _Levels]:
    """Sizes of corpus and foil that are compared, those that the data has beside what judges.

    Raises:
        DataError: the data has not even the grid's own.
    """
    train, study = splits.train, config.study
    assert train.labels is not None
    fewest = min(int((train.labels == label).sum()) for label in labels)
    corpora = _those_up_to(fewest - plan.corpus_size, study.corpus_sizes, plan.corpus_size, "corpus")
    taken = len(labels) * (plan.corpus_size + max(map(int, corpora.names))) + plan.foil_size
    return corpora, _those_up_to(len(train) - taken, study.foil_sizes, plan.foil_size, "foil")


def _those_up_to(most: int, sizes: Sequence[int], own: int, what: str) -> _Levels:
    if most < own:
        raise DataError(
            f"{own} pictures of a {what} are needed beside as many that judge, and the data has {max(0, most)}; lower explain.{what}_size"
        )
    asked = sorted({*sizes, own})
    left = [size for size in asked if size <= most]
    out = [str(size) for size in asked if size > most]
    note = f"The data has no more than {most} pictures for a {what} beside those that judge; left out: {', '.join(out)}." if out else ""
    return _Levels(tuple(map(str, left)), str(own), note)


def _own_blur(removal: Removal) -> float:
    return float(getattr(removal, "sigma", 5.0))


def _ints(levels: _Levels) -> list[int]:
    return [int(name) for name in levels.names]


def _key(name: str, levels: _Levels, question: Question) -> list[object]:
    """Everything that decides a factor's numbers for one seed."""
    drawn, plan, subject = question.draw, question.plan, question.subject
    return [
        name, levels.names, levels.removals, levels.reference, subject.fingerprint, drawn.seed, question.method, question.measures,
        described(plan.removal), plan.curve_steps, plan.corpus_size, plan.foil_size, question.pictures, drawn.own.tolist(),
        None if question.head is None else question.head.key,
    ]  # fmt: skip


def _bar(config: StudyConfig, subject: Subject, what: str, *, total: int) -> tqdm:
    return tqdm(total=total, desc=f"{subject.title}, {what}", leave=False, disable=not config.trainer.progress_bar)
