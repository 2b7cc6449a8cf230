"""What is explained: representations to scores. Nothing here ever sees an image."""

from cocoa_pl.targets.base import BaseTarget, normalize
from cocoa_pl.targets.bootstrap import bootstrap, percentile_interval
from cocoa_pl.targets.cosine import (
    DirectionTarget,
    cocoa,
    cocoa_dot,
    contrastive_label_free,
    contrastive_label_free_dot,
    corpus_dot,
    corpus_similarity,
    label_free,
    label_free_dot,
    mean_direction,
)
from cocoa_pl.targets.directions import cocoa_salient, cocoa_whitened
from cocoa_pl.targets.distance import corpus_distance, representation_shift
from cocoa_pl.targets.gaussian import contrastive_gaussian, gaussian
from cocoa_pl.targets.probability import corpus_majority, explicand_probability
from cocoa_pl.targets.stack import StackedTarget, stack
from cocoa_pl.targets.statistics import (
    FoilSizeAdvice,
    Separation,
    foil_size_advice,
    foil_size_for,
    hoeffding_error,
    separation,
    shared_images,
)

__all__ = [
    "BaseTarget",
    "DirectionTarget",
    "FoilSizeAdvice",
    "Separation",
    "StackedTarget",
    "bootstrap",
    "cocoa",
    "cocoa_dot",
    "cocoa_salient",
    "cocoa_whitened",
    "contrastive_gaussian",
    "contrastive_label_free",
    "contrastive_label_free_dot",
    "corpus_distance",
    "corpus_dot",
    "corpus_majority",
    "corpus_similarity",
    "explicand_probability",
    "foil_size_advice",
    "foil_size_for",
    "gaussian",
    "hoeffding_error",
    "label_free",
    "label_free_dot",
    "mean_direction",
    "normalize",
    "percentile_interval",
    "representation_shift",
    "separation",
    "shared_images",
    "stack",
]
