"""cocoa_pl: train encoders without labels and see, while they train, what their representations look at.

The names below are imported on first use, so that ``import cocoa_pl`` takes no time.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cocoa_pl.attributions import IntegratedGradients, Rise
    from cocoa_pl.encoding import FrozenEncoder
    from cocoa_pl.explainer import Explainer, Explanation
    from cocoa_pl.removal import Blur
    from cocoa_pl.targets import cocoa, contrastive_label_free, corpus_similarity, label_free

_PLACES = {
    "Blur": "cocoa_pl.removal",
    "Explainer": "cocoa_pl.explainer",
    "Explanation": "cocoa_pl.explainer",
    "FrozenEncoder": "cocoa_pl.encoding",
    "IntegratedGradients": "cocoa_pl.attributions",
    "Rise": "cocoa_pl.attributions",
    "cocoa": "cocoa_pl.targets",
    "contrastive_label_free": "cocoa_pl.targets",
    "corpus_similarity": "cocoa_pl.targets",
    "label_free": "cocoa_pl.targets",
}

__all__ = [
    "Blur",
    "Explainer",
    "Explanation",
    "FrozenEncoder",
    "IntegratedGradients",
    "Rise",
    "cocoa",
    "contrastive_label_free",
    "corpus_similarity",
    "label_free",
]


def __getattr__(name: str) -> Any:
    if name in _PLACES:
        return getattr(importlib.import_module(_PLACES[name]), name)
    raise AttributeError(f"module 'cocoa_pl' has no attribute '{name}'")
