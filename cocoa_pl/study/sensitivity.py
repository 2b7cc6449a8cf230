"""How much a study's outcome owes to its settings: sizes of corpus and foil, RISE's masks, what absence looks like; and to the weights.

COCOA in the setting ``same`` by one method, on the first explicands of each class. All sizes of corpus and foil share one pass, and larger
numbers of masks go on from smaller ones.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property

import torch
from torch import Tensor

from cocoa_pl.attributions.rise import Rise
from cocoa_pl.encoding import FrozenEncoder
from cocoa_pl.explainer import Explainer
from cocoa_pl.metrics.agreement import spearman
from cocoa_pl.metrics.perturbation import perturbation_curves
from cocoa_pl.rng import derive_seed
from cocoa_pl.streaming import automatic_chunk_size
from cocoa_pl.study.asking import judge, wanted
from cocoa_pl.study.cells import digest
from cocoa_pl.study.drawing import Draw
from cocoa_pl.study.grid import References, encoded
from cocoa_pl.study.plan import Plan
from cocoa_pl.study.results import Factor, Level
from cocoa_pl.study.subject import LinearHead, Subject
from cocoa_pl.targets import DirectionTarget, normalize
from cocoa_pl.types import Attribution, Removal, Scorer

_SETTING = "same"
_ASKED = ("corpus_majority", "corpus_similarity")
"""Measures that say whether the corpus' features are found."""
Maps = dict[str, Tensor]
"""Level to maps (n, H, W)."""


