"""What ``explain.py`` is asked for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from cocoa_pl.asking.specs import Spec
from cocoa_pl.texts.asked import ConceptBank, TextCorpus, TextFoil

DEFAULT_TOP = 5
"""Concepts of each picture that get maps."""


@dataclass(frozen=True)
class Request:
    """What ``explain.py`` is asked for.

    Attributes:
        checkpoints: files, in the order given; empty where the encoder is a function.
        series: whether they are to be read as a run over time.
        encoder: of a file of another origin: architecture, kind of program, or ``package.module:function``; None: found out.
        against: an encoder to compare with.
        against_encoder: its ``encoder``.
        inputs: pictures to explain; empty: the run's explain set.
        corpora: what is asked; empty: likeness to the picture itself.
        foil: what it is contrasted with; None: found out.
        text_corpora: what is asked in words, a target each.
        text_foil: texts that all corpora are contrasted with; None: of texts the other texts, of pictures none.
        templates: sentences that concepts are put in; None: ``a photo of a {}``.
        concepts: a bank, of which those that a picture is most like are targets.
        top: how many of them; None: five, or as many as there are.
        words: whether the words of prompts get attributions as well.
        out: folder of the report.
        untrained: explain the encoder as it was before training.
        budget: seconds that explaining may take; None for no limit.
        quantile: masks and boxes hold what reaches this quantile of a map; None: Otsu's threshold.
        trust_pickle: execute what a pickle asks for.
        image_size, mean, std: of an encoder of another origin.
        cache: folder of representations; None for none.
        overrides: ``key=value``.
    """

    checkpoints: tuple[Path, ...]
    series: bool = False
    encoder: str | None = None
    against: Path | None = None
    against_encoder: str | None = None
    inputs: tuple[str, ...] = ()
    corpora: tuple[Spec, ...] = ()
    foil: Spec | None = None
    text_corpora: tuple[TextCorpus, ...] = ()
    text_foil: TextFoil | None = None
    templates: tuple[str, ...] | None = None
    concepts: ConceptBank | None = None
    top: int | None = None
    words: bool = False
    out: Path | None = None
    untrained: bool = False
    budget: float | None = None
    quantile: float | None = None
    trust_pickle: bool = False
    image_size: int | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    cache: Path | None = None
    overrides: tuple[str, ...] = ()

    @property
    def asks(self) -> bool:
        """Whether there is a question of the user's own; else the run's explain set is looked at again."""
        return bool(self.inputs or self.corpora or self.foil or self.encoder or self.asks_in_words)

    @property
    def asks_in_words(self) -> bool:
        """Whether texts are to be encoded."""
        return bool(self.text_corpora or self.text_foil or self.concepts)
