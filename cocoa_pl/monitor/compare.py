"""Two looks side by side: what changed, what of it is the encoder's doing, and for which explicands the score stayed."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from cocoa_pl.data.explain_set import ExplainSet
from cocoa_pl.metrics.agreement import spearman
from cocoa_pl.metrics.drift import Change, change
from cocoa_pl.monitor.look import Look

_HARDLY = 0.1  # of the mean |score|: a score that changed by less hardly changed


@dataclass(frozen=True)
class Compared:
    """The maps of a trace in two looks.

    Attributes:
        change: of each of the R rows.
        unmoved: (R,) bool, whether the row's score hardly changed.
        encoder: (E,), drift of the original views between the looks when both are asked about the earlier directions: the encoder's doing;
            None where they were not.
        direction: (E,), drift within the later encoder when the earlier directions give way to its own: the doing of corpus and foil.
    """

    change: Change
    unmoved: Tensor
    encoder: Tensor | None = None
    direction: Tensor | None = None


def compare(given: ExplainSet, look: Look, other: Look, trace: str, *, decompose: bool = False) -> Compared:
    """What changed in a trace since another look.

    Args:
        given: what was explained in both.
        look: the later look.
        other: the earlier one.
        trace: which maps.
        decompose: part the change into that of the encoder and that of the directions; for the look before alone, whose directions ``look``
            was asked about.
    """
    scores, before = look.score_of(trace), other.score_of(trace)
    made = change(look.noisy(trace), other.noisy(trace))
    unmoved = (scores - before).abs() <= _HARDLY * before.abs().mean()
    if not decompose or trace not in look.fixed:
        return Compared(made, unmoved)
    plain, fixed = slice(given.num_images), look.fixed[trace]
    encoder = 1 - spearman(fixed, other.attributions[trace][plain])
    return Compared(made, unmoved, encoder, 1 - spearman(look.attributions[trace][plain], fixed))


def pooled_drift(made: Change) -> float:
    """1 - correlation that maps without noise would have, over all rows together that noise does not outweigh; NaN without any.

    Ratios of single maps scatter widely where maps are noisy; the ratio of means does not.
    """
    known = made.signal > 0
    return float((1 - made.covariance[known].mean() / made.signal[known].mean()).clamp(0, 2))


def by_explicand(given: ExplainSet, values: Tensor) -> Tensor:
    """Values (R,) to their means over the views of each explicand, (E,): views of one picture are no independent cases."""
    return values.view(len(given.views), given.num_images).nanmean(0)
