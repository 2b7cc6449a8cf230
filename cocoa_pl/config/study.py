"""Options of ``python -m cocoa_pl.study``. The sentence under a field is its help text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from cocoa_pl.config.checks import between, one_of
from cocoa_pl.config.explaining import ExplainConfig
from cocoa_pl.config.schema import Config
from cocoa_pl.errors import ConfigError
from cocoa_pl.registry import ATTRIBUTIONS, REMOVALS

PARTS = ("grid", "sensitivity", "sanity", "views")
SETTINGS = ("same", "different")
"""Whether an explicand belongs to the corpus' class."""
TARGETS = ("label_free", "contrastive_label_free", "corpus", "cocoa")
"""What is explained, the paper's four; COCOA last."""
MEASURES = ("corpus_majority", "corpus_similarity", "explicand_probability", "representation_shift")
"""What is followed along the curves. The similarity is the contrastive one; the shift has a minus sign, so that higher is better."""
CONTROLS = ("random", "smooth_random", "centre_bias")
"""Maps that know nothing of encoder and target."""


def _paper() -> ExplainConfig:
    """The paper's protocol; of RISE as many centred masks as are closer to the true map than its 5000 plain ones."""
    return ExplainConfig(
        attributions=["integrated_gradients", "gradient_shap", "rise"], num_steps=50, num_samples=50, num_masks=512, corpus_size=100,
        foil_size=1500, curve_steps=50,
    )  # fmt: skip


@dataclass
class StudyOptions:
    """What is verified, on which encoders, how often."""

    encoders: list[str] = field(default_factory=list)
    """[TITLE=]WHAT: a checkpoint, a run's folder, KIND as explain.py --encoder takes it, or KIND@CHECKPOINT."""
    parts: list[str] = field(default_factory=lambda: list(PARTS))
    """Of grid, sensitivity (corpus size, foil size, masks, removal), sanity (the cascade of lost layers) and views (augmentations)."""
    seeds: list[int] = field(default_factory=lambda: [123, 456, 789, 42, 91])
    """Each draws explicands, corpora and foil anew; intervals are over seeds. These are the paper's."""
    per_class: int = 25
    """Validation images of each class that are explained, for each seed."""
    classes: list[str] = field(default_factory=list)
    """Names of the classes that take part; none: all."""
    settings: list[str] = field(default_factory=lambda: list(SETTINGS))
    """Explicands of the corpus' class: same, of another class: different."""
    targets: list[str] = field(default_factory=lambda: list(TARGETS))
    """Of label_free, contrastive_label_free, corpus and cocoa."""
    measures: list[str] = field(default_factory=lambda: list(MEASURES))
    """Of corpus_majority, corpus_similarity (contrastive), explicand_probability and representation_shift."""
    controls: list[str] = field(default_factory=lambda: list(CONTROLS))
    """Maps that know nothing of the encoder: of random, smooth_random and centre_bias."""
    randomised: bool = True
    """Explain COCOA by the encoder with all parameters redrawn as well."""
    in_sample: bool = False
    """Measure with the corpus and foil that were explained, as the paper does, instead of with as many others."""
    num_bank: int = 10_000
    """Training images that the linear head learns from, at most."""
    sensitivity_per_class: int = 5
    """Explicands of each class and seed in the sensitivity study, of those of the grid."""
    corpus_sizes: list[int] = field(default_factory=lambda: [1, 5, 20, 50, 100, 200])
    """Sizes of the corpus that are compared."""
    foil_sizes: list[int] = field(default_factory=lambda: [100, 500, 1500, 2500, 5000])
    """Sizes of the foil that are compared; those that the data has not are left out."""
    mask_counts: list[int] = field(default_factory=lambda: [64, 128, 256, 512, 1024])
    """Numbers of RISE's masks that are compared."""
    removals: list[str] = field(default_factory=lambda: ["blur", "black", "mean", "noise", "random_image"])
    """Removals that are compared."""
    blur_sigmas: list[float] = field(default_factory=lambda: [1.0, 2.0, 5.0, 10.0])
    """Strengths of the blur that are compared, in pixels."""
    cascade_per_class: int = 2
    """Explicands of each class and seed in the cascade, of those of the grid."""
    views_per_class: int = 3
    """Validation images of each class in the augmentation study."""

    def __post_init__(self) -> None:
        for name, known in (
            ("parts", PARTS), ("settings", SETTINGS), ("targets", TARGETS), ("measures", MEASURES), ("controls", CONTROLS),
            ("removals", REMOVALS),
        ):  # fmt: skip
            for value in getattr(self, name):
                one_of(f"study.{name}", value, known)
        for name, low in (
            ("per_class", 1), ("num_bank", 2), ("sensitivity_per_class", 1), ("cascade_per_class", 1), ("views_per_class", 1),
        ):  # fmt: skip
            between(f"study.{name}", getattr(self, name), low)
        for name, low in (("corpus_sizes", 1), ("foil_sizes", 2), ("mask_counts", 4)):
            for size in getattr(self, name):
                between(f"study.{name}", size, low)
        for sigma in self.blur_sigmas:
            between("study.blur_sigmas", sigma, 0, open_low=True)
        for seed in self.seeds:
            between("study.seeds", seed, 0, 2**63 - 1)
        for name in ("parts", "settings", "targets", "measures", "seeds", "classes", "controls"):
            values = getattr(self, name)
            if len(set(values)) < len(values) or (not values and name not in ("classes", "controls")):
                raise ConfigError(f"study.{name}={values}: must name at least one, each once")


