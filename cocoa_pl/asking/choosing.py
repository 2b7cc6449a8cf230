"""What the question is made of: pictures of corpora and foil, and texts beside them, chosen once, for whatever encoder is asked.

Draws are functions of the seed. Where there are pictures enough, some are kept apart to measure with, so that no map is judged by the
pictures that made it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cocoa_pl.asking.cache import load_reps
from cocoa_pl.asking.picks import Pick, drawn, readable, without
from cocoa_pl.asking.specs import Spec
from cocoa_pl.asking.texts import NO_TEXTS, ChosenTexts, TextPick, TextQuestion, choose_texts, named_corpus, pick_texts
from cocoa_pl.data.corpora import by_class
from cocoa_pl.data.inputs import PictureSource, content_digest
from cocoa_pl.data.joined import JoinedSource
from cocoa_pl.data.source import Source
from cocoa_pl.data.splits import Splits
from cocoa_pl.errors import ConfigError, DataError, some
from cocoa_pl.rng import generator

_MOST = 1000  # pictures of a corpus
_MOST_POOL = 20_000  # pictures that neighbours are looked for in, or that are clustered
_FEWEST_INPUTS = 20  # explained pictures that can be their own foil
_MOST_COMPARED = 1000  # explained pictures that are looked for in the corpora

Load = Callable[[Sequence[str], str], PictureSource]
"""Items and the option they come from to pictures."""


@dataclass(frozen=True)
class ChosenTarget:
    """One target.

    Attributes:
        name: for people.
        kind: of its spec.
        corpus: its pictures, or the pool of neighbours and clusters; None for ``self``.
        foil: its foil; None for none.
        num: neighbours or clusters.
        others: whether clusters are contrasted with one another, for nobody named a foil.
        texts: texts of its foil; None for none.
    """

    name: str
    kind: str
    corpus: Pick | None
    foil: Pick | None
    num: int = 0
    others: bool = False
    texts: TextPick | None = None


@dataclass(frozen=True)
class Chosen:
    """A question, in pictures and texts.

    Attributes:
        targets: what is asked by pictures.
        foil: pictures of the foil, for the health of representations and for removals that draw from images; None without a foil.
        warnings: whole sentences.
        texts: what is asked by texts.
    """

    targets: tuple[ChosenTarget, ...]
    foil: Pick | None
    warnings: tuple[str, ...]
    texts: ChosenTexts = field(default_factory=ChosenTexts)


def choose(
    corpora: Sequence[Spec], foil: Spec | None, *, load: Load, splits: Callable[[], Splits] | None, inputs: PictureSource, seed: int,
    corpus_size: int, foil_size: int, skip_unreadable: bool = False, texts: TextQuestion = NO_TEXTS,
) -> Chosen:  # fmt: skip
    """Find and draw the pictures and texts of a question.

    Args:
        corpora: as ``specs.parse_corpora`` gives them.
        foil: as ``specs.parse_foil`` gives it; None: the texts of the foil alone, without those training images where there is a data set,
            else the other corpora, else the inputs.
        load: opens pictures.
        splits: the data set, made when it is first needed; None where there is none.
        inputs: the pictures to explain.
        seed: of all draws.
        corpus_size: images of a class.
        foil_size: most pictures of the foil; a third as many others measure.
        skip_unreadable: leave out pictures that cannot be read, with a sentence.
        texts: what is asked in words; a foil of texts is one of pictures too.

    Raises:
        DataError: pictures that are not there or cannot be used, a class that does not exist.
        ConfigError: nothing to make the foil of; options that contradict each other.
    """
    chooser = _Chooser(load, splits, inputs, seed, corpus_size, foil_size, skip_unreadable, texts, [])
    picked = {spec.name: chooser.pick(spec, "--corpus", corpus_size) for spec in corpora}
    shared = {spec.name: picked[spec.name] for spec in corpora if spec.kind in ("pictures", "class", "reps")}
    whole = chooser.foil(foil, list(shared.values())) if foil is not None or (corpora and texts.foil is None) else None
    targets = [chooser.target(spec, picked[spec.name], whole, foil, shared) for spec in corpora]
    asked = choose_texts(texts, pictures=whole if foil is not None else None, none=foil is not None and foil.kind == "none", seed=seed)
    foils = (*(target.foil for target in targets), *(text.pictures for text in asked.targets))
    first = next((pick for pick in foils if pick is not None), None)
    said = [*chooser.said, *asked.notices, *chooser.own_corpus(shared), *(sentence for target in targets for sentence in _small(target))]
    return Chosen(tuple(targets), first, tuple(dict.fromkeys(said)), asked)


@dataclass(frozen=True)
class _Chooser:
    """The arguments of :func:`choose`, and what is to be said."""

    load: Load
    splits: Callable[[], Splits] | None
    inputs: PictureSource
    seed: int
    corpus_size: int
    foil_size: int
    skip_unreadable: bool
    texts: TextQuestion
    said: list[str]

    def pick(self, spec: Spec, what: str, size: int) -> Pick | None:
        """What a spec names; None for the explicand itself and for a pool that is not named."""
        if spec.kind == "reps":
            return Pick(None, (), load_reps(Path(spec.items[0]), spec.key), f"the representations in {Path(spec.items[0]).name}")
        if spec.kind == "class":
            return self._of_class(spec, what, size)
        if not spec.items:
            return None
        most = _MOST if spec.kind == "pictures" else _MOST_POOL
        return self._usable(drawn(self.load(spec.items, what), most, _named(spec), generator(self.seed, "corpus", spec.name)))

    def foil(self, foil: Spec | None, corpora: Sequence[Pick | None]) -> Pick | None:
        """The foil that is the same for all targets, without pictures of their corpora; None where there is none."""
        found: Pick | None
        if foil is None and self.splits is not None:
            found = self._drawn_foil(self.splits().train, "random training images")
        elif foil is None or foil.kind == "none":
            return None
        elif foil.kind == "pictures":
            found = self._usable(self._drawn_foil(self.load(foil.items, "--foil"), _named(foil)))
        else:
            found = self.pick(foil, "--foil", self.foil_size)
        return None if found is None else self._clean(found, corpora)

    def target(self, spec: Spec, own: Pick | None, whole: Pick | None, foil: Spec | None, shared: dict[str, Pick | None]) -> ChosenTarget:
        """A target with its foil and, of neighbours and clusters, its pool."""
        against, texts, named = whole, None, foil is not None or self.texts.foil is not None
        if self.texts.foil is not None:
            texts, said = pick_texts(named_corpus(spec.name, self.texts.templates), self.texts.foil, seed=self.seed)
            self.said.extend(said)
        if against is None and not named and spec.kind != "clusters":
            against = self._default_foil(spec, shared)
        if spec.kind in ("neighbours", "clusters") and own is None:
            own = against if against is not None and against.source is not None else self._inputs()
        if spec.kind in ("neighbours", "clusters") and own is not None and spec.num >= len(own):
            raise DataError(f"--corpus {spec.kind}:{spec.num}: {own.words} are {len(own)}; name more pictures: {spec.kind}:K:FOLDER")
        others = spec.kind == "clusters" and ((not named and against is None) or (against is own and texts is None))
        if others and spec.num == 1:
            raise ConfigError("--corpus clusters:1: one cluster has no others to be compared with; ask for more, or name a --foil")
        return ChosenTarget(spec.name, spec.kind, own, None if others else against, spec.num, others, texts)

    def own_corpus(self, shared: dict[str, Pick | None]) -> list[str]:
        """Sentences on explained pictures that are in a corpus, which makes their scores high."""
        said, own = [], None
        for name, pick in shared.items():
            if pick is None or pick.source is None or len(self.inputs) > _MOST_COMPARED:
                continue
            own = [content_digest(self.inputs, index) for index in range(len(self.inputs))] if own is None else own
            if num := sum(digest in pick.digests() for digest in own):
                said.append(
                    f"{num} of the explained pictures {'is' if num == 1 else 'are'} in the corpus {name}: that alone raises the score."
                )
        return said

    def _of_class(self, spec: Spec, what: str, size: int) -> Pick:
        text = spec.items[0]
        if self.splits is None:
            raise ConfigError(f"{what} {text}: no such file or folder, and a class needs a data set: data.name=..., data.root=...")
        train = self.splits().train
        label: int | str = int(text) if text.isdecimal() and text not in train.class_names else text  # its number, where none is called so
        number = label if isinstance(label, int) else train.class_names.index(label) if label in train.class_names else -1
        total = 0 if train.labels is None else int((train.labels == number).sum())
        try:
            ids = by_class(train, label, max(1, min(size + size // 2, total)), seed=self.seed)
        except DataError as error:
            raise DataError(f"{what} class:{text}: {error}") from error
        return Pick(train, tuple(ids.tolist()), None, f"training images of class {text} of {self.splits().name}")

    def _default_foil(self, spec: Spec, shared: dict[str, Pick | None]) -> Pick:
        """What a target is contrasted with where nobody said it: the other corpora, or else the pictures to explain themselves.

        Raises:
            ConfigError: neither can be.
        """
        others = [pick for name, pick in shared.items() if name != spec.name and pick is not None and pick.source is not None]
        if others:
            joined = JoinedSource([(pick.source, pick.ids) for pick in others if pick.source is not None])
            return self._clean(self._drawn_foil(joined, "the other corpora", spec.name), [shared.get(spec.name)])
        if len(self.inputs) >= _FEWEST_INPUTS:
            return self._clean(self._usable(self._drawn_foil(self.inputs, "the explained pictures")), list(shared.values()))
        few = f"{len(self.inputs)} pictures to explain are" if len(self.inputs) > 1 else "one picture to explain is"
        raise ConfigError(f"--foil: {few} too few to compare with; name a folder of ordinary pictures, or --foil none")

    def _inputs(self) -> Pick:
        return self._usable(drawn(self.inputs, _MOST_POOL, "the explained pictures", generator(self.seed, "pool")))

    def _drawn_foil(self, source: Source, words: str, *more: str) -> Pick:
        return drawn(source, self.foil_size + self.foil_size // 3, words, generator(self.seed, "foil", *more), apart=4)

    def _clean(self, foil: Pick, corpora: Sequence[Pick | None]) -> Pick:
        left, dropped = without(foil, corpora)
        if dropped:
            self.said.append(f"{dropped} pictures of the foil are in a corpus too and were left out of it.")
        return left

    def _usable(self, pick: Pick) -> Pick:
        """The pick, or what of it can be read."""
        if not self.skip_unreadable:
            return pick
        left, reasons = readable(pick)
        if reasons:
            self.said.append(
                f"{len(reasons)} of {pick.words} cannot be read and {'is' if len(reasons) == 1 else 'are'} left out: {reasons[0]}."
            )
        return left


def _named(spec: Spec) -> str:
    return f"the pictures in {some(spec.items)}"


def _small(target: ChosenTarget) -> list[str]:
    """Sentences about corpora and foils that are too small to be relied on."""
    said = []
    if target.kind in ("pictures", "class", "reps") and target.corpus is not None and len(target.corpus) < 20:
        num = f"{len(target.corpus)} pictures" if len(target.corpus) > 1 else "one picture"
        said.append(f"The corpus {target.name} has {num}; maps are found to be stable from about 20 on.")
    if target.foil is not None and target.texts is None and len(target.foil) < 50:
        said.append(
            f"The foil of {target.name} has {len(target.foil)} pictures; their mean is a poor typical picture. The paper takes 1500."
        )
    return said
