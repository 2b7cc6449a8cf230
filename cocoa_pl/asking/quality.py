"""How well the targets of a run's explain set tell what they are made of from the foil."""

from __future__ import annotations

import torch
from torch import Tensor

from cocoa_pl.asking.question import Asked
from cocoa_pl.data.explain_set import ExplainSet
from cocoa_pl.encoding import FrozenEncoder
from cocoa_pl.targets import Separation, normalize

Qualities = dict[str, Separation]
"""Trace suffix to areas under the ROC curve and their standard errors, one a row of the explain set."""


def target_quality(given: ExplainSet, encoder: FrozenEncoder) -> Qualities:
    """Quality of likeness to the original image, by its other views, and to the class, by its corpus; (V * E,) each."""
    num, views = given.num_images, len(given.views)
    reps, foil = normalize(encoder.encode(given.explicands)), normalize(encoder.encode(given.foil))
    others, none = reps.view(views, num, -1)[1:].transpose(0, 1), reps[:0]
    found = {"": Asked("", "self", none, none, foil, foil).of(reps[:num], others).separation()}
    if given.labels is not None:
        rows = [given.classes.index(label) for label in given.labels.tolist()]
        by_class = [_of_class(normalize(encoder.encode(images)), foil) for images in given.corpora]
        found["-class"] = Separation(*(torch.stack([each[part] for each in by_class])[rows] for part in (0, 1)))
    return {suffix: Separation(*(each.cpu().repeat(views) for each in separation)) for suffix, separation in found.items()}


def _of_class(corpus: Tensor, foil: Tensor) -> Separation:
    made = Asked("class", "shared", corpus, corpus, foil, foil).of(corpus[:1], corpus[:0, None]).separation()
    return Separation(made.auroc[0], made.standard_error[0])
