"""One look at an encoder: its explanations of the explain set, and the numbers read off them.

The callback and ``explain.py`` are two clients of :class:`Monitor`, which is why both report the same numbers for the same weights.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from cocoa_pl.data.explain_set import ExplainSet
from cocoa_pl.encoding import FrozenEncoder
from cocoa_pl.errors import ConfigError, DataError, DivergedError
from cocoa_pl.explainer import Explainer
from cocoa_pl.metrics.agreement import spearman
from cocoa_pl.metrics.localisation import energy_inside, half_preference, mask_auroc, pointing_game
from cocoa_pl.metrics.perturbation import perturbation_curves
from cocoa_pl.registry import TARGETS
from cocoa_pl.rng import derive_seed
from cocoa_pl.streaming import baseline_of
from cocoa_pl.targets import cocoa, stack
from cocoa_pl.types import Attribution, Baseline, Removal, Target

Rows = dict[str, Tensor]
Gather = Callable[[Rows], list[Rows]]
"""Takes this process's rows, returns those of every process, in order of rank."""


@dataclass(frozen=True)
class Look:
    """Everything seen in one look at an encoder.

    A *trace* is a method with a target: ``rise`` explains COCOA towards the original image, ``rise-class`` towards the class corpus.

    Attributes:
        attributions: trace to (V * E, H, W).
        scores: trace suffix ("" or "-class") to (V * E,), the explained score of each row.
        rows: per-row values behind the scalars.
        num_forwards: images encoded, over all processes.
    """

    attributions: dict[str, Tensor]
    scores: dict[str, Tensor]
    rows: Rows = field(repr=False)
    num_forwards: int

    def score_of(self, trace: str) -> Tensor:
        """(V * E,) scores that a trace explains."""
        return self.scores[trace[trace.index("-") :] if "-" in trace else ""]


