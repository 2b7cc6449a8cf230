"""A look read against others: its scalars, what each map changed, and which maps are not to be trusted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from cocoa_pl.data.explain_set import ExplainSet
from cocoa_pl.monitor.compare import Compared, compare
from cocoa_pl.monitor.look import Look
from cocoa_pl.monitor.rules import has_collapsed
from cocoa_pl.monitor.scalars import read_scalars
from cocoa_pl.monitor.views import ViewAgreement, view_agreement

NOISY = 0.5  # a map of which less is signal is mostly noise
VISIBLE = 0.05  # drift below which two maps look the same; the summary calls them settled
FLAT = 1e-12


@dataclass(frozen=True)
class Reading:
    """A look beside others.

    Attributes:
        given: what was explained.
        look: what was seen.
        compared: other look (``previous``, ``start``, ``reference``) to trace to what changed since.
        views: trace towards the original image to the agreement of its views.
        scalars: tag to number.
    """

    given: ExplainSet
    look: Look
    compared: Mapping[str, Mapping[str, Compared]]
    views: Mapping[str, ViewAgreement]
    scalars: dict[str, float]

    def flags(self, trace: str) -> list[str]:
        """R short warnings about the maps of a trace, "" where there is nothing to say.

        ``collapsed``, all of them, where the encoder has; ``flat``; ``noisy`` where less than half of the map is signal; ``moved`` where it
        changed since the look before by more than its noise, and by enough to be seen.
        """
        if has_collapsed(*self.look.rows["health"][:2].tolist()):
            return ["collapsed"] * len(self.look.attributions[trace])
        flat = self.look.attributions[trace].flatten(1).abs().amax(1) <= FLAT
        noisy = self.look.reliability(trace) < NOISY
        since = self.compared.get("previous", {}).get(trace)
        moved = [False] * len(flat) if since is None else (since.change.flagged & (since.change.low >= VISIBLE)).tolist()
        return [
            "flat" if is_flat else "noisy" if is_noisy else "moved" if has_moved else ""
            for is_flat, is_noisy, has_moved in zip(flat.tolist(), noisy.tolist(), moved, strict=True)
        ]

    def table(self, *, epoch: int | None) -> Iterator[dict[str, str | int | float | bool]]:
        """One row a map and other look: what ``drift.csv`` holds."""
        num = self.given.num_images
        reliability = {trace: self.look.reliability(trace).tolist() for trace in self.look.attributions}
        for name, of_traces in self.compared.items():
            for trace, one in of_traces.items():
                made, scores = one.change, self.look.score_of(trace).tolist()
                columns = [
                    each.tolist() for each in (made.drift, made.corrected, made.low, made.high, made.noise, made.flagged, one.unmoved)
                ]
                for row, (drift, corrected, low, high, noise, flagged, unmoved) in enumerate(zip(*columns, strict=True)):
                    yield {
                        "epoch": -1 if epoch is None else epoch, "against": name, "trace": trace, "explicand": self.given.names[row % num],
                        "view": self.given.views[row // num], "score": scores[row], "drift": drift, "corrected": corrected, "low": low,
                        "high": high, "noise": noise, "exceeds_noise": flagged, "reliability": reliability[trace][row],
                        "score_unmoved": unmoved,
                    }  # fmt: skip


def read(
    given: ExplainSet, look: Look, *, previous: Look | None = None, start: Look | None = None, reference: Look | None = None
) -> Reading:
    """Read a look, beside those of ``previous``, ``start`` and ``reference`` that there are.

    Args:
        given: what was explained, in all of them.
        look: the look.
        previous: the one before, whose directions ``look`` was asked about.
        start: of the untrained encoder.
        reference: of an encoder that one chose.
    """
    others = {"previous": previous, "start": start, "reference": reference}
    compared = {
        name: {trace: compare(given, look, other, trace, decompose=name == "previous") for trace in look.attributions}
        for name, other in others.items()
        if other is not None
    }
    views = {trace: view_agreement(given, look, trace) for trace in look.attributions if "-" not in trace} if len(given.views) > 1 else {}
    return Reading(given, look, compared, views, read_scalars(given, look, compared, views))
