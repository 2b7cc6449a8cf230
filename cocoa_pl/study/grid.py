"""The grid: maps of all targets by each method in one pass, and all measures of each map by one encoding of its curves.

Shape legend
    n  explicands of a block      P  maps of each      K  measures      T  steps of a curve
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor

from cocoa_pl.attributions.reliability import stepped_up_correlation
from cocoa_pl.data.source import Source
from cocoa_pl.encoding import FrozenEncoder
from cocoa_pl.explainer import Explainer
from cocoa_pl.metrics.perturbation import perturbation_curves
from cocoa_pl.rng import derive_seed
from cocoa_pl.study.asking import ANY, Known, Wanted, ask, judge, judges_of, parts_of, wanted
from cocoa_pl.study.cells import described, digest
from cocoa_pl.study.drawing import Draw
from cocoa_pl.study.plan import REPLACED, Plan
from cocoa_pl.study.results import CONTROL, RANDOMISED
from cocoa_pl.study.subject import LinearHead, Subject
from cocoa_pl.study.writing import RISE
from cocoa_pl.types import Attribution, Scorer

_PIXELS = 2**17  # of the explicands of a block
_MOST = 50
Row = tuple[str, str, str]
"""Method, target and setting of a map."""


@dataclass(frozen=True)
class References:
    """What one seed's explicands meet, encoded where something asks for it."""

    corpora: Tensor | None = None
    foil: Tensor | None = None

    def known(self, explicands: Tensor, corpus_of: Mapping[str, Tensor]) -> Known:
        """Beside representations of explicands (n, D)."""
        return Known(explicands, self.corpora, self.foil, corpus_of)


def encoded(subject: Subject, draw: Draw, parts: set[str], *, judging: bool = False, encoder: FrozenEncoder | None = None) -> References:
    """Corpora and foil of a draw, those that explain or those that judge."""
    train = subject.splits.train
    corpora, foil = (draw.judge_corpora, draw.judge_foil) if judging else (draw.corpora, draw.foil)
    return References(
        subject.encode(train, corpora, encoder) if "corpus" in parts else None,
        subject.encode(train, foil, encoder) if "foil" in parts else None,
    )


@dataclass(frozen=True)
class _Block:
    """Some explicands of a seed: their rows in the draw, images (n, 3, H, W) in [0, 1], and what they meet."""

    rows: Tensor
    images: Tensor
    known: Known
    corpus_of: Mapping[str, Tensor]


MapsOf = Callable[[_Block], tuple[dict[Row, Tensor], Tensor]]
"""What gives the maps of a block, and the reliability of RISE's."""


@dataclass(frozen=True, eq=False)
class Part:
    """A part of a block, computed and kept by itself.

    Attributes:
        key: everything that decides its numbers.
        compute: ``insertion`` and ``deletion`` (P, K, n), sums of curves over the explicands (P, K, T + 1), cost.
        forwards: images that it encodes, corpora and foils apart.
    """

    key: list[object]
    compute: Callable[[], dict[str, Tensor]]
    forwards: int


