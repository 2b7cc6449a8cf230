"""How well the targets of a run's explain set tell what they are made of from the foil, and how sure its scores are."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from cocoa_pl.asking.question import Asked, OfExplicands
from cocoa_pl.data.explain_set import ExplainSet
from cocoa_pl.encoding import FrozenEncoder
from cocoa_pl.targets import normalize


class Quality(NamedTuple):
    """Of a target, for every row of an explain set."""

    auroc: Tensor  # (V * E,), see ``asking.separation``
    auroc_error: Tensor  # (V * E,), its standard error
    score_error: Tensor  # (V * E,), standard error of the score, for corpus and foil being samples


Qualities = dict[str, Quality]
"""Trace suffix to quality."""


def target_quality(given: ExplainSet, encoder: FrozenEncoder) -> Qualities:
    """Quality of likeness to the original image, by its other views, to the class, by its corpus, and to the image's text.

    A text has no pictures by which it could be told from the foil: of likeness to it only the error of the scores is known.
    """
    num, views = given.num_images, len(given.views)
    rows, foil = normalize(encoder.encode(given.explicands)), normalize(encoder.encode(given.foil))
    reps, none = rows.view(views, num, -1).transpose(0, 1), rows[:0]  # (E, V, D)
    found = {"": _of_views(Asked("", "self", none, none, foil, foil).of(reps[:, 0], reps[:, 1:]), reps)}
    if given.labels is not None:
        found["-class"] = Quality(*(torch.empty(num, views, device=rows.device) for _ in range(3)))
        for label, images in zip(given.classes, given.corpora, strict=True):
            own = (given.labels == label).nonzero()[:, 0].to(rows.device)
            if len(own):
                corpus = normalize(encoder.encode(images))
                made = _of_views(Asked("class", "shared", corpus, corpus, foil, foil).of(reps[own, 0], reps[own, :0]), reps[own])
                for whole, part in zip(found["-class"], made, strict=True):
                    whole[own] = part
    if given.phrases and encoder.text is not None:
        others = normalize(encoder.text.encode(given.text_foil)).to(rows)
        error = ((reps @ others.T).var(-1) / len(others)).sqrt()
        unknown = torch.full_like(error, torch.nan)
        found["-text"] = Quality(unknown, unknown, error)
    return {suffix: Quality(*(each.T.flatten().cpu() for each in quality)) for suffix, quality in found.items()}


def _of_views(target: OfExplicands, reps: Tensor) -> Quality:
    """(E, V) each, of explicands' views reps (E, V, D)."""
    area, error = target.separation()
    views = reps.shape[1]
    scores = torch.stack([target.scores(reps[:, view].contiguous())[1] for view in range(views)], 1)
    return Quality(area[:, None].expand(-1, views), error[:, None].expand(-1, views), scores)
