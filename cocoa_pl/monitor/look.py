"""What was seen in one look at an encoder, and how the shares of several processes become one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import torch
from torch import Tensor

from cocoa_pl.metrics.drift import NoisyMaps, signal_share
from cocoa_pl.monitor.noise import noisy_maps
from cocoa_pl.types import Rows


@dataclass(frozen=True)
class Look:
    """Everything seen in one look at an encoder.

    A *trace* is a method with a target: ``rise`` explains COCOA towards the original image, ``rise-class`` towards the class corpus,
    ``rise-text`` towards the text that names the object. Rows are view-major, as in the explain set; R = V * E of them.

    Attributes:
        attributions: trace to (R, H, W).
        scores: trace suffix ("", "-class" or "-text") to (R,), the explained score of each row.
        draws: trace to (R, H, W), a draw of the maps' error.
        fixed: trace to (E, H, W), maps of the original views towards the directions of the look before; empty in a first look.
        directions: trace suffix to (E, D), what the representations of each explicand were compared with.
        rows: per-row values behind the scalars; ``health`` of the foil's representations: collapse level, effective rank, whether none is
            negative.
        num_samples: method to masks or draws taken.
        dims: method to independent directions of its Monte-Carlo error, where it knows them.
        num_masks: masks allowed to methods that mask; None: as many as they ask for.
        num_forwards: images encoded, over all processes.
    """

    attributions: dict[str, Tensor]
    scores: dict[str, Tensor]
    draws: dict[str, Tensor]
    fixed: dict[str, Tensor]
    directions: dict[str, Tensor]
    rows: Rows = field(repr=False)
    num_samples: dict[str, int]
    dims: dict[str, float]
    num_masks: int | None
    num_forwards: int
    _noisy: dict[str, NoisyMaps] = field(default_factory=dict, init=False, repr=False, compare=False)

    def score_of(self, trace: str) -> Tensor:
        """(R,) scores that a trace explains."""
        return self.scores[suffix_of(trace)]

    def noisy(self, trace: str) -> NoisyMaps:
        """The maps of a trace with what is known of their noise; made once."""
        if trace not in self._noisy:
            self._noisy[trace] = self._with_noise(trace)
        return self._noisy[trace]

    def _with_noise(self, trace: str) -> NoisyMaps:
        method = trace.partition("-")[0]
        return noisy_maps(
            self.attributions[trace], self.draws[trace], monte_carlo=self.rows[f"monte_carlo/{trace}"],
            references=self.rows[f"references/{trace}"], spread=self.rows[f"spread/{trace}"], dims=self.dims.get(method),
            num_samples=self.num_samples.get(method),
        )  # fmt: skip

    def reliability(self, trace: str) -> Tensor:
        """(R,) in [0, 1]: the correlation to expect with the maps of another draw of masks, corpus and foil."""
        return signal_share(self.noisy(trace))

    def pack(self) -> dict[str, Any]:
        """Plain dicts, tensors and numbers, safe to store in a checkpoint."""
        return {part.name: getattr(self, part.name) for part in fields(self) if part.init}

    @staticmethod
    def unpack(packed: Mapping[str, Any]) -> Look:
        """A look from what :meth:`pack` gave."""
        return Look(**packed)


def suffix_of(trace: str) -> str:
    """What a trace explains: "" the likeness to the original image, "-class" that to the class, "-text" that to its text.

    Example:
        >>> suffix_of("rise"), suffix_of("rise-class")
        ('', '-class')
    """
    return trace[trace.index("-") :] if "-" in trace else ""


def joined(parts: Sequence[Rows]) -> Rows:
    """Rows one after another; a part may lack a name."""
    return {name: torch.cat([part[name] for part in parts if name in part]) for name in sorted({n for part in parts for n in part})}


def merge(parts: Sequence[Rows]) -> Rows:
    """Rows of all processes in their order in the explain set."""
    merged = joined(parts)
    order = {index: merged.pop(index).argsort() for index in ("row", "plain", "pair")}
    index_of = {"fixed": "plain", "component": "plain", "gap_random": "plain", "absent_agreement": "plain", "two_object": "pair"}
    return {
        name: value if name == "num_forwards" else value[order[index_of.get(name.partition("/")[0], "row")]]
        for name, value in merged.items()
    }  # fmt: skip