class Question:
    """The sensitivity study of one encoder and one seed.

    Args:
        subject: the encoder.
        plan: the grid's, of which method, removal and steps are taken.
        drawn: explicands, and corpora and foil of the largest sizes that are compared.
        head: for probabilities.
        method: attribution.
    """

    def __init__(self, subject: Subject, plan: Plan, drawn: Draw, head: LinearHead | None, *, method: str) -> None:
        self.subject, self.plan, self.draw, self.head = subject, plan, drawn, head
        self.method = plan.methods[method]
        self.measures = wanted([name for name in _ASKED if name in plan.measures] or plan.measures[:1], [_SETTING])
        self._images: Tensor | None = None
        self._references: tuple[References, References] | None = None

    @cached_property
    def pictures(self) -> tuple[str, ...]:
        """A hash of each set of pictures that is asked about or asked with."""
        drawn, train = self.draw, self.subject.splits.train
        own = (digest(train, ids) for ids in (drawn.corpora, drawn.foil, drawn.judge_corpora, drawn.judge_foil))
        return (*own, digest(self.subject.splits.val, drawn.explicands))

    def sizes(self, corpus_sizes: Sequence[int], foil_sizes: Sequence[int]) -> tuple[Maps, Maps]:
        """Maps for every size of the corpus, with the grid's foil, and for every size of the foil, with the grid's corpus."""
        plan = self.plan
        pairs = [(size, plan.foil_size) for size in corpus_sizes] + [(plan.corpus_size, size) for size in foil_sizes]
        directions = torch.stack([self._direction(corpus_size=m, foil_size=f) for m, f in pairs])
        target = DirectionTarget(directions, names=[f"corpus {m}, foil {f}" for m, f in pairs])
        maps = self._maps(self.subject.encoder, self.method, target, plan.removal)
        num = len(corpus_sizes)
        named = ({str(size): each for size, each in zip(sizes, own, strict=True)}
                 for sizes, own in ((corpus_sizes, maps[:num]), (foil_sizes, maps[num:])))  # fmt: skip
        first, second = named
        return first, second

    def masks(self, counts: Sequence[int]) -> Maps:
        """Maps by RISE with ever more masks, of which each number includes those before."""
        assert isinstance(self.method, Rise)
        images, target = self.images(), self._cocoa()
        baseline, scorer = self.plan.removal(images), Scorer(self.subject.encoder, target)
        chunk_size = self.plan.chunk_size or automatic_chunk_size(images.shape[-2], images.shape[-1], images.device)
        seed, total, made = derive_seed(self.draw.seed, "masks"), None, Maps()
        for first, end in itertools.pairwise([0, *counts]):
            sums = replace(self.method, num_masks=end - first).sums(scorer, images, baseline, seed=seed, first=first, chunk_size=chunk_size)
            total = sums if total is None else total + sums
            made[str(end)] = total.attribution()[0]
        return made

    def removed(self, removal: Removal) -> Tensor:
        """Maps (n, H, W) with another removal."""
        return self._maps(self.subject.encoder, self.method, self._cocoa(), removal)[0]

    def cascade(self, num_steps: int) -> Iterator[tuple[str, Tensor]]:
        """The encoder's own maps, named by nothing, and those of copies that have lost ever more layers from the top."""
        yield "", self.removed(self.plan.removal)
        for layer, other in self.subject.cascade(self.draw.seed, num_steps=num_steps):
            references = encoded(self.subject, self.draw, {"corpus", "foil"}, encoder=other)
            direction = self._direction(references=references)
            yield layer, self._maps(other, self.method, DirectionTarget(direction[None], names=["cocoa"]), self.plan.removal)[0]

    def gaps(self, maps: Tensor, removal: Removal) -> Tensor:
        """Insertion minus deletion (K, n) of maps (n, H, W), by every measure, judged by the encoder itself."""
        images = self.images()
        known = self._both()[1].known(self.subject.encoder.encode(images), {_SETTING: self.draw.own})
        scorer = Scorer(self.subject.encoder, judge(known, self.measures, self.head))
        steps, chunk_size = self.plan.curve_steps, self.plan.chunk_size
        return perturbation_curves(scorer, images, removal(images), maps, num_steps=steps, chunk_size=chunk_size).gap

    def images(self) -> Tensor:
        """(n, 3, H, W) in [0, 1]."""
        if self._images is None:
            self._images = self.subject.splits.val.load(self.draw.explicands.tolist()).to(self.subject.device).float() / 255
        return self._images

    def _maps(self, encoder: FrozenEncoder, method: Attribution, target: DirectionTarget, removal: Removal) -> Tensor:
        explainer = Explainer(encoder, attributions={"method": method}, removal=removal, chunk_size=self.plan.chunk_size)
        return explainer.explain(self.images(), target, seed=derive_seed(self.draw.seed, "masks")).attributions["method"]

    def _cocoa(self) -> DirectionTarget:
        return DirectionTarget(self._direction()[None], names=["cocoa"])

    def _direction(
        self, *, corpus_size: int | None = None, foil_size: int | None = None, references: References | None = None
    ) -> Tensor:  # fmt: skip
        """COCOA's direction (n, D) from the first pictures of each corpus and of the foil."""
        own = references or self._both()[0]
        assert own.corpora is not None
        assert own.foil is not None
        corpora = normalize(own.corpora[:, : corpus_size or self.plan.corpus_size]).mean(1)
        return corpora[self.draw.own.to(corpora.device)] - normalize(own.foil[: foil_size or self.plan.foil_size]).mean(0)

    def _both(self) -> tuple[References, References]:
        if self._references is None:
            parts = {"corpus", "foil"}
            self._references = encoded(self.subject, self.draw, parts), encoded(self.subject, self.draw, parts, judging=True)
        return self._references


def measured(
    question: Question, maps: Mapping[str, Tensor], reference: str, removals: Mapping[str, Removal] | None = None
) -> dict[str, Tensor]:
    """Gaps (levels, K, n) of maps, and their agreement (levels, n) with those of a reference level.

    Args:
        question: whose explicands the maps are of.
        maps: level to maps.
        reference: the level compared with.
        removals: what curves take pixels away by, where that differs from level to level.
    """
    gaps = [question.gaps(own, (removals or {}).get(name, question.plan.removal)) for name, own in maps.items()]
    agreement = [spearman(own, maps[reference]) for own in maps.values()]
    return {"gaps": torch.stack(gaps), "agreement": torch.stack(agreement)}


def factor(
    encoder: str, name: str, *, method: str, levels: Sequence[str], reference: str, measures: Sequence[str],
    made: Sequence[Mapping[str, Tensor]], note: str = "",
) -> Factor:  # fmt: skip
    """A factor from what :func:`measured` gave for every seed."""
    gaps, agreement = (torch.stack([one[key] for one in made]) for key in ("gaps", "agreement"))  # (S, levels, K, n), (S, levels, n)
    found = [
        Level(level, {measure: gaps[:, place, k].float() for k, measure in enumerate(measures)}, agreement[:, place].float())
        for place, level in enumerate(levels)
    ]
    return Factor(encoder, name, method, reference, tuple(found), note)
