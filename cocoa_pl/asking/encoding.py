"""From the pictures of a question to targets in the representation of one encoder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from cocoa_pl.asking.choosing import Chosen, ChosenTarget
from cocoa_pl.asking.encoding_texts import SHOWN, Foils, RepsOf, TextReps, contrast, count, encode_texts, parted
from cocoa_pl.asking.picks import Pick
from cocoa_pl.asking.question import Asked
from cocoa_pl.data.corpora import clusters
from cocoa_pl.data.source import Source
from cocoa_pl.errors import DataError, DivergedError, some
from cocoa_pl.metrics.health import collapse_level, effective_rank
from cocoa_pl.targets import normalize
from cocoa_pl.text_encoding import FrozenTextEncoder

_FEWEST_HEALTH = 8  # representations from which health can be told
_NAMED = 3
_FEW = 12
_TWO_KINDS = (
    "The quality of the target (AUROC) is left out where corpus and foil are of different kinds, as the gap between pictures and texts "
    "alone would make it 1"
)
_CIRCULAR = "The encoder itself chose these pictures, which makes the quality of the target high."

Encode = Callable[[Source, Sequence[int]], Tensor]
"""A source and positions in it to representations (n, D)."""


@dataclass(frozen=True)
class Encoded:
    """A question to one encoder.

    Attributes:
        asked: its targets.
        facts: whole sentences: what each target compares with what.
        health: collapse level and effective rank; NaN where too few representations are at hand.
        notices: whole sentences on words that this encoder does not know.
    """

    asked: tuple[Asked, ...]
    facts: tuple[str, ...]
    health: tuple[float, float]
    notices: tuple[str, ...] = ()


def encode_question(
    chosen: Chosen, encode: Encode, *, dim: int, seed: int, device: torch.device, text: FrozenTextEncoder | None = None
) -> Encoded:  # fmt: skip
    """Encode corpora and foils; each set of pictures and each text once.

    Args:
        chosen: the pictures and texts.
        encode: the encoder, with whatever cache.
        dim: D of its representations.
        seed: of the clusters.
        device: where the representations are wanted.
        text: the encoder of texts; where no text is asked about, none is needed.

    Raises:
        DataError: representations of another length than this encoder's, fewer groups than clusters asked for, or a text that is too long.
        DivergedError: representations that are not finite.
    """
    known: dict[int, Tensor] = {}

    def reps_of(pick: Pick | None) -> Tensor:
        if pick is None:
            return torch.empty(0, dim, device=device)
        if id(pick) not in known:
            made = (encode(pick.source, pick.ids) if pick.source is not None else pick.reps).to(device)  # type: ignore[union-attr]
            if made.shape[1] != dim:
                raise DataError(f"{pick.words} have length {made.shape[1]}, those of this encoder {dim}: they are not of this encoder")
            if not bool(torch.isfinite(made).all()):
                raise DivergedError(f"representations of {pick.words} hold NaN or infinite values: nothing can be explained by them")
            if pick.source is None and (zeros := int((made == 0).all(1).sum())):
                raise DataError(f"{pick.words} have {zeros} rows of zeros, which point nowhere: leave them out")
            known[id(pick)] = normalize(made.float())
        return known[id(pick)]

    text_reps = None if text is None else TextReps(text, dim=dim, device=device)
    asked: list[Asked] = []
    facts, notices = list[str](), list[str]()
    for target in chosen.targets:
        made, said = _targets(target, reps_of, text_reps, seed=seed)
        asked += [replace(each, of_two_kinds=target.texts is not None) for each in made]
        facts += said
    if not chosen.texts.is_empty:
        assert text_reps is not None  # refused where the encoder was opened
        of_texts = encode_texts(chosen.texts, reps_of, text_reps)
        asked += of_texts.asked
        facts += of_texts.facts
        notices = of_texts.notices
    mixed = [target.name for target in asked if target.of_two_kinds]
    mixed += [text.corpus.name for text in chosen.texts.targets if text.pictures is not None]
    if mixed:
        facts.append(f"{_TWO_KINDS}: {some(mixed, most=SHOWN)}.")
    judged = reps_of(chosen.foil) if chosen.foil is not None else torch.cat([reps_of(None), *(reps_of(t.corpus) for t in chosen.targets)])
    enough = len(judged) >= _FEWEST_HEALTH
    return Encoded(
        tuple(asked), tuple(facts), (collapse_level(judged), effective_rank(judged)) if enough else (float("nan"),) * 2, tuple(notices)
    )


def _targets(target: ChosenTarget, reps_of: RepsOf, text_reps: TextReps | None, *, seed: int) -> tuple[list[Asked], list[str]]:
    corpus = reps_of(target.corpus)
    foils, beyond = contrast(target.foil, target.texts, reps_of, text_reps)
    if target.kind == "self":
        return [Asked(target.name, "self", corpus, corpus, *foils)], [f"Likeness to the picture itself{beyond}."]
    assert target.corpus is not None
    if target.kind == "neighbours":
        sentence = (
            f"{target.name}: likeness to the {target.num} nearest of {count(len(corpus))} ({target.corpus.words}){beyond}. {_CIRCULAR}"
        )
        return [Asked(target.name, "neighbours", corpus, corpus, *foils, num=target.num)], [sentence]
    if target.kind == "clusters":
        return _clustered(target, corpus, None if target.others else foils, beyond, seed=seed)
    parts, apart = parted(corpus, target.corpus), target.corpus.num_measuring
    measure = f"{apart} more measure insertion and deletion" if apart else "too few for others to measure insertion and deletion"
    return [Asked(target.name, "shared", *parts, *foils)], [
        f"{target.name}: likeness to {count(len(parts[0]))} ({target.corpus.words}; {measure}){beyond}."
    ]


def _clustered(
    target: ChosenTarget, pool: Tensor, foils: Foils | None, beyond: str, *, seed: int
) -> tuple[list[Asked], list[str]]:  # fmt: skip
    """A target for every cluster of the pool, contrasted with the foil or else with the other clusters. Every third picture measures."""
    assert target.corpus is not None
    found = clusters(pool, target.num, seed=seed)
    asked, facts = [], []
    for number, ids in enumerate(found.ids, start=1):
        own, others = pool[ids], pool[found.assignments != number - 1]
        against = foils if foils is not None else _every_third(others)
        name = f"{target.name} {number}"
        asked.append(Asked(name, "shared", *_every_third(own), *against))
        source = target.corpus.source
        near = (
            ""
            if source is None
            else "; nearest to its centre: " + ", ".join(source.name(target.corpus.ids[i]) for i in ids[:_NAMED].tolist())
        )
        against_what = beyond if foils is not None else f", beyond that to the other clusters ({count(len(others))})"
        facts.append(f"{name}: likeness to {len(own)} of {count(len(pool))} ({target.corpus.words}{near}){against_what}.")
    return asked, [*facts, _CIRCULAR]


def _every_third(reps: Tensor) -> tuple[Tensor, Tensor]:
    """What explains and what measures; the same where there are few."""
    if len(reps) < _FEW:
        return reps, reps
    measures = torch.arange(len(reps), device=reps.device) % 3 == 2
    return reps[~measures], reps[measures]
