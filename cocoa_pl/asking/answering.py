"""The answer for a block of pictures: maps towards every target, with score, quality, noise and box, as plain rows that can be stored.

Rows are view-major within a block: row v * n + i is view v of its picture i. A block is the unit of work: its rows depend on nothing but
its own pictures, so that a block done by another process, or before a kill, is the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from cocoa_pl.asking.agreeing import agreement_rows, text_rows
from cocoa_pl.asking.question import Asked, Directed, directed
from cocoa_pl.augmentations.held_out import VIEWS, make_view
from cocoa_pl.encoding import FrozenEncoder
from cocoa_pl.explainer import Explainer
from cocoa_pl.metrics.boxes import boxes_of_masks
from cocoa_pl.metrics.drift import signal_share
from cocoa_pl.metrics.masks import largest_component, map_mask
from cocoa_pl.monitor.budget import Stopwatch
from cocoa_pl.monitor.explaining import Explained, explain_with_noise
from cocoa_pl.monitor.measuring import control_grid, measure_areas
from cocoa_pl.monitor.noise import noisy_maps, relative_error
from cocoa_pl.monitor.references import towards
from cocoa_pl.rng import derive_seed
from cocoa_pl.sharing import ALONE, Team
from cocoa_pl.targets import normalize
from cocoa_pl.types import Attribution, Removal, Rows

_A_VIEW = 1 << 32  # ids of pictures stay below: rows of different views draw different contrasts


@dataclass(frozen=True)
class Answering:
    """How one encoder answers.

    Attributes:
        encoder: the encoder.
        asked: the targets.
        attributions: name to method.
        removal: what absent pixels show.
        views: names of ``augmentations.held_out``, ``original`` first.
        seed: of masks, contrasts and views.
        chunk_size: images in one pass; None chooses by their size.
        curve_steps: of insertion and deletion.
        quantile: a mask is what reaches this quantile of its map; None: what exceeds Otsu's threshold.
        keep_draws: whether maps will be compared with those of another encoder, for which a draw of their error is needed.
    """

    encoder: FrozenEncoder
    asked: tuple[Asked, ...]
    attributions: Mapping[str, Attribution]
    removal: Removal
    views: tuple[str, ...] = ("original",)
    seed: int = 0
    chunk_size: int | None = None
    curve_steps: int = 10
    quantile: float | None = None
    keep_draws: bool = False

    @property
    def suffixes(self) -> tuple[str, ...]:
        """What is explained, one a target."""
        return tuple(target.suffix for target in self.asked)

    @property
    def traces(self) -> tuple[str, ...]:
        """Every method towards every target."""
        return tuple(f"{method}{suffix}" for suffix in self.suffixes for method in self.attributions)

    def answer(self, pictures: Tensor, ids: Tensor, *, team: Team = ALONE) -> Rows:
        """Explain pictures (n, 3, S, S) uint8 called ids (n,), alone or with a team that has the same ones: masks and steps are shared out.

        Returns:
            V * n rows on the CPU: ``picture`` ids; ``view`` positions; ``image`` (H, W, 3) uint8; ``map/<trace>`` (H, W);
            ``reliability/``, ``standard_error/``, ``insertion_auc/``, ``deletion_auc/``, ``gap/``, ``mask_share/<trace>``, ``box/<trace>``
            (4,); ``score/``, ``score_error/``, ``auroc/``, ``auroc_error/``, ``gap_random/<suffix>``. With draws also ``draw/``,
            ``monte_carlo/``, ``references/`` and ``spread/<trace>``, and for methods that know them ``dims/`` and ``num_samples/<method>``.
            Of targets of text also what ``asking.agreeing`` says.

        Raises:
            DataError: the encoder cannot take the pictures.
        """
        originals = (pictures.to(self.encoder.device).float() / 255).contiguous()
        num, seed = len(originals), derive_seed(self.seed, "views")
        images = torch.cat([make_view(name, originals, ids=ids, seed=seed).images for name in self.views])
        view = torch.arange(len(self.views)).repeat_interleave(num)
        reps = self.encoder.encode(images, chunk_size=self.chunk_size)
        whole = directed(self.asked, reps[:num].repeat(len(self.views), 1), self._other_views(originals, ids).repeat(len(self.views), 1, 1))
        explained = self._explain(images, ids.repeat(len(self.views)) + view * _A_VIEW, whole, team)
        out: Rows = {
            "picture": ids.repeat(len(self.views)), "view": view,
            "image": (images * 255).round().byte().permute(0, 2, 3, 1),
        }  # fmt: skip
        unit = normalize(reps)
        out |= self._numbers(images, unit, whole, explained) | text_rows(whole, unit)
        out |= agreement_rows(whole, unit, explained, methods=self.attributions, num=num)
        for trace in self.traces:
            boxes, shares = boxes_and_shares(explained.rows[f"map/{trace}"], self.quantile)
            out |= {f"box/{trace}": boxes, f"mask_share/{trace}": shares} | self._map(trace, explained)
        if self.keep_draws:
            out |= {f"dims/{name}": torch.tensor([float(value)]) for name, value in explained.dims.items()}
            out |= {f"num_samples/{name}": torch.tensor([value]) for name, value in explained.num_samples.items()}
        return {name: values.cpu() for name, values in out.items()}

    def _other_views(self, originals: Tensor, ids: Tensor) -> Tensor:
        """Representations (n, W, D) of the held-out views, by which likeness to the explicand itself is judged."""
        names = [name for name in VIEWS if name != "original"] if any(target.kind == "self" for target in self.asked) else []
        seed = derive_seed(self.seed, "views")
        made = [self.encoder.encode(make_view(name, originals, ids=ids, seed=seed).images, chunk_size=self.chunk_size) for name in names]
        empty = torch.empty(len(originals), 0, self.asked[0].foil.shape[1], device=self.encoder.device)
        return torch.stack(made, 1) if made else empty

    def _explain(self, images: Tensor, rows: Tensor, whole: Directed, team: Team) -> Explained:
        explainer = Explainer(self.encoder, attributions=self.attributions, removal=self.removal, chunk_size=self.chunk_size)
        return explain_with_noise(
            explainer, images, rows=rows, originals=torch.arange(len(images)), num_originals=_A_VIEW, reference=whole,
            previous={}, seed=self.seed, stopwatch=Stopwatch(), team=team, absent=whole.hidden(),
        )  # fmt: skip

    def _numbers(self, images: Tensor, unit: Tensor, whole: Directed, explained: Explained) -> Rows:
        """What belongs to scores, and the areas that judge maps."""
        out: Rows = {}
        for suffix, target in whole.targets.items():
            separation = target.separation()
            out |= {f"score/{suffix}": explained.rows[f"score/{suffix}"], f"score_error/{suffix}": target.scores(unit)[1]}
            out |= {f"auroc/{suffix}": separation.auroc, f"auroc_error/{suffix}": separation.standard_error}
        score_fn = Explainer(self.encoder, attributions={}).score_fn(towards(whole.directions(measure=True), torch.arange(len(images))))
        return out | measure_areas(
            score_fn, images, explained.baseline, {trace: explained.rows[f"map/{trace}"] for trace in self.traces}, self.suffixes,
            num_steps=self.curve_steps, grid_size=control_grid(self.attributions, images.shape[-1]), seed=self.seed,
            chunk_size=self.chunk_size,
        )  # fmt: skip

    def _map(self, trace: str, explained: Explained) -> Rows:
        """A trace's maps with their noise; what it takes to compare them where they will be compared."""
        method, rows = trace.partition("-")[0], explained.rows
        kept = {name: rows[f"{name}/{trace}"] for name in ("map", "draw", "monte_carlo", "references", "spread")}
        noisy = noisy_maps(
            kept["map"], kept["draw"], monte_carlo=kept["monte_carlo"], references=kept["references"], spread=kept["spread"],
            dims=explained.dims.get(method), num_samples=explained.num_samples.get(method),
        )  # fmt: skip
        out = {f"reliability/{trace}": signal_share(noisy), f"standard_error/{trace}": relative_error(noisy)}
        return out | {f"{name}/{trace}": values for name, values in kept.items() if self.keep_draws or name == "map"}


def boxes_and_shares(maps: Tensor, quantile: float | None) -> tuple[Tensor, Tensor]:
    """Boxes (n, 4) around the largest parts of masks, NaN of none, and the shares (n,) of the pictures that the masks take."""
    masks = map_mask(maps, quantile=quantile)
    return boxes_of_masks(largest_component(masks)), masks.float().mean((1, 2))
