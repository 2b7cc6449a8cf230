"""A question put to one encoder: directions of the explicands' scores, draws of their errors, and how far each can be trusted.

Every target is a direction d, a mean over a corpus minus a mean over a foil, of unit representations (COCOA, Lin et al., ICLR 2023). A
corpus is common to all explicands, or is each explicand's own: the explicand itself (contrastive label-free) or its nearest neighbours.

Shape legend
    n  explicands of a block      M  corpus images      F  foil images      D  length of a representation      G  contrasts
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

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
        kind: ``shared``, a corpus common to all explicands; ``self``; or ``neighbours``.
        corpus: (M, D) unit representations: the corpus, or the pool that neighbours are looked for in; (0, D) for ``self``.
        measure_corpus: (M', D), others that measure; the same ones where there are too few to part.
        foil: (F, D) unit representations; (0, D) for none.
        measure_foil: (F', D), others.
        num: neighbours.
    """

    name: str
    kind: str
    corpus: Tensor
    measure_corpus: Tensor
    foil: Tensor
    measure_foil: Tensor
    num: int = 0

    @property
    def suffix(self) -> str:
        """Ending of the traces that explain it; empty for likeness to the explicand itself."""
        return "" if self.kind == "self" else f"-{self.name}"

    def of(self, explicands: Tensor, views: Tensor) -> OfExplicands:
        """The target for explicands, unit representations (n, D), of which views (n, W, D) are known."""
        foils = self.foil, self.measure_foil
        if self.kind == "shared":
            return OfExplicands(len(explicands), self.corpus[None], self.measure_corpus[None], None, *foils)
        if self.kind == "self":
            own = explicands[:, None]
            return OfExplicands(len(explicands), own, own, views, *foils)
        own = self.corpus[_neighbours_but_itself(explicands, self.corpus, self.num)]
        return OfExplicands(len(explicands), own, own, None, *foils)


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
    """

    num: int
    corpus: Tensor
    measuring: Tensor
    views: Tensor | None
    foil: Tensor
    measure_foil: Tensor

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
        """How well the direction tells corpus from foil, (n,) each: see ``asking.separation``."""
        area, error = separation_by_leaving_out(self.corpus, self.foil, self.views)
        return Separation(area.expand(self.num), error.expand(self.num))

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
            elif self.views is None and len(foil) > 1:  # one image cannot tell how others differ; the foil's do at least as much
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