@dataclass(frozen=True)
class Monitor:
    """Looks at encoders through one explain set.

    Args:
        explain_set: what is explained.
        attributions: method name to method.
        removal: what absent pixels show.
        chunk_size: images in one pass; None chooses by their size.
        curve_steps: steps of the insertion and deletion curves.
        pair_targets: targets of the two-object test, names of ``registry.TARGETS``.
        seed: of the masks, the same in every look, so that maps of different epochs share their noise.
    """

    explain_set: ExplainSet
    attributions: Mapping[str, Attribution]
    removal: Removal
    chunk_size: int | None = None
    curve_steps: int = 16
    pair_targets: Sequence[str] = ("cocoa",)
    seed: int = 0

    def __post_init__(self) -> None:
        for name in self.attributions:
            if "-" in name or "/" in name:
                raise ConfigError(f"attribution name {name!r}: must hold neither '-' nor '/', which separate the parts of a trace")

    @property
    def traces(self) -> tuple[str, ...]:
        """All traces: every method towards the original image and, with labels, towards the class."""
        return tuple(f"{method}{suffix}" for suffix in self._suffixes for method in self.attributions)

    @property
    def _suffixes(self) -> tuple[str, ...]:
        return ("",) if self.explain_set.labels is None else ("", "-class")

    def look(self, encoder: FrozenEncoder, *, rank: int = 0, world_size: int = 1, gather: Gather = lambda rows: [rows]) -> Look:
        """Explain this process's share of the rows, meet the others in one gather, and return the whole look on every process."""
        before = encoder.num_forwards
        mine = torch.arange(rank, len(self.explain_set.explicands), world_size)
        own_pairs = torch.arange(rank, len(self.explain_set.pairs), world_size)
        failure: Exception | None = None
        own: Rows = {"row": mine, "pair": own_pairs}
        try:
            reference = _References.encode(self.explain_set, encoder, self.chunk_size)
            own |= self._explain_rows(encoder, reference, mine) if len(mine) else {}
            own |= self._explain_pairs(encoder, reference, own_pairs) if len(own_pairs) else {}
        except Exception as error:  # the others wait in the gather: it is raised on every process after it
            failure, own = error, {"error": torch.tensor(list(f"{type(error).__name__}: {error}".encode()), dtype=torch.uint8)}
        own["num_forwards"] = torch.tensor([encoder.num_forwards - before])
        parts = gather({name: value.cpu() for name, value in own.items()})
        if failure is not None:
            raise failure
        for number, part in enumerate(parts):
            if "error" in part:
                raise DataError(f"process {number} could not explain its share: {bytes(part['error'].tolist()).decode()}")
        rows = _merge(parts)
        return Look(
            attributions={trace: rows.pop(f"map/{trace}") for trace in self.traces},
            scores={suffix: rows.pop(f"score/{suffix}") for suffix in self._suffixes},
            num_forwards=int(rows.pop("num_forwards").sum()),
            rows=rows,
        )

    def scalars(self, look: Look, *, previous: Look | None = None, start: Look | None = None) -> dict[str, float]:
        """The numbers of a look, tagged ``explain/<trace>/<metric>[/<view>]``.

        Args:
            look: the look.
            previous: the one before, for ``drift_previous``.
            start: the first one, for ``drift_start``.
        """
        given, num = self.explain_set, self.explain_set.num_images
        values: dict[str, float] = {}
        for trace in self.traces:
            tag, maps, score = f"explain/{trace}", look.attributions[trace], look.score_of(trace)
            for v, view in enumerate(given.views):
                values[f"{tag}/score/{view}"] = float(score[v * num : (v + 1) * num].mean())
            for metric in ("insertion_auc", "deletion_auc", "gap"):
                values[f"{tag}/{metric}"] = float(look.rows[f"{metric}/{trace}"][:num].mean())
            if given.masks is not None:
                shown = given.masks.flatten(1).any(1)
                for name, metric_fn in (("pointing_game", pointing_game), ("energy_inside", energy_inside), ("mask_auroc", mask_auroc)):
                    values[f"{tag}/{name}"] = float(metric_fn(maps[shown], given.masks[shown]).nanmean())
            if given.patches is not None:
                shown = given.patches.flatten(1).any(1)
                values[f"{tag}/energy_on_patch"] = float(energy_inside(maps[shown], given.patches[shown]).mean())
            for name, other in (("drift_previous", previous), ("drift_start", start)):
                if other is not None:
                    values[f"{tag}/{name}"] = float(1 - spearman(maps, other.attributions[trace]).mean())
        for name, correct in look.rows.items():
            if name.startswith("two_object/"):
                _, method, target = name.split("/")
                values[f"explain/{method}/two_object_accuracy" + ("" if target == "cocoa" else f"/{target}")] = float(correct.mean())
        values["explain/num_forwards"] = float(look.num_forwards)
        return values

    def _explain_rows(self, encoder: FrozenEncoder, reference: _References, rows: Tensor) -> Rows:
        given = self.explain_set
        images, image_of_row = given.explicands[rows].to(encoder.device), rows % given.num_images
        target = reference.target(image_of_row, measure=False)
        explanation = self._explainer(encoder).explain(images, target, seed=derive_seed(self.seed, "masks"))
        out: Rows = {f"score/{suffix}": explanation.scores[k] for k, suffix in enumerate(self._suffixes)}
        for method, maps in explanation.attributions.items():
            out |= {f"map/{method}{suffix}": maps[k] for k, suffix in enumerate(self._suffixes)}
        out |= self._curves(encoder, reference, rows, images, explanation.baseline, out)
        return out

    def _curves(self, encoder: FrozenEncoder, reference: _References, rows: Tensor, images: Tensor, baseline: Baseline, maps: Rows) -> Rows:
        """Insertion, deletion and gap of the original views; NaN on the rows of other views."""
        plain = (rows < self.explain_set.num_images).nonzero()[:, 0]
        score_fn = self._explainer(encoder).score_fn(reference.target(rows[plain], measure=True)) if len(plain) else None
        out: Rows = {}
        for trace in self.traces:
            k = self._suffixes.index(trace[trace.index("-") :] if "-" in trace else "")
            areas = {name: torch.full((len(rows),), float("nan")) for name in ("insertion_auc", "deletion_auc", "gap")}
            if score_fn is not None:
                curves = perturbation_curves(
                    score_fn, images[plain], baseline_of(baseline, plain), maps[f"map/{trace}"][plain], num_steps=self.curve_steps,
                    chunk_size=self.chunk_size,
                )  # fmt: skip
                for name, area in areas.items():
                    area[plain] = getattr(curves, name)[k].cpu()
            out |= {f"{name}/{trace}": area for name, area in areas.items()}
        return out

    def _explain_pairs(self, encoder: FrozenEncoder, reference: _References, pairs: Tensor) -> Rows:
        """Two-object test: does the map towards the left (right) object's class lie on the left (right) half?"""
        images = self.explain_set.pairs[pairs].to(encoder.device)
        target, names = reference.pair_targets(self.explain_set.pair_labels[pairs], self.pair_targets, encoder, images, self.chunk_size)
        maps = self._explainer(encoder).explain(images, target, seed=derive_seed(self.seed, "masks")).attributions
        out: Rows = {}
        for method, found in maps.items():
            left = torch.stack([half_preference(found[k]) for k in range(len(names))])
            for name in dict.fromkeys(names):
                sides = left[[k for k, other in enumerate(names) if other == name]]  # one row: no side of its own; two: left, right
                correct = sides[0] if len(sides) == 1 else (sides[0] + 1 - sides[1]) / 2
                out[f"two_object/{method}/{name}"] = correct
        return out

    def _explainer(self, encoder: FrozenEncoder) -> Explainer:
        return Explainer(encoder, attributions=self.attributions, removal=self.removal, chunk_size=self.chunk_size)


