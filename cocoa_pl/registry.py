"""The tables of everything that has a name in a config: one line an entry, imported only when it is used.

A table maps a name to ``module:attribute``. Names can be checked, listed and completed without importing torch; adding an entry is one file
and one line here. ``tests/contracts/`` runs over every entry.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from typing import Any

from cocoa_pl.errors import ConfigError, choices_hint


class Table(Mapping[str, str]):
    """A read-only table from names to import paths.

    Example:
        >>> sorted(CONTROLS)
        ['centre_bias', 'edges', 'random', 'smooth_random']
        >>> CONTROLS.load("edgs")
        Traceback (most recent call last):
        ...
        cocoa_pl.errors.ConfigError: unknown control 'edgs'; choose from: centre_bias, edges, random, smooth_random (did you mean 'edges'?)
    """

    def __init__(self, kind: str, **paths: str) -> None:
        self.kind = kind
        self._paths = paths

    def __getitem__(self, name: str) -> str:
        return self._paths[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._paths)

    def __len__(self) -> int:
        return len(self._paths)

    def load(self, name: str) -> Any:
        """Import and return the entry.

        Raises:
            ConfigError: unknown name; the message lists the choices.
        """
        if name not in self._paths:
            raise ConfigError(f"unknown {self.kind} '{name}'; {choices_hint(name, self._paths)}")
        module, _, attribute = self._paths[name].partition(":")
        return getattr(importlib.import_module(module), attribute)


DATASETS = Table(
    "dataset",
    scenes="cocoa_pl.data.splits:scenes_splits",
    captioned_scenes="cocoa_pl.data.splits:captioned_scenes_splits",
    fashion_mnist="cocoa_pl.data.torchvision_sets:fashion_mnist",
    cifar10="cocoa_pl.data.torchvision_sets:cifar10",
    cifar100="cocoa_pl.data.torchvision_sets:cifar100",
    stl10="cocoa_pl.data.torchvision_sets:stl10",
    image_folder="cocoa_pl.data.image_folder:image_folder",
)
CAPTIONED = ("captioned_scenes",)
"""Data sets that have captions."""
VIEW_NAMES = ("original", "flip", "crop", "crop_flip", "grayscale", "jitter", "erase", "rotate90")
"""Views of an explicand, made by ``cocoa_pl.augmentations.held_out``."""
TARGETS = Table(
    "target",
    label_free="cocoa_pl.targets.cosine:label_free",
    label_free_dot="cocoa_pl.targets.cosine:label_free_dot",
    contrastive_label_free="cocoa_pl.targets.cosine:contrastive_label_free",
    contrastive_label_free_dot="cocoa_pl.targets.cosine:contrastive_label_free_dot",
    corpus="cocoa_pl.targets.cosine:corpus_similarity",
    corpus_dot="cocoa_pl.targets.cosine:corpus_dot",
    cocoa="cocoa_pl.targets.cosine:cocoa",
    cocoa_dot="cocoa_pl.targets.cosine:cocoa_dot",
    cocoa_salient="cocoa_pl.targets.directions:cocoa_salient",
    cocoa_whitened="cocoa_pl.targets.directions:cocoa_whitened",
    gaussian="cocoa_pl.targets.gaussian:gaussian",
    contrastive_gaussian="cocoa_pl.targets.gaussian:contrastive_gaussian",
    corpus_distance="cocoa_pl.targets.distance:corpus_distance",
    representation_shift="cocoa_pl.targets.distance:representation_shift",
    corpus_majority="cocoa_pl.targets.probability:corpus_majority",
    explicand_probability="cocoa_pl.targets.probability:explicand_probability",
)
NEED_HEAD = ("corpus_majority", "explicand_probability")
"""Targets that are built with a linear head."""
ATTRIBUTIONS = Table(
    "attribution",
    gradient="cocoa_pl.attributions.gradients:Gradient",
    gradient_x_input="cocoa_pl.attributions.gradients:GradientXInput",
    smoothgrad="cocoa_pl.attributions.smoothgrad:SmoothGrad",
    integrated_gradients="cocoa_pl.attributions.integrated_gradients:IntegratedGradients",
    gradient_shap="cocoa_pl.attributions.gradient_shap:GradientShap",
    grad_cam="cocoa_pl.attributions.grad_cam:GradCam",
    layer_integrated_gradients="cocoa_pl.attributions.layer_integrated_gradients:LayerIntegratedGradients",
    rise="cocoa_pl.attributions.rise:Rise",
    occlusion="cocoa_pl.attributions.occlusion:Occlusion",
    kernel_shap="cocoa_pl.attributions.kernel_shap:kernel_shap_grid",
    kernel_shap_slic="cocoa_pl.attributions.kernel_shap:kernel_shap_slic",
)
CONTROLS = Table(
    "control",
    random="cocoa_pl.attributions.controls:Random",
    smooth_random="cocoa_pl.attributions.controls:SmoothRandom",
    centre_bias="cocoa_pl.attributions.controls:CentreBias",
    edges="cocoa_pl.attributions.controls:Edges",
)
"""Maps that know nothing of the score: what a method must beat."""
REMOVALS = Table(
    "removal",
    blur="cocoa_pl.removal.blur:Blur",
    black="cocoa_pl.removal.constant:Black",
    mean="cocoa_pl.removal.constant:ChannelMean",
    noise="cocoa_pl.removal.noise:Noise",
    random_image="cocoa_pl.removal.random_image:RandomImage",
    inpaint="cocoa_pl.removal.inpaint:Inpaint",
    colour="cocoa_pl.removal.components:Grayscale",
    texture="cocoa_pl.removal.components:Cartoon",
    shape="cocoa_pl.removal.components:ShuffledPatches",
)
BACKBONES = ("small_resnet", "resnet18", "resnet34", "resnet50", "resnet101", "resnet152")
"""Backbones with a name of their own; ``timm:NAME`` stands for all of timm's."""
METHODS = Table(
    "method",
    simclr="cocoa_pl.build.methods:build_simclr",
    simsiam="cocoa_pl.build.methods:build_simsiam",
    supervised="cocoa_pl.build.methods:build_supervised",
    image_text="cocoa_pl.build.methods:build_image_text",
)
"""How an encoder learns."""
OPTIMIZERS = Table(
    "optimizer",
    adamw="cocoa_pl.models.optim:adamw",
    sgd="cocoa_pl.models.optim:sgd",
    lars="cocoa_pl.models.optim:lars",
)
SCHEDULES = Table(
    "schedule",
    one_cycle="cocoa_pl.models.optim:one_cycle",
    warmup_cosine="cocoa_pl.models.optim:warmup_cosine",
    constant="cocoa_pl.models.optim:constant",
)
