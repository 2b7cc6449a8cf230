"""Scores of copies of explicands, or of some explicands alone."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from cocoa_pl.types import ScoreFn, Scorer, Target


def of_rows(score_fn: ScoreFn, rows: Tensor) -> ScoreFn:
    """The score of copies: copy number i stems from the explicand rows[i]. A score that shows its encoder still does."""
    if isinstance(score_fn, Scorer):
        return Scorer(score_fn.encoder, _Copies(score_fn.target, rows))
    return lambda images, copies: score_fn(images, rows[copies])


@dataclass(frozen=True)
class _Copies:
    """A target for copies of explicands."""

    target: Target
    rows: Tensor

    @property
    def names(self) -> tuple[str, ...]:
        return self.target.names

    def __call__(self, reps: Tensor, copies: Tensor) -> Tensor:
        return self.target(reps, self.rows[copies])