class Seed:
    """The grid of one encoder and one seed, block by block of explicands.

    Args:
        subject: the encoder.
        plan: what is asked for.
        drawn: which pictures.
        head: for probabilities; None where no measure asks for one.
    """

    def __init__(self, subject: Subject, plan: Plan, drawn: Draw, head: LinearHead | None) -> None:
        self.subject, self.plan, self.draw, self.head = subject, plan, drawn, head
        self._ready: tuple[References, References, tuple[FrozenEncoder, References] | None] | None = None

    def blocks(self) -> list[Tensor]:
        """Rows of the draw, in turn."""
        height, width = self._size()
        return list(torch.split(torch.arange(len(self.draw.explicands)), max(1, min(_MOST, _PIXELS // (height * width)))))

    def parts(self, rows: Tensor) -> list[Part]:
        """What a block is made of: the methods' maps, and the controls'."""
        plan, made = self.plan, list[Part]()
        if plan.methods and (plan.targets or plan.randomised):
            made.append(self._part("grid", replace(plan, controlled={}), rows, self._maps))
        if plan.controlled:
            made.append(self._part("controls", replace(plan, methods={}, targets=(), randomised=False), rows, self._controls))
        return made

    def compute(self, rows: Tensor) -> dict[str, Tensor]:
        """A block, of all its parts."""
        return joined([part.compute() for part in self.parts(rows)])

    def _part(self, name: str, plan: Plan, rows: Tensor, maps_of: MapsOf) -> Part:
        key = self._key(name, plan, rows)
        return Part(key, partial(self._compute, rows, maps_of), plan.forwards_of_maps(len(rows), *self._size()))

    def _key(self, name: str, plan: Plan, rows: Tensor) -> list[object]:
        """Everything that decides a part's numbers."""
        val, train = self.subject.splits.val, self.subject.splits.train
        return [
            name, self.subject.fingerprint, self.draw.seed, plan.targets, plan.settings, plan.measures, list(plan.methods.items()),
            list(plan.controlled.items()), plan.randomised, described(plan.removal), plan.curve_steps, self._pictures(train),
            digest(val, self.draw.explicands[rows]), self.draw.own[rows].tolist(), self.draw.others[rows].tolist(),
            None if self.head is None else self.head.key,
        ]  # fmt: skip

    def _compute(self, rows: Tensor, maps_of: MapsOf) -> dict[str, Tensor]:
        """``insertion`` and ``deletion`` (P, K, n), sums of curves over the explicands (P, K, T + 1); the images encoded for it, corpora
        and foils apart, and seconds.
        """
        began = time.perf_counter()
        explaining, judging, other = self._references()
        subject, plan = self.subject, self.plan
        counted = [(each, each.num_forwards) for each in (subject.encoder, *(other[:1] if other else ()))]
        images = subject.splits.val.load(self.draw.explicands[rows].tolist()).to(subject.device).float() / 255
        reps = subject.encoder.encode(images)
        corpus_of = {setting: self.draw.corpus_of(setting)[rows] for setting in plan.settings}
        maps, reliability = maps_of(_Block(rows, images, explaining.known(reps, corpus_of), corpus_of))
        scorer = Scorer(subject.encoder, judge(judging.known(reps, corpus_of), wanted(plan.measures, plan.settings), self.head))
        baseline = plan.removal(images)
        curves = [
            perturbation_curves(scorer, images, baseline, each, num_steps=plan.curve_steps, chunk_size=plan.chunk_size)
            for each in maps.values()
        ]
        spent = sum(each.num_forwards - before for each, before in counted)
        return {
            "insertion": torch.stack([each.insertion_auc for each in curves]),
            "deletion": torch.stack([each.deletion_auc for each in curves]),
            "insertion_curve": torch.stack([each.insertion.nansum(1) for each in curves]),
            "deletion_curve": torch.stack([each.deletion.nansum(1) for each in curves]),
            "reliability": reliability, "forwards": torch.tensor(spent), "seconds": torch.tensor(time.perf_counter() - began),
        }  # fmt: skip

    def release(self) -> None:
        """Forget what was encoded; another block encodes it anew."""
        self._ready = None

    def rows(self) -> list[Row]:
        """The P maps of a block, in order."""
        plan = self.plan
        made = [(method, target, setting) for method in plan.methods for target, setting in wanted(plan.targets, plan.settings)]
        if plan.randomised:
            made += [(method, RANDOMISED, setting) for method in plan.methods for setting in plan.settings]
        return made + [(CONTROL, name, ANY) for name in plan.controlled]

    def _maps(self, block: _Block) -> tuple[dict[Row, Tensor], Tensor]:
        """Of all methods and targets, and by the randomised network; and the reliability of RISE's."""
        plan, found, reliability = self.plan, dict[Row, Tensor](), torch.tensor(float("nan"))
        other = self._references()[2]
        if targets := wanted(plan.targets, plan.settings):
            made, reliability = self._explained(self.subject.encoder, plan.methods, block.images, block.known, targets)
            found |= {(method, *one): maps for method, own in made.items() for one, maps in own.items()}
        if other is not None:
            wiped, references = other
            known = references.known(wiped.encode(block.images), block.corpus_of)
            own, _ = self._explained(wiped, plan.methods, block.images, known, wanted([REPLACED], plan.settings))
            found |= {(method, RANDOMISED, setting): maps for method, each in own.items() for (_, setting), maps in each.items()}
        return {row: found[row] for row in self.rows() if row in found}, reliability

    def _controls(self, block: _Block) -> tuple[dict[Row, Tensor], Tensor]:
        """Of the controls, drawn for every explicand anew, or a seed would say one thing 250 times; the encoder is not asked."""
        seeds = [derive_seed(self.draw.seed, "control", int(number)) for number in self.draw.explicands[block.rows]]
        found = {}
        for name, control in self.plan.controlled.items():
            each = [(block.images[n : n + 1], seed) for n, seed in enumerate(seeds)]
            found[CONTROL, name, ANY] = torch.cat([control(_nothing, image, image, seed=seed, chunk_size=1)[0] for image, seed in each])
        return found, torch.tensor(float("nan"))

    def _explained(
        self, encoder: FrozenEncoder, methods: Mapping[str, Attribution], images: Tensor, known: Known, targets: list[Wanted]
    ) -> tuple[dict[str, dict[Wanted, Tensor]], Tensor]:  # fmt: skip
        """Method to wanted maps, and the reliability of RISE's of COCOA."""
        asked = ask(known, targets)
        explainer = Explainer(encoder, attributions=methods, removal=self.plan.removal, chunk_size=self.plan.chunk_size)
        made = explainer.explain(images, asked.target, seed=derive_seed(self.draw.seed, "masks"))
        maps = {method: asked.maps(own) for method, own in made.attributions.items()}
        errors = asked.maps(made.draws[RISE]) if RISE in made.draws else {}
        cocoa = {one: own for one, own in maps.get(RISE, {}).items() if one[0] == REPLACED and one in errors}
        halves = [(own + errors[one], own - errors[one]) for one, own in cocoa.items()]
        told = [stepped_up_correlation(first[None], second[None]) for first, second in halves]  # an error is half of their difference
        return maps, torch.cat(told).nanmean() if told else torch.tensor(float("nan"))

    def _references(self) -> tuple[References, References, tuple[FrozenEncoder, References] | None]:
        """What explains, what judges, and the randomised network with what explains by it: encoded once, when a block first asks."""
        if self._ready is None:
            plan, subject = self.plan, self.subject
            asked = parts_of(plan.targets) if plan.methods and plan.targets else set()
            judged = judges_of(plan.measures)
            explaining = encoded(subject, self.draw, asked | judged if plan.in_sample else asked)
            judging = explaining if plan.in_sample else encoded(subject, self.draw, judged, judging=True)
            other = None
            if plan.randomised and plan.methods:
                wiped = subject.randomised(self.draw.seed)
                other = (wiped, encoded(subject, self.draw, {"corpus", "foil"}, encoder=wiped))
            self._ready = (explaining, judging, other)
        return self._ready

    def _pictures(self, train: Source) -> tuple[str, ...]:
        if not hasattr(self, "_digests"):
            drawn = self.draw
            self._digests = tuple(digest(train, ids) for ids in (drawn.corpora, drawn.foil, drawn.judge_corpora, drawn.judge_foil))
        return self._digests

    def _size(self) -> tuple[int, int]:
        height, width = self.subject.splits.val.load([int(self.draw.explicands[0])]).shape[-2:]
        return height, width


def _nothing(images: Tensor, rows: Tensor) -> Tensor:
    """A score that controls are asked about: images (B, ...) to (B, 1)."""
    return images.new_zeros(len(images), 1)


def joined(parts: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """The parts of a block as one: maps one after another, images and seconds added up."""
    stacked = {name: torch.cat([part[name] for part in parts]) for name in ("insertion", "deletion", "insertion_curve", "deletion_curve")}
    total = {name: torch.stack([part[name] for part in parts]).sum() for name in ("forwards", "seconds")}
    return stacked | total | {"reliability": parts[0]["reliability"]}
