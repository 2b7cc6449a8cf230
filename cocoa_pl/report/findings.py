"""What a report shows, whoever found it: pictures under views, explained in frames (encoders), by traces (methods towards targets).

Shape legend
    F  frames: one, two side by side, or the checkpoints of a run in order      T  traces
    E  pictures      V  views      W  words of a prompt      n  rows of a block, each a picture under a view
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from cocoa_pl.asking.assembling import BOX
from cocoa_pl.viz import robust_scale
from cocoa_pl.viz.box import Box

Pixels = NDArray[np.uint8]
Floats = NDArray[np.float32]
At = tuple[int, int, int, int]
"""The place of a map: frame, trace, picture, view."""

COLUMNS = {
    "score": "the explained score of the picture",
    "score_error": "standard error of the score, for corpus and foil being samples",
    "rank": (
        "share of the foil's texts that score lower than the text of the corpus: 1 where the picture is like this text more than like any "
        "other"
    ),
    "auroc": "quality of the target: probability that a held-out corpus picture scores above a held-out foil picture; .5 is chance",
    "auroc_error": "its standard error",
    "reliability": "correlation to expect with the map of another draw of masks, corpus and foil",
    "standard_error": "error of a pixel from masks, corpus and foil, root mean square over the map, in units of the map's own",
    "prompt_agreement": (
        "rank correlation of the map with that of a nonsense text in the same sentence: near 1, the map does not depend on what was asked"
    ),
    "absent_agreement": "rank correlation of the map with that of the text of something that is not in the picture; near 1, as before",
    "insertion_auc": "area under the score as the highest pixels come in; higher is better",
    "deletion_auc": "area under the score as the highest pixels go; lower is better",
    "gap": "insertion_auc - deletion_auc; higher is better",
    "gap_random": "the same for a smooth random map: what a map must beat",
    "box_left": "left end of the box around the largest part of the mask, in pixels of the explained picture",
    "box_top": "its top end",
    "box_right": "its right end, exclusive",
    "box_bottom": "its bottom end, exclusive",
    "mask_share": "share of the picture in the mask: what of the map's positive part exceeds Otsu's threshold, or reaches a quantile",
    "drift": "1 - rank correlation with the map of the frame before (or of the first of two)",
    "drift_corrected": "the same, noise taken out",
    "drift_low": "lower end of its 95 % interval",
    "drift_high": "upper end",
    "drift_noise": "drift that noise makes by itself",
    "drift_flagged": "1 where the change exceeds the noise",
}
"""Every number that a map may come with, and what it means. A report has those that were measured."""


@dataclass(frozen=True)
class Trace:
    """A method towards a target.

    Attributes:
        key: ``rise-dog``: the method's name in the registry and, after a dash, the target's; ``rise`` alone explains likeness to itself.
        method: in words, such as ``RISE``.
        target: in words, such as ``dog`` or ``the original image``.
        scale: the attribution that gets the full colour, the same for every picture and frame.
        words: of its prompt, in order, where it has one.
    """

    key: str
    method: str
    target: str
    scale: float
    words: tuple[str, ...] = ()


@dataclass(frozen=True)
class Frame:
    """One encoder.

    Attributes:
        title: short, such as ``epoch 3`` or ``resnet50.pth``.
        encoder: plain values that identify it: name, file, sha256, epoch.
        scalars: tag to number, of all pictures together.
        warnings: whole sentences about this encoder and its targets.
    """

    title: str
    encoder: Mapping[str, Any]
    scalars: Mapping[str, float] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Block:
    """Some rows with their pixels, small enough to be in memory.

    Attributes:
        pictures: (n,) positions of pictures.
        views: (n,) positions of views.
        images: (n, H, W, 3) uint8, as the encoder saw them.
        maps: for each frame, trace key to (n, H, W) signed attributions; empty for frames that were not asked for.
    """

    pictures: NDArray[np.int64]
    views: NDArray[np.int64]
    images: Pixels
    maps: tuple[Mapping[str, Floats], ...]


class Blocks(Protocol):
    """All rows with their pixels, again at every call."""

    def __call__(self, *, traces: Sequence[str] | None = None, frames: Sequence[int] | None = None) -> Iterator[Block]:
        """Blocks with the maps of some traces and frames alone, for whoever needs no others; None for all."""


@dataclass(frozen=True)
class Findings:
    """All that a report is made of.

    Attributes:
        title: one line.
        pictures: E names.
        files: E paths as the user gave them, empty where there is none.
        views: V names, ``original`` first.
        held_out: V flags, views that training never made.
        traces: T traces.
        frames: F frames.
        columns: a name of ``COLUMNS`` to (F, T, E, V) numbers, NaN where not known; only those that were measured.
        flags: (F, T, E, V) short warnings, empty where there is nothing to say.
        words: what negative and positive attribution mean.
        facts: whole sentences: what was asked, what was compared with what, how it was measured.
        settings: plain nested values: config, seeds, versions, question.
        blocks: gives all rows with their pixels, in order of pictures, again at every call; see :class:`Blocks`.
        finished: (E,) bool, pictures that are explained; others are not in ``blocks``.
        num_unreadable: how many of the others never will be.
        labels: (F, T, E, V) what a trace's target is in this picture, where that differs from picture to picture: the name of the concept
            that is ``concept 1`` here. Empty where the target says all; None where it always does.
        word_values: trace key to (F, E, V, W) signed attributions of the words of its prompt, NaN where not known; only of traces that
            have them.
    """

    title: str
    pictures: tuple[str, ...]
    files: tuple[str, ...]
    views: tuple[str, ...]
    held_out: tuple[bool, ...]
    traces: tuple[Trace, ...]
    frames: tuple[Frame, ...]
    columns: Mapping[str, NDArray[np.float64]]
    flags: NDArray[np.str_]
    words: tuple[str, str]
    facts: tuple[str, ...]
    settings: Mapping[str, Any]
    blocks: Blocks
    finished: NDArray[np.bool_]
    num_unreadable: int = 0
    labels: NDArray[np.str_] | None = None
    word_values: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)

    @property
    def num_left(self) -> int:
        """Pictures that are still to be explained."""
        return len(self.pictures) - int(self.finished.sum()) - self.num_unreadable

    @cached_property
    def word_scale(self) -> float:
        """The attribution of a word that gets the full colour, the same for every prompt; 0.0 where none has any."""
        values = [each.ravel() for each in self.word_values.values()]
        return robust_scale(np.concatenate(values)) if values else 0.0

    def label(self, at: At) -> str:
        """What the target is in this picture, empty where the trace says it."""
        return "" if self.labels is None else str(self.labels[at])

    def box(self, at: At) -> Box | None:
        """Left, top, right and bottom of a map's box in pixels of the explained picture, the ends exclusive; None where it has none."""
        if any(side not in self.columns for side in BOX):
            return None
        left, top, right, bottom = (float(self.columns[side][at]) for side in BOX)
        return (left, top, right, bottom) if np.isfinite([left, top, right, bottom]).all() else None
