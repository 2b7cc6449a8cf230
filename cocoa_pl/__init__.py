"""cocoa_pl: train encoders without labels and see, while they train, what their representations look at.

The names below are imported on first use, so that ``import cocoa_pl`` takes no time.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cocoa_pl.allocator import keep_freed_memory
    from cocoa_pl.attributions import (
        FromCaptum,
        GradCam,
        Gradient,
        GradientShap,
        GradientXInput,
        IntegratedGradients,
        KernelShap,
        LayerIntegratedGradients,
        Occlusion,
        Rise,
        SmoothGrad,
        forward_func,
        quantus_arrays,
    )
    from cocoa_pl.build import load_encoder
    from cocoa_pl.callbacks.explanation import ExplanationCallback
    from cocoa_pl.callbacks.watching import watch
    from cocoa_pl.data.corpora import by_class, by_ids, clusters, from_folder, neighbours, random_foil
    from cocoa_pl.encoding import FrozenEncoder
    from cocoa_pl.explainer import Explainer
    from cocoa_pl.explanation import Explanation
    from cocoa_pl.images import as_images
    from cocoa_pl.metrics import METRICS, measure
    from cocoa_pl.metrics.attribution_quality import AttributionQuality, InsertionDeletion
    from cocoa_pl.metrics.intervals import bootstrap_interval, paired_difference, t_interval
    from cocoa_pl.metrics.perturbation import perturbation_curves
    from cocoa_pl.metrics.placing import measure_placement
    from cocoa_pl.metrics.randomisation import cascade, randomised
    from cocoa_pl.removal import Black, Blur, Cartoon, ChannelMean, Grayscale, Inpaint, Noise, RandomImage, ShuffledPatches
    from cocoa_pl.targets import (
        DirectionTarget,
        bootstrap,
        cocoa,
        cocoa_salient,
        cocoa_whitened,
        contrastive_gaussian,
        contrastive_label_free,
        corpus_distance,
        corpus_majority,
        corpus_similarity,
        foil_size_advice,
        foil_size_for,
        gaussian,
        label_free,
        separation,
        stack,
    )
    from cocoa_pl.text_encoding import FrozenTextEncoder

_PLACES = {
    "cocoa_pl.allocator": ("keep_freed_memory",),
    "cocoa_pl.attributions": (
        "FromCaptum",
        "GradCam",
        "Gradient",
        "GradientShap",
        "GradientXInput",
        "IntegratedGradients",
        "KernelShap",
        "LayerIntegratedGradients",
        "Occlusion",
        "Rise",
        "SmoothGrad",
        "forward_func",
        "quantus_arrays",
    ),
    "cocoa_pl.build": ("load_encoder",),
    "cocoa_pl.callbacks.explanation": ("ExplanationCallback",),
    "cocoa_pl.callbacks.watching": ("watch",),
    "cocoa_pl.data.corpora": (
        "by_class",
        "by_ids",
        "clusters",
        "from_folder",
        "neighbours",
        "random_foil",
    ),
    "cocoa_pl.encoding": ("FrozenEncoder",),
    "cocoa_pl.explainer": ("Explainer",),
    "cocoa_pl.explanation": ("Explanation",),
    "cocoa_pl.images": ("as_images",),
    "cocoa_pl.metrics": ("METRICS", "measure"),
    "cocoa_pl.metrics.attribution_quality": ("AttributionQuality", "InsertionDeletion"),
    "cocoa_pl.metrics.intervals": ("bootstrap_interval", "paired_difference", "t_interval"),
    "cocoa_pl.metrics.perturbation": ("perturbation_curves",),
    "cocoa_pl.metrics.placing": ("measure_placement",),
    "cocoa_pl.metrics.randomisation": ("cascade", "randomised"),
    "cocoa_pl.removal": (
        "Black",
        "Blur",
        "Cartoon",
        "ChannelMean",
        "Grayscale",
        "Inpaint",
        "Noise",
        "RandomImage",
        "ShuffledPatches",
    ),
    "cocoa_pl.text_encoding": ("FrozenTextEncoder",),
    "cocoa_pl.targets": (
        "DirectionTarget",
        "bootstrap",
        "cocoa",
        "cocoa_salient",
        "cocoa_whitened",
        "contrastive_gaussian",
        "contrastive_label_free",
        "corpus_distance",
        "corpus_majority",
        "corpus_similarity",
        "foil_size_advice",
        "foil_size_for",
        "gaussian",
        "label_free",
        "separation",
        "stack",
    ),
}  # fmt: skip
_MODULE_OF = {name: module for module, names in _PLACES.items() for name in names}

__all__ = [
    "METRICS",
    "AttributionQuality",
    "Black",
    "Blur",
    "Cartoon",
    "ChannelMean",
    "DirectionTarget",
    "Explainer",
    "Explanation",
    "ExplanationCallback",
    "FromCaptum",
    "FrozenEncoder",
    "FrozenTextEncoder",
    "GradCam",
    "Gradient",
    "GradientShap",
    "GradientXInput",
    "Grayscale",
    "Inpaint",
    "InsertionDeletion",
    "IntegratedGradients",
    "KernelShap",
    "LayerIntegratedGradients",
    "Noise",
    "Occlusion",
    "RandomImage",
    "Rise",
    "ShuffledPatches",
    "SmoothGrad",
    "as_images",
    "bootstrap",
    "bootstrap_interval",
    "by_class",
    "by_ids",
    "cascade",
    "clusters",
    "cocoa",
    "cocoa_salient",
    "cocoa_whitened",
    "contrastive_gaussian",
    "contrastive_label_free",
    "corpus_distance",
    "corpus_majority",
    "corpus_similarity",
    "foil_size_advice",
    "foil_size_for",
    "forward_func",
    "from_folder",
    "gaussian",
    "keep_freed_memory",
    "label_free",
    "load_encoder",
    "measure",
    "measure_placement",
    "neighbours",
    "paired_difference",
    "perturbation_curves",
    "quantus_arrays",
    "random_foil",
    "randomised",
    "separation",
    "stack",
    "t_interval",
    "watch",
]


def __getattr__(name: str) -> Any:
    if name in _MODULE_OF:
        return getattr(importlib.import_module(_MODULE_OF[name]), name)
    raise AttributeError(f"module 'cocoa_pl' has no attribute '{name}'")
