"""Encoded originals, corpora and foils: everything that a direction is made of."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from cocoa_pl.data.explain_set import ExplainSet
from cocoa_pl.encoding import FrozenEncoder
from cocoa_pl.errors import DataError, DivergedError
from cocoa_pl.monitor.noise import NUM_CONTRASTS, balanced_signs, rows_of
from cocoa_pl.registry import TARGETS
from cocoa_pl.sharing import ALONE, Team
from cocoa_pl.targets import DirectionTarget, cocoa, mean_direction, stack
from cocoa_pl.targets.base import normalize
from cocoa_pl.text_encoding import FrozenTextEncoder
from cocoa_pl.types import Target


class Directed(Protocol):
    """What explicands are compared with: a direction for each, and draws of its error."""

    def directions(self) -> dict[str, Tensor]:
        """Trace suffix to directions (E, D)."""

    def contrasts(self, rows: Tensor, images: Tensor, *, seed: int) -> DirectionTarget:
        """Draws of the error of every direction, contrast by contrast, for rows (N,) of originals images (N,): G x K targets."""


@dataclass(frozen=True)
class TextReferences:
    """Representations of an explain set's texts."""

    phrases: Tensor  # (E, D)
    absent: Tensor  # (E, D)
    foils: tuple[Tensor, Tensor]  # explaining and measuring, (F, D) each

    @staticmethod
    def encode(given: ExplainSet, encoder: FrozenTextEncoder, device: torch.device, team: Team = ALONE) -> TextReferences:
        """Encode every text once, and take what the first process made: devices may round differently."""
        parts = (given.phrases, given.absent_phrases, given.text_foil, given.measure_text_foil)
        places = {text: place for place, text in enumerate(dict.fromkeys(text for part in parts for text in part))}
        reps = team.meet({"texts": encoder.encode(list(places))})[0]["texts"].to(device)
        phrases, absent, foil, measure = (reps[[places[text] for text in part]] for part in parts)
        return TextReferences(phrases, absent, (foil, measure))

    def direction(self, reps: Tensor, *, measure: bool = False) -> Tensor:
        """Directions (E, D) of COCOA towards a text (E, D) of each explicand; the foil may hold it, which only makes d shorter."""
        return normalize(reps) - mean_direction(self.foils[measure], what="text foil")


