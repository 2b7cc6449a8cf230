"""Which pictures the question is made of: corpora and foil, chosen once, for whatever encoder is asked.

Draws are functions of the seed. Where there are pictures enough, some are kept apart to measure with, so that no map is judged by the
pictures that made it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from cocoa_pl.asking.cache import load_reps
from cocoa_pl.asking.specs import Spec
from cocoa_pl.data.corpora import by_class
from cocoa_pl.data.inputs import PictureSource, content_digest
from cocoa_pl.data.joined import JoinedSource
from cocoa_pl.data.source import Source
from cocoa_pl.data.splits import Splits
from cocoa_pl.errors import ConfigError, DataError
from cocoa_pl.rng import generator

_MOST = 1000  # pictures of a corpus
_MOST_POOL = 20_000  # pictures that neighbours are looked for in, or that are clustered
_ENOUGH = 12  # pictures of which some can be kept apart
_FEWEST_INPUTS = 20  # explained pictures that can be their own foil

Load = Callable[[Sequence[str], str], PictureSource]
"""Items and the option they come from to pictures."""


@dataclass(frozen=True)
class Pick:
    """Pictures of a source, or representations that the user brought.

    Attributes:
        source: where from; None for representations.
        ids: positions, in the order drawn: the last ones measure.
        reps: (M, D) representations.
        words: what they are, for people.
        apart: divisor of the share that is kept apart to measure with.
    """

    source: Source | None
    ids: tuple[int, ...]
    reps: Tensor | None
    words: str
    apart: int = 3

    def __len__(self) -> int:
        return len(self.ids) if self.reps is None else len(self.reps)

    @property
    def num_measuring(self) -> int:
        """Pictures kept apart to measure with; 0 where there are too few."""
        return len(self) // self.apart if len(self) >= _ENOUGH else 0


@dataclass(frozen=True)
class ChosenTarget:
    """One target.

    Attributes:
        name: for people.
        kind: of its spec.
        corpus: its pictures, or the pool of neighbours and clusters; None for ``self``.
        foil: its foil; None for none, or for one that the pool makes.
        num: neighbours or clusters.
    """

    name: str
    kind: str
    corpus: Pick | None
    foil: Pick | None
    num: int = 0


@dataclass(frozen=True)
class Chosen:
    """A question, in pictures.

    Attributes:
        targets: what is asked.
        foil: pictures of the foil, for the health of representations and for removals that draw from images; None without a foil.
        warnings: whole sentences.
    """

    targets: tuple[ChosenTarget, ...]
    foil: Pick | None
    warnings: tuple[str, ...]


def choose(
    corpora: Sequence[Spec], foil: Spec | None, *, load: Load, splits: Callable[[], Splits] | None, inputs: PictureSource, seed: int,
    corpus_size: int, foil_size: int,
) -> Chosen:  # fmt: skip
    """Find and draw the pictures of a question.

    Args:
        corpora: as ``specs.parse_corpora`` gives them.
        foil: as ``specs.parse_foil`` gives it; None: training images where there is a data set, else the other corpora, else the inputs.
        load: opens pictures.
        splits: the data set, made when it is first needed; None where there is none.
        inputs: the pictures to explain.
        seed: of all draws.
        corpus_size: images of a class.
        foil_size: most pictures of the foil; a third as many others measure.

    Raises:
        DataError: pictures that are not there or cannot be used, a class that does not exist.
        ConfigError: nothing to make the foil of; options that contradict each other.
    """
    given = _given_foil(foil, load=load, splits=splits, seed=seed, corpus_size=corpus_size, foil_size=foil_size)
    picked = {spec.name: _pick(spec, load=load, splits=splits, seed=seed, corpus_size=corpus_size) for spec in corpora}
    shared = [spec for spec in corpora if spec.kind in ("pictures", "class", "reps")]
    warnings: list[str] = []
    whole = given
    if foil is None and splits is not None and given is None:
        whole = _drawn(splits().train, foil_size + foil_size // 3, "random training images", generator(seed, "foil"), apart=4)
    if whole is not None:
        whole, dropped = _without(whole, [picked[spec.name] for spec in shared])
        warnings += [f"{dropped} pictures of the foil are in a corpus too and were left out of it."] if dropped else []
    targets = []
    for spec in corpora:
        own = whole
        if own is None and foil is None and spec.kind != "clusters":
            own = _default_foil(spec, shared, picked, inputs, foil_size=foil_size, seed=seed)
        pool = picked[spec.name]
        if spec.kind in ("neighbours", "clusters") and pool is None:
            pool = (
                own if own is not None and own.source is not None else _drawn(inputs, _MOST_POOL, "the explained pictures", generator(seed))
            )
        if spec.kind in ("neighbours", "clusters") and pool is not None and spec.num >= len(pool):
            raise DataError(f"--corpus {spec.kind}:{spec.num}: {pool.words} are {len(pool)}; name more pictures: {spec.kind}:K:FOLDER")
        if spec.kind == "clusters" and spec.num == 1 and (own is pool or (own is None and foil is None)):
            raise ConfigError("--corpus clusters:1: one cluster has no others to be compared with; ask for more, or name a --foil")
        targets.append(ChosenTarget(spec.name, spec.kind, pool, own, spec.num))
    first = next((target.foil for target in targets if target.foil is not None), None)
    warnings += [sentence for target in targets for sentence in _small(target)]
    return Chosen(tuple(targets), first, tuple(dict.fromkeys(warnings)))


def _given_foil(
    foil: Spec | None, *, load: Load, splits: Callable[[], Splits] | None, seed: int, corpus_size: int, foil_size: int
) -> Pick | None:  # fmt: skip
    if foil is None or foil.kind == "none":
        return None
    if foil.kind == "pictures":
        source = load(foil.items, "--foil")
        return _drawn(source, foil_size + foil_size // 3, _named(foil), generator(seed, "foil"), apart=4)
    return _pick(foil, load=load, splits=splits, seed=seed, corpus_size=corpus_size, what="--foil")


def _pick(
    spec: Spec, *, load: Load, splits: Callable[[], Splits] | None, seed: int, corpus_size: int, what: str = "--corpus"
) -> Pick | None:  # fmt: skip
    """What a spec names; None for the explicand itself and for a pool that is not named."""
    if spec.kind == "reps":
        return Pick(None, (), load_reps(Path(spec.items[0]), spec.key), f"the representations in {Path(spec.items[0]).name}")
    if spec.kind == "class":
        if splits is None:
            raise ConfigError(f"{what} {spec.items[0]}: no such file or folder, and a class needs a data set: data.name=..., data.root=...")
        label, train = _label(spec.items[0], splits().train), splits().train
        total = 0 if train.labels is None else int((train.labels == _number(label, train)).sum())
        try:
            ids = by_class(train, label, max(1, min(corpus_size + corpus_size // 2, total)), seed=seed)
        except DataError as error:
            raise DataError(f"{what} class:{spec.items[0]}: {error}") from error
        return Pick(train, tuple(ids.tolist()), None, f"training images of class {spec.items[0]}")
    if not spec.items:
        return None
    most = _MOST if spec.kind == "pictures" else _MOST_POOL
    return _drawn(load(spec.items, what), most, _named(spec), generator(seed, "corpus", spec.name))


def _label(text: str, source: Source) -> int | str:
    """A class by its name, or by its number where no class is called so."""
    return int(text) if text.isdecimal() and text not in source.class_names else text


def _number(label: int | str, source: Source) -> int:
    return label if isinstance(label, int) else source.class_names.index(label) if label in source.class_names else -1


def _drawn(source: Source, most: int, words: str, rng: torch.Generator, *, apart: int = 3) -> Pick:
    """At most so many pictures of a source, in random order."""
    return Pick(source, tuple(torch.randperm(len(source), generator=rng)[:most].tolist()), None, words, apart)


def _named(spec: Spec) -> str:
    shown = ", ".join(spec.items[:3]) + (f" and {len(spec.items) - 3} more" if len(spec.items) > 3 else "")
    return f"the pictures in {shown}"


def _default_foil(
    spec: Spec, shared: Sequence[Spec], picked: dict[str, Pick | None], inputs: PictureSource, *, foil_size: int, seed: int
) -> Pick:  # fmt: skip
    """What a target is contrasted with where nobody said it: the other corpora, or else the pictures to explain themselves.

    Raises:
        ConfigError: neither can be.
    """
    others = [pick for other in shared if other.name != spec.name and (pick := picked[other.name]) is not None and pick.source is not None]
    if others:
        joined = JoinedSource([(pick.source, pick.ids) for pick in others if pick.source is not None])
        return _drawn(joined, foil_size + foil_size // 3, "the other corpora", generator(seed, "foil", spec.name), apart=4)
    if len(inputs) >= _FEWEST_INPUTS:
        return _drawn(inputs, foil_size + foil_size // 3, "the explained pictures", generator(seed, "foil"), apart=4)
    raise ConfigError(
        f"--foil: {len(inputs)} pictures to explain are too few to compare with; name a folder of ordinary pictures, or --foil none"
    )


def _without(foil: Pick, corpora: Sequence[Pick | None]) -> tuple[Pick, int]:
    """The foil without pictures that are in a corpus as well, and how many those were.

    Raises:
        DataError: nothing is left.
    """
    if foil.source is None:
        return foil, 0
    known = {content_digest(pick.source, index) for pick in corpora if pick is not None and pick.source is not None for index in pick.ids}
    left = tuple(index for index in foil.ids if content_digest(foil.source, index) not in known) if known else foil.ids
    if not left:
        raise DataError(f"--foil: every one of the {len(foil.ids)} pictures is in a corpus too; corpus and foil must differ")
    return Pick(foil.source, left, None, foil.words, foil.apart), len(foil.ids) - len(left)


def _small(target: ChosenTarget) -> list[str]:
    """Sentences about corpora and foils that are too small to be relied on."""
    said = []
    if target.kind in ("pictures", "class", "reps") and target.corpus is not None and len(target.corpus) < 20:
        said.append(f"The corpus {target.name} has {len(target.corpus)} pictures; maps are found to be stable from about 20 on.")
    if target.foil is not None and len(target.foil) < 50:
        said.append(f"The foil has {len(target.foil)} pictures; their mean is a poor typical picture. The paper takes 1500.")
    return said