_EXPLAINS = (
    "views", "space", "layer", "attributions", "removal", "num_steps", "num_samples", "num_masks", "grid_size", "corpus_size", "foil_size",
    "curve_steps", "chunk_size", "precision",
)  # fmt: skip
_OF_TRAINING = ("augment", "optim", "checkpoint")
_SENTENCES = {
    "run": "Where studies live and what makes their data repeatable.",
    "run.seed": "Of pictures that are generated, of a split by seed and of what removals draw; by default the first run's.",
    "run.root": "Folder of the results' folder study-<name>.",
    "data": "Which pictures; by default those of the first run of train.py.",
    "trainer": "The machine.",
    "explain": "What is explained, and how closely.",
    "explain.views": "Views of the augmentation study; original comes first.",
    "explain.attributions": "Attribution methods, of those in docs/engine.md; controls have an option of their own, study.controls.",
    "explain.num_masks": "Masks of RISE.",
    "explain.corpus_size": "Training images in a class corpus; as many others judge.",
    "explain.foil_size": "Random training images in the foil; as many others judge.",
}


@dataclass
class StudyConfig(Config):
    """All options of a study: those of a run, with the paper's settings for explanations, and its own."""

    explain: ExplainConfig = field(default_factory=_paper)
    study: StudyOptions = field(default_factory=StudyOptions)

    shown: ClassVar[tuple[str, ...]] = (
        "run.seed", "run.root", "data", "trainer.accelerator", "trainer.progress_bar",
        *(f"explain.{name}" for name in _EXPLAINS), "study",
    )  # fmt: skip
    """Options and sections that the help text lists."""
    hidden: ClassVar[tuple[str, ...]] = ("data.batch_size", "data.num_bank", "data.num_workers")
    """Options of those sections that it does not."""
    sentences: ClassVar[Mapping[str, str]] = _SENTENCES
    """Option or section to what is said of it here, where a run's sentence does not fit."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in self.explain.attributions:
            one_of("explain.attributions", name, ATTRIBUTIONS)  # controls have an option of their own here


def plays_part(option: str) -> bool:
    """Whether an option, or a section, has anything to do in a study; those of training and of its looks at epoch ends have not.

    Example:
        >>> plays_part("explain.num_masks"), plays_part("explain.num_pairs"), plays_part("optim")
        (True, False, False)
    """
    section, _, name = option.partition(".")
    return section not in _OF_TRAINING and (section != "explain" or not name or name in _EXPLAINS)


def parts_of(options: Mapping[str, Any]) -> dict[str, Any]:
    """Nested options without those that play no part in a study.

    Example:
        >>> parts_of({"optim": {"lr": 1.0}, "explain": {"num_masks": 9, "num_pairs": 1}})
        {'explain': {'num_masks': 9}}
    """
    left = {section: value for section, value in options.items() if plays_part(section)}
    if isinstance(explain := left.get("explain"), Mapping):
        left["explain"] = {name: value for name, value in explain.items() if plays_part(f"explain.{name}")}
    return left
