"""A question put to one encoder: directions of the explicands' scores, draws of their errors, and how far each can be trusted.

Every target is a direction d, a mean over a corpus minus a mean over a foil, of unit representations (COCOA, Lin et al., ICLR 2023). A
corpus is common to all explicands, or is each explicand's own: the explicand itself (contrastive label-free), its nearest neighbours, or
the prompts of the concept that it is most like. Prompts are what was asked and no sample: one alone has no error.

Shape legend
    n  explicands of a block      M  corpus images or prompts      F  foil images or texts      D  length of a representation
    G  contrasts      C  concepts
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from cocoa_pl.asking.prompts import Prompted, best_concepts
from cocoa_pl.asking.separation import separation_by_leaving_out
from cocoa_pl.data.corpora import neighbours
from cocoa_pl.monitor.noise import NUM_CONTRASTS, balanced_signs, rows_of
from cocoa_pl.targets import DirectionTarget, Separation
from cocoa_pl.targets.base import normalize


@dataclass(frozen=True)
class Asked:
    """One target, in the representation of one encoder.

    Attributes:
        name: for people.
        kind: ``shared``, a corpus common to all explicands; ``self``; ``neighbours``; or ``concept``.
        corpus: (M, D) unit representations: the corpus, or the pool that neighbours are looked for in; (0, D) for ``self``; (C, M, D) the
            prompts of all concepts.
        measure_corpus: (M', D), others that measure; the same ones where there are too few to part.
        foil: (F, D) unit representations, of texts the means of what says the same; (0, D) for none.
        measure_foil: (F', D), others.
        num: neighbours; of a concept its place, 1 for the one that an explicand is most like.
        prompted: of a corpus of texts, what else they are compared with.
        of_two_kinds: whether there are texts in the foil of pictures.
    """

    name: str
    kind: str
    corpus: Tensor
    measure_corpus: Tensor
    foil: Tensor
    measure_foil: Tensor
    num: int = 0
    prompted: Prompted | None = None
    of_two_kinds: bool = False

    @property
    def suffix(self) -> str:
        """Ending of the traces that explain it; empty for likeness to the explicand itself."""
        return "" if self.kind == "self" else f"-{self.name}"

    def of(self, explicands: Tensor, views: Tensor) -> OfExplicands:
        """The target for explicands, unit representations (n, D), of which views (n, W, D) are known."""
        return replace(self._of(explicands, views), of_two_kinds=self.of_two_kinds)

    def _of(self, explicands: Tensor, views: Tensor) -> OfExplicands:
        foils = self.foil, self.measure_foil
        if self.kind == "shared":
            return OfExplicands(len(explicands), self.corpus[None], self.measure_corpus[None], None, *foils, *self._texts(explicands))
        if self.kind == "self":
            own = explicands[:, None]
            return OfExplicands(len(explicands), own, own, views, *foils)
        if self.kind == "concept":
            labels = best_concepts(explicands, self.corpus)[:, self.num - 1]
            own = self.corpus[labels]
            return OfExplicands(len(explicands), own, own, None, *foils, *self._texts(explicands), labels)
        own = self.corpus[_neighbours_but_itself(explicands, self.corpus, self.num)]
        return OfExplicands(len(explicands), own, own, None, *foils)

    def _texts(self, explicands: Tensor) -> tuple[Prompted | None, Tensor | None]:
        return self.prompted, None if self.prompted is None else self.prompted.least_like(explicands)


@dataclass(frozen=True)
class OfExplicands:
    """A target for n explicands, all of unit representations.

    Attributes:
        num: n.
        corpus: (n, M, D), or (1, M, D) where all have the same.
        measuring: (n or 1, M', D), the corpus that measures.
        views: (n, W, D) other views of each explicand, where it is its own corpus; None where the corpus is a sample.
        foil: (F, D).
        measure_foil: (F', D).
        prompted: of a corpus of texts, what else they are compared with.
        absent: (n, D), of the foil's texts the one that each explicand is least like; None where it has fewer than two.
        labels: (n,) the concept that each explicand's corpus is; None where all have the same corpus.
        of_two_kinds: whether there are texts in the foil of pictures.
    """

    num: int
    corpus: Tensor
    measuring: Tensor
    views: Tensor | None
    foil: Tensor
    measure_foil: Tensor
    prompted: Prompted | None = None
    absent: Tensor | None = None
    labels: Tensor | None = None
    of_two_kinds: bool = False

    def directions(self, *, measure: bool = False) -> Tensor:
        """(n, D): mean of the corpus minus mean of the foil."""
        corpus, foil = (self.measuring, self.measure_foil) if measure else (self.corpus, self.foil)
        return (corpus.mean(1) - _mean(foil)).expand(self.num, -1)

    def scores(self, reps: Tensor) -> Tensor:
        """Scores of unit representations (n, D) and their standard errors, for corpus and foil being samples: (2, n)."""
        of_corpus, of_foil = (self.corpus @ reps[:, :, None])[..., 0], reps @ self.foil.T
        variance = torch.zeros(len(reps), device=reps.device)
        for terms in (of_corpus, of_foil):
            if terms.shape[1] > 1:
                variance = variance + terms.var(1) / terms.shape[1]
        return torch.stack([of_corpus.mean(1) - (of_foil.mean(1) if of_foil.shape[1] else 0), variance.sqrt()])

    def separation(self) -> Separation:
        """How well the direction tells corpus from foil, (n,) each: see ``asking.separation``.

        NaN of texts, which are no sample, and of pictures against texts, which lie apart in any such space.
        """
        if self.prompted is not None or self.of_two_kinds:
            unknown = torch.full((self.num,), torch.nan, device=self.foil.device)
            return Separation(unknown, unknown)
        area, error = separation_by_leaving_out(self.corpus, self.foil, self.views)
        return Separation(area.expand(self.num), error.expand(self.num))

    def ranks(self, reps: Tensor) -> Tensor:
        """Shares (n,) of the foil's texts that score lower than the corpus for unit representations (n, D); NaN where there is none."""
        if self.prompted is None:
            return torch.full((len(reps),), torch.nan, device=reps.device)
        if self.labels is not None:
            return self.prompted.ranks_among(self.labels, reps)
        return self.prompted.ranks((self.corpus.mean(1) * reps).sum(1), reps)

    def hidden(self) -> dict[str, Tensor]:
        """Directions (n, D) towards texts that should have other maps, by name: nonsense, and what is absent.

        Their foil has the corpus's own text in it as well. Of the corpus's own direction that changes the length alone, so that all are
        contrasted with the same.
        """
        if self.prompted is None:
            return {}
        foil, size = _mean(self.foil), len(self.foil)
        if size and self.labels is None:  # a concept is in its foil anyway
            foil = (size * foil + self.corpus.mean((0, 1))) / (size + 1)
        compared = {"nonsense": self.prompted.nonsense} | ({} if self.absent is None else {"absent": self.absent})
        return {f"{kind}/{self.prompted.key}": (reps - foil).expand(self.num, -1) for kind, reps in compared.items()}

    def contrasts(self, rows: Tensor, images: Tensor, *, seed: int) -> Tensor:
        """Draws (G, N, D) of the directions' errors, for rows (N,) of explicands images (N,): differences of random halves."""
        made, count, foil = [], self.corpus.shape[1], self.foil
        for number in range(NUM_CONTRASTS):
            error = foil.new_zeros(len(rows), foil.shape[1])
            if len(foil) > 1:
                error = balanced_signs(rows, len(foil), seed=seed, contrast=number).to(foil) @ foil / -len(foil)
            if self.views is None and count > 1:
                signs = balanced_signs(rows, count, seed=seed, contrast=number).to(foil)
                shared = len(self.corpus) == 1
                error = error + (signs @ self.corpus[0] if shared else torch.einsum("nm,nmd->nd", signs, self.corpus[images])) / count
            elif self.views is None and self.prompted is None and len(foil) > 1:  # how others differ, those of the foil tell best
                error = error + foil[rows_of(rows, len(foil), seed=seed, contrast=number).to(foil.device)] - _mean(foil)
            made.append(error)
        return torch.stack(made)


@dataclass(frozen=True)
class Directed:
    """All targets of a block of explicands, as ``monitor.explaining`` takes them."""

    targets: dict[str, OfExplicands]

    def directions(self, *, measure: bool = False) -> dict[str, Tensor]:
        """Trace suffix to directions (n, D)."""
        return {suffix: target.directions(measure=measure) for suffix, target in self.targets.items()}

    def hidden(self) -> dict[str, Tensor]:
        """Name to directions (n, D) of what maps of texts are compared with; what several targets share is there once."""
        return {name: each for target in self.targets.values() for name, each in target.hidden().items()}

    def contrasts(self, rows: Tensor, images: Tensor, *, seed: int) -> DirectionTarget:
        """Contrast by contrast, G x K targets for rows (N,) of explicands images (N,)."""
        drawn = torch.stack([target.contrasts(rows, images, seed=seed) for target in self.targets.values()], 1).flatten(0, 1)
        return DirectionTarget(drawn, names=[f"contrast {number}" for number in range(len(drawn))])


def directed(asked: tuple[Asked, ...], reps: Tensor, views: Tensor) -> Directed:
    """The targets for explicands of representations (n, D), of which views (n, W, D) were encoded; W may be 0."""
    unit = normalize(reps)
    return Directed({target.suffix: target.of(unit, normalize(views)) for target in asked})


def _mean(reps: Tensor) -> Tensor:
    """(m, D) to (D,), zero of nothing."""
    return reps.mean(0) if len(reps) else reps.new_zeros(reps.shape[-1])


def _neighbours_but_itself(explicands: Tensor, pool: Tensor, num: int) -> Tensor:
    """Rows (n, num) of the nearest in the pool; a picture that is in the pool itself is no neighbour of its own."""
    spare = min(num + 1, len(pool))
    near = neighbours(explicands, pool, spare)
    if spare == num:
        return near
    same = (pool[near[:, 0]] - explicands).norm(dim=1) <= 1e-5
    return torch.where(same[:, None], near[:, 1:], near[:, :-1])
