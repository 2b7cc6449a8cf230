"""One look at an encoder: its explanations of the explain set, and the values read off them.

The callback and ``explain.py`` are two clients of :class:`Monitor`, which is why both report the same numbers for the same weights.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from cocoa_pl.attributions.shared import share_out
from cocoa_pl.data.explain_set import ExplainSet
from cocoa_pl.encoding import FrozenEncoder
from cocoa_pl.errors import ConfigError
from cocoa_pl.explainer import Explainer
from cocoa_pl.metrics.agreement import cosine
from cocoa_pl.metrics.health import collapse_level, effective_rank
from cocoa_pl.metrics.localisation import half_preference
from cocoa_pl.monitor.budget import Stopwatch
from cocoa_pl.monitor.explaining import Explained, explain_with_noise
from cocoa_pl.monitor.look import Look, joined, merge
from cocoa_pl.monitor.measuring import AREAS, control_grid, measure_areas
from cocoa_pl.monitor.references import References, towards
from cocoa_pl.rng import derive_seed
from cocoa_pl.sharing import ALONE, Team
from cocoa_pl.streaming import baseline_of
from cocoa_pl.types import Attribution, Removal, Rows


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
        seed: of the masks and contrasts, the same in every look, so that maps of different epochs share their noise.
        texts: also explain likeness to the phrase of each explicand; every encoder looked at must have a text side.

    Raises:
        ConfigError: a method's name that would break a trace, or texts of an explain set that has none.
    """

    explain_set: ExplainSet
    attributions: Mapping[str, Attribution]
    removal: Removal
    chunk_size: int | None = None
    curve_steps: int = 16
    pair_targets: Sequence[str] = ("cocoa",)
    seed: int = 0
    texts: bool = False

    def __post_init__(self) -> None:
        for name in self.attributions:
            if "-" in name or "/" in name:
                raise ConfigError(f"attribution name {name!r}: must hold neither '-' nor '/', which separate the parts of a trace")
        if self.texts and not self.explain_set.phrases:
            raise ConfigError("texts=True: the explain set has no phrases; its data must name what a picture shows, in 4 ways or more")

    @property
    def suffixes(self) -> tuple[str, ...]:
        """What is explained: likeness to the original image, with labels to the class, and with texts to the image's own."""
        return ("", *([] if self.explain_set.labels is None else ["-class"]), *(["-text"] if self.texts else []))

    @property
    def traces(self) -> tuple[str, ...]:
        """All traces: every method towards everything that is explained."""
        return tuple(f"{method}{suffix}" for suffix in self.suffixes for method in self.attributions)

    @property
    def max_masks(self) -> int | None:
        """The most masks that a method asks for; None where none masks."""
        return max((method.num_masks for method in self.attributions.values() if hasattr(method, "num_masks")), default=None)

    def look(
        self, encoder: FrozenEncoder, *, previous: Look | None = None, num_masks: int | None = None, team: Team = ALONE,
        stopwatch: Stopwatch | None = None,
    ) -> Look:  # fmt: skip
        """Explain this process's share of the rows, meet the others, and return the whole look on every process.

        Every process has as many rows of its own; those left over are explained by all together, each some of the masks and steps.

        Args:
            encoder: what is looked at.
            previous: the look before, whose directions the encoder is also asked about: what changed in the encoder alone?
            num_masks: take only so many masks, the first of the sequence; None: as many as the methods ask for.
            team: the processes that look together.
            stopwatch: told how long masking took.

        Raises:
            DivergedError: the encoder's representations are not finite.
            PeerError: another process failed.
            ConfigError: likeness to texts is explained, and the encoder has no text side.
        """
        if self.texts and encoder.text is None:
            raise ConfigError("texts=True: likeness to texts is explained, which takes an encoder with a text side; this one has none")
        before, watch = encoder.num_forwards, stopwatch or Stopwatch()
        methods = {name: _fewer_masks(method, num_masks) for name, method in self.attributions.items()}
        with team.lockstep():
            reference = References.encode(self.explain_set, encoder, self.chunk_size, team, text=encoder.text if self.texts else None)
            shares, told = [_no_rows()], list[Explained]()
            for several, sharing, turn in _shares(len(self.explain_set.explicands), team):
                told.append(self._explain(encoder, methods, reference, several, previous, watch, sharing))
                mine = several[turn]
                shares.append({"row": mine, "plain": mine[mine < self.explain_set.num_images]})
                if len(mine):
                    explained = told[-1].of(turn, plain=(several < self.explain_set.num_images).nonzero()[:, 0])
                    shares[-1] |= explained.rows | self._measure(encoder, reference, mine, explained)
            for pairs, sharing, turn in _shares(len(self.explain_set.pairs), team):
                found = self._explain_pairs(encoder, methods, reference, pairs, sharing)
                shares.append({"pair": pairs[turn]} | {name: values[turn.to(values.device)] for name, values in found.items()})
            shares.append({"num_forwards": torch.tensor([encoder.num_forwards - before])})
            parts = team.meet(joined([{name: values.cpu() for name, values in share.items()} for share in shares]))
        rows = merge(parts)
        foil = reference.foils[0]
        rows |= {"health": torch.tensor([collapse_level(foil), effective_rank(foil), float((foil >= 0).all())])}
        return Look(
            attributions={trace: rows.pop(f"map/{trace}") for trace in self.traces},
            scores={suffix: rows.pop(f"score/{suffix}") for suffix in self.suffixes},
            draws={trace: rows.pop(f"draw/{trace}") for trace in self.traces},
            fixed={trace: rows.pop(f"fixed/{trace}") for trace in self.traces if f"fixed/{trace}" in rows},
            directions={suffix: each.cpu() for suffix, each in reference.directions().items()},
            num_samples=told[0].num_samples,
            dims=told[0].dims,
            num_masks=num_masks,
            num_forwards=int(rows.pop("num_forwards").sum()),
            rows=rows,
        )  # fmt: skip

    def _explain(
        self, encoder: FrozenEncoder, methods: Mapping[str, Attribution], reference: References, rows: Tensor, previous: Look | None,
        stopwatch: Stopwatch, team: Team,
    ) -> Explained:  # fmt: skip
        given = self.explain_set
        return explain_with_noise(
            Explainer(encoder, attributions=methods, removal=self.removal, chunk_size=self.chunk_size),
            given.explicands[rows].to(encoder.device), rows=rows, originals=rows % given.num_images, num_originals=given.num_images,
            reference=reference, previous={} if previous is None else previous.directions, seed=self.seed, stopwatch=stopwatch,
            team=team, absent=reference.absent(),
        )  # fmt: skip

    def _measure(self, encoder: FrozenEncoder, reference: References, rows: Tensor, explained: Explained) -> Rows:
        """What a score says beyond its map: curves, components, how far views move the representation."""
        given, maps = self.explain_set, explained.rows
        images = given.explicands[rows].to(encoder.device)
        reps = encoder.encode(images, chunk_size=self.chunk_size)
        out: Rows = {"moved": 1 - cosine(reps, reference.originals[rows % given.num_images])}
        plain = (rows < given.num_images).nonzero()[:, 0]
        for trace in self.traces:
            out |= {f"{area}/{trace}": torch.full((len(rows),), torch.nan) for area in AREAS}
        if len(plain) == 0:
            return out
        own = rows[plain]
        explaining = towards(reference.directions(), own)
        for name, without in given.components.items():
            scores = explaining(encoder.encode(without[own], chunk_size=self.chunk_size), torch.arange(len(own), device=encoder.device))
            out |= {f"component/{name}/{suffix}": scores[:, k] for k, suffix in enumerate(self.suffixes)}
        score_fn = Explainer(encoder, attributions={}).score_fn(towards(reference.directions(measure=True), own))
        found = measure_areas(
            score_fn, images[plain], baseline_of(explained.baseline, plain), {trace: maps[f"map/{trace}"][plain] for trace in self.traces},
            self.suffixes, num_steps=self.curve_steps, grid_size=self._control_grid(), seed=self.seed, chunk_size=self.chunk_size,
        )  # fmt: skip
        for name, values in found.items():
            if name in out:
                out[name][plain] = values
            else:
                out[name] = values
        return out

    def _control_grid(self) -> int:
        """Cells of the smooth random map: those of RISE, or what would suit it."""
        return control_grid(self.attributions, self.explain_set.explicands.shape[-1])

    def _explain_pairs(
        self, encoder: FrozenEncoder, methods: Mapping[str, Attribution], reference: References, pairs: Tensor, team: Team
    ) -> Rows:  # fmt: skip
        """Two-object test: does the map towards the left (right) object's class lie on the left (right) half?"""
        images = self.explain_set.pairs[pairs].to(encoder.device)
        target, names = reference.pair_targets(self.explain_set.pair_labels[pairs], self.pair_targets, encoder, images, self.chunk_size)
        explainer = Explainer(encoder, attributions=share_out(methods, team), removal=self.removal, chunk_size=self.chunk_size)
        maps = explainer.explain(images, target, seed=derive_seed(self.seed, "masks")).attributions
        out: Rows = {}
        for method, found in maps.items():
            left = torch.stack([half_preference(found[k]) for k in range(len(names))])
            for name in dict.fromkeys(names):
                sides = left[[k for k, other in enumerate(names) if other == name]]  # one row: no side of its own; two: left, right
                correct = sides[0] if len(sides) == 1 else (sides[0] + 1 - sides[1]) / 2
                out[f"two_object/{method}/{name}"] = correct
        return out


def _no_rows() -> Rows:
    return {name: torch.empty(0, dtype=torch.int64) for name in ("row", "plain", "pair")}


def _shares(num: int, team: Team) -> Iterator[tuple[Tensor, Team, Tensor]]:
    """What this process does of ``num`` things: which of them, with whom, and at which places the answer is this process's to give."""
    own, left = team.split(num)
    if len(own):
        yield own, ALONE, torch.arange(len(own))
    if len(left):
        yield left, team, torch.tensor(team.turns(len(left)), dtype=torch.int64)


def _fewer_masks(method: Any, num_masks: int | None) -> Attribution:
    """The method with at most so many masks, the first of its sequence."""
    if num_masks is None or not hasattr(method, "num_masks"):
        return method  # type: ignore[no-any-return]
    return replace(method, num_masks=min(method.num_masks, num_masks))  # type: ignore[no-any-return]