@dataclass(frozen=True)
class References:
    """What the explicands of an explain set are compared with, in the representation of one encoder."""

    originals: Tensor  # (E, D)
    labels: Tensor | None  # (E,), position in ``classes``
    classes: tuple[int, ...]
    foils: tuple[Tensor, Tensor]  # explaining and measuring, (F, D) each
    corpora: tuple[Tensor, Tensor]  # explaining and measuring, (L, M, D) each
    texts: TextReferences | None = None

    @staticmethod
    def encode(
        given: ExplainSet, encoder: FrozenEncoder, chunk_size: int | None, team: Team = ALONE, *, text: FrozenTextEncoder | None = None
    ) -> References:  # fmt: skip
        """Encode them, every process of a team its share, and meet.

        Args:
            given: the images and texts.
            encoder: of images.
            chunk_size: images in one pass; None chooses by their size.
            team: the processes that share out the images.
            text: of texts, where likeness to texts is explained.

        Raises:
            DataError: the texts' representations are of another length.
            DivergedError: a representation is not finite; in every process, for all have the same ones.
            PeerError: another process failed.
        """
        both = (given.corpora, given.measure_corpora) if given.classes else ()
        sets = [given.explicands[: given.num_images], given.foil, given.measure_foil, *(images.flatten(0, 1) for images in both)]
        originals, *reps = _encode_all(sets, encoder, chunk_size, team)
        foils, corpora = reps[:2], [own.reshape(*images.shape[:2], -1) for own, images in zip(reps[2:], both, strict=True)]
        corpora = corpora or [originals.new_zeros(0, 0, originals.shape[1])] * 2
        texts = None if text is None else TextReferences.encode(given, text, originals.device, team)
        of_texts = () if texts is None else (texts.phrases, texts.absent, *texts.foils)
        if texts is not None and texts.phrases.shape[1] != originals.shape[1]:
            raise DataError(
                f"representations of texts have {texts.phrases.shape[1]} values, those of images {originals.shape[1]}: both encoders must "
                "end in one space"
            )
        if not all(bool(torch.isfinite(reps).all()) for reps in (originals, *foils, *corpora, *of_texts)):
            raise DivergedError("the encoder's representations hold NaN or infinite values; training has diverged")
        labels = None if given.labels is None else torch.tensor([given.classes.index(label) for label in given.labels.tolist()])
        return References(originals, labels, given.classes, (foils[0], foils[1]), (corpora[0], corpora[1]), texts)

    def directions(self, *, measure: bool = False) -> dict[str, Tensor]:
        """Directions (E, D) of COCOA towards the original image ("") and, where known, its class ("-class") and its text ("-text")."""
        foil, corpora = self.foils[measure], self.corpora[measure]
        made = {"": cocoa(self.originals[:, None], foil)}
        if self.labels is not None:
            made["-class"] = cocoa(corpora[self.labels], foil)
        directions = {suffix: target.directions[0] for suffix, target in made.items()}
        if self.texts is not None:
            directions["-text"] = self.texts.direction(self.texts.phrases, measure=measure)
        return directions

    def absent(self) -> dict[str, Tensor]:
        """Directions (E, D) towards a text of what is not there, by the suffix of the direction that they check."""
        return {} if self.texts is None else {"-text": self.texts.direction(self.texts.absent)}

    def contrasts(self, rows: Tensor, images: Tensor, *, seed: int) -> DirectionTarget:
        """Draws of the error of every direction, contrast by contrast, for rows (N,) of originals images (N,): G x K targets.

        A prompt is no sample, so towards a text the error is that of the foil alone.
        """
        foil, corpora = normalize(self.foils[0]), normalize(self.corpora[0])
        made = []
        for number in range(NUM_CONTRASTS):
            signs = balanced_signs(rows, len(foil), seed=seed, contrast=number).to(foil)
            of_foil = signs @ foil / -len(foil)
            made.append(of_foil)
            if self.labels is not None:
                own = corpora[self.labels[images]]  # (N, M, D)
                if own.shape[1] == 1:  # one image cannot tell how images of its class differ; those of the foil differ at least as much
                    drawn = foil[rows_of(rows, len(foil), seed=seed, contrast=number).to(foil.device)]
                    made.append(of_foil + drawn - foil.mean(0))
                else:
                    signs = balanced_signs(rows, own.shape[1], seed=seed, contrast=number).to(foil)
                    made.append(of_foil + torch.einsum("nm,nmd->nd", signs, own) / own.shape[1])
            if self.texts is not None:
                others = normalize(self.texts.foils[0])
                made.append(balanced_signs(rows, len(others), seed=seed, contrast=number).to(others) @ others / -len(others))
        return DirectionTarget(torch.stack(made), names=[f"contrast {number}" for number in range(len(made))])

    def pair_targets(
        self, labels: Tensor, kinds: Sequence[str], encoder: FrozenEncoder, images: Tensor, chunk_size: int | None
    ) -> tuple[Target, list[str]]:
        """For every kind its targets of each pair: towards the left and the right class, or a single one where no class enters."""
        sides = [self.corpora[0][[self.classes.index(label) for label in column]] for column in labels.T.tolist()]
        own, foil = encoder.encode(images, chunk_size=chunk_size), self.foils[0]
        made: list[tuple[str, Target]] = []
        for kind in kinds:
            make = TARGETS.load(kind)
            wanted = inspect.signature(make).parameters
            others = {"foil_reps": foil} if "foil_reps" in wanted else {}
            if "corpus_reps" in wanted:
                made += [(kind, make(corpus_reps=side, **others)) for side in sides]
            else:
                made.append((kind, make(explicand_reps=own, **others)))
        return stack([target for _, target in made]), [kind for kind, _ in made]


def _encode_all(sets: Sequence[Tensor], encoder: FrozenEncoder, chunk_size: int | None, team: Team) -> list[Tensor]:
    """Representations of each set of images, of all of which every process encodes a span."""
    sizes = [len(images) for images in sets]
    ends = torch.tensor(sizes).cumsum(0).tolist()
    span = team.span(sum(sizes))
    shares = [
        images[max(0, span.start - (end - len(images))) : max(0, span.stop - (end - len(images)))]
        for images, end in zip(sets, ends, strict=True)
    ]
    own = [encoder.encode(images, chunk_size=chunk_size) for images in shares if len(images)]
    if team.size > 1:
        parts = team.meet({"reps": torch.cat(own)} if own else {})
        own = [part["reps"].to(encoder.device) for part in parts if "reps" in part]
    return list(torch.split(torch.cat(own), sizes))


def towards(directions: Mapping[str, Tensor], images: Tensor) -> DirectionTarget:
    """A target of the directions (E, D) of each suffix for rows of originals images (N,)."""
    names = [suffix.lstrip("-") or "self" for suffix in directions]
    return DirectionTarget(torch.stack([each[images] for each in directions.values()]), names=names)