@dataclass(frozen=True)
class _References:
    """Encoded originals, corpora and foils: everything a direction is made of."""

    originals: Tensor  # (E, D)
    labels: Tensor | None  # (E,), position in ``classes``
    classes: tuple[int, ...]
    foils: tuple[Tensor, Tensor]  # explaining and measuring, each (F, D)
    corpora: tuple[Tensor, Tensor]  # explaining and measuring, each (L, M, D)

    @staticmethod
    def encode(given: ExplainSet, encoder: FrozenEncoder, chunk_size: int | None) -> _References:
        originals = encoder.encode(given.explicands[: given.num_images], chunk_size=chunk_size)
        foils = tuple(encoder.encode(images, chunk_size=chunk_size) for images in (given.foil, given.measure_foil))
        corpora = [originals.new_zeros(0, 0, originals.shape[1])] * 2
        if given.classes:
            corpora = [
                encoder.encode(images.flatten(0, 1), chunk_size=chunk_size).reshape(*images.shape[:2], -1)
                for images in (given.corpora, given.measure_corpora)
            ]
        if not all(
            bool(torch.isfinite(reps).all()) for reps in (originals, *foils, *corpora)
        ):  # the same on every process: none waits for another
            raise DivergedError("the encoder's representations hold NaN or infinite values; training has diverged")
        labels = None if given.labels is None else torch.tensor([given.classes.index(label) for label in given.labels.tolist()])
        return _References(originals, labels, given.classes, (foils[0], foils[1]), (corpora[0], corpora[1]))

    def target(self, images: Tensor, *, measure: bool) -> Target:
        """COCOA towards the original image and, with labels, towards its class; images (N,) are positions among the originals."""
        foil, corpora = self.foils[measure], self.corpora[measure]
        target = cocoa(self.originals[images][:, None], foil, name="self")
        return target if self.labels is None else stack([target, cocoa(corpora[self.labels[images]], foil, name="class")])

    def pair_targets(
        self, labels: Tensor, kinds: Sequence[str], encoder: FrozenEncoder, images: Tensor, chunk_size: int | None
    ) -> tuple[Target, list[str]]:
        """For every kind its targets of each pair: towards the left and the right class, or a single one where no class enters."""
        sides = [self.corpora[0][[self.classes.index(label) for label in column]] for column in labels.T.tolist()]
        own, foil = encoder.encode(images, chunk_size=chunk_size), self.foils[0]
        made: list[tuple[str, Target]] = []
        for kind in kinds:
            make = TARGETS.load(kind)
            wanted = inspect.signature(make).parameters
            others = {"foil_reps": foil} if "foil_reps" in wanted else {}
            if "corpus_reps" in wanted:
                made += [(kind, make(corpus_reps=side, **others)) for side in sides]
            else:
                made.append((kind, make(explicand_reps=own, **others)))
        return stack([target for _, target in made]), [kind for kind, _ in made]


def _merge(parts: list[Rows]) -> Rows:
    """Rows of all processes in their order in the explain set."""
    merged = {name: torch.cat([part[name] for part in parts if name in part]) for name in sorted({n for part in parts for n in part})}
    by_row, by_pair = merged.pop("row").argsort(), merged.pop("pair").argsort()
    return {
        name: value if name == "num_forwards" else value[by_pair if name.startswith("two_object/") else by_row]
        for name, value in merged.items()
    }  # fmt: skip
