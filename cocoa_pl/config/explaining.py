"""Options of explanations. The sentence under a field is its help text."""

from __future__ import annotations

from dataclasses import dataclass, field

from cocoa_pl.config.checks import between, one_of
from cocoa_pl.errors import ConfigError
from cocoa_pl.registry import ATTRIBUTIONS, CONTROLS, NEED_HEAD, REMOVALS, TARGETS, VIEW_NAMES


@dataclass
class ExplainConfig:
    """What is explained at epoch ends, and how closely."""

    enabled: bool = True
    """Explain during training."""
    every_n_epochs: int = 1
    """Explain after every so many epochs; the untrained encoder and the last epoch are always explained."""
    num_explicands: int = 6
    """Validation images explained under every view."""
    views: list[str] = field(default_factory=lambda: list(VIEW_NAMES))
    """Views explained; original comes first."""
    space: str = "reps"
    """What is explained: reps, the backbone's output, or projections, the head's, which the loss sees."""
    layer: str | None = None
    """Explain the averaged output of this layer of the backbone, a dotted name such as stages.2, instead of the backbone's."""
    attributions: list[str] = field(default_factory=lambda: ["integrated_gradients", "rise"])
    """Attribution methods and controls, of those in docs/engine.md."""
    removal: str = "blur"
    """What stands for absent pixels: blur, black, mean, noise, random_image, inpaint; or what is taken away: colour, texture, shape."""
    num_steps: int = 8
    """Steps of integrated gradients and of layer integrated gradients."""
    num_samples: int = 64
    """Draws of SmoothGrad and GradientSHAP; coalitions of KernelSHAP, or four a superpixel where that is more."""
    num_masks: int = 256
    """Masks of RISE, at most: budget_share may allow only the first of them."""
    budget_share: float | None = 0.15
    """Most of the time of training that explaining may take, kept by taking fewer masks; null takes all masks whatever it costs."""
    grid_size: int = 4
    """Cells along the shorter side, of RISE, KernelSHAP and the smooth random control; 4 suits 32 px, 7 suits 224 px."""
    corpus_size: int = 50
    """Training images in a class corpus; insertion and deletion are measured with half as many others. The paper takes 100."""
    foil_size: int = 750
    """Random training images in the foil; insertion and deletion are measured with a third as many others. The paper takes 1500."""
    curve_steps: int = 10
    """Steps of the insertion and deletion curves."""
    num_pairs: int = 8
    """Two-object images; 0 leaves the test out."""
    pair_targets: list[str] = field(default_factory=lambda: ["cocoa"])
    """Targets of the two-object test, of those in docs/engine.md that need no linear head."""
    chunk_size: int | None = None
    """Images in one pass through the encoder; null chooses by their size, and halves when memory runs out."""
    precision: str = "32"
    """Precision of explanations: 32, bf16 (faster, coarser: benchmarks/README.md), auto: bf16 where the hardware has it, 64: for checks."""
    num_strips: int = 4
    """Explicands that get a film strip."""
    num_gallery: int = 256
    """Validation images shown as points in the embedding projector when training ends; 0 shows none."""
    reference: str | None = None
    """A checkpoint of train.py that every look is compared with, as explain/<trace>/drift_reference; null: none."""
    region: str | None = None
    """A place to watch for shortcuts: x0,y0,x1,y1 as shares of the picture, or the path of a mask, white where watched; null: none."""

    def __post_init__(self) -> None:
        for view in self.views:
            one_of("explain.views", view, VIEW_NAMES)
        for name in self.attributions:
            one_of("explain.attributions", name, (*ATTRIBUTIONS, *CONTROLS))
        for name in self.pair_targets:
            one_of("explain.pair_targets", name, [target for target in TARGETS if target not in NEED_HEAD])
        if not self.pair_targets or len(set(self.pair_targets)) < len(self.pair_targets):
            raise ConfigError(f"explain.pair_targets={self.pair_targets}: must name at least one target, each once")
        if not self.views or self.views[0] != "original" or len(set(self.views)) < len(self.views):
            raise ConfigError(f"explain.views={self.views}: must start with original and name each view once")
        if not self.attributions or len(set(self.attributions)) < len(self.attributions):
            raise ConfigError(f"explain.attributions={self.attributions}: must name at least one method, each once")
        one_of("explain.removal", self.removal, REMOVALS)
        one_of("explain.precision", self.precision, ("auto", "32", "bf16", "64"))
        one_of("explain.space", self.space, ("reps", "projections"))
        if self.layer is not None and self.space == "projections":
            raise ConfigError(f"explain.layer={self.layer}: a layer of the backbone is explained by its reps; set explain.space=reps")
        for name, low in (
            ("every_n_epochs", 1), ("num_explicands", 1), ("num_steps", 1), ("num_samples", 2), ("num_masks", 4), ("grid_size", 2),
            ("corpus_size", 1), ("foil_size", 2), ("curve_steps", 2), ("num_pairs", 0), ("chunk_size", 1), ("num_strips", 0),
            ("num_gallery", 0),
        ):  # fmt: skip
            between(f"explain.{name}", getattr(self, name), low)
        between("explain.budget_share", self.budget_share, 0, 1, open_low=True)
