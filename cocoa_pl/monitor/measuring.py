"""Insertion, deletion and their gap for the maps of all traces, and for the smooth random map that they must beat."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from torch import Tensor

from cocoa_pl.attributions.controls import SmoothRandom
from cocoa_pl.metrics.perturbation import perturbation_curves
from cocoa_pl.monitor.look import suffix_of
from cocoa_pl.rng import derive_seed
from cocoa_pl.types import Attribution, Baseline, Rows, ScoreFn

AREAS = ("insertion_auc", "deletion_auc", "gap")
_SMALL = 64  # side in pixels up to which the control has four cells a side


def measure_areas(
    score_fn: ScoreFn, images: Tensor, baseline: Baseline, maps: Mapping[str, Tensor], suffixes: Sequence[str], *, num_steps: int,
    grid_size: int, seed: int, chunk_size: int | None,
) -> Rows:  # fmt: skip
    """Areas (n,) under the curves of each trace's own target.

    Args:
        score_fn: of the measuring directions, one target a suffix.
        images: (n, 3, H, W).
        baseline: of these images.
        maps: trace to (n, H, W).
        suffixes: of the targets, in the order of the scores.
        num_steps: of the curves.
        grid_size: cells a side of the smooth random map.
        seed: of that map.
        chunk_size: images in one pass.

    Returns:
        ``insertion_auc/<trace>``, ``deletion_auc/<trace>``, ``gap/<trace>`` and ``gap_random/<suffix>``.
    """
    options: dict[str, Any] = {"num_steps": num_steps, "chunk_size": chunk_size}
    out: Rows = {}
    for trace, own in maps.items():
        curves = perturbation_curves(score_fn, images, baseline, own, **options)
        out |= {f"{area}/{trace}": getattr(curves, area)[suffixes.index(suffix_of(trace))].cpu() for area in AREAS}
    control = SmoothRandom(grid_size=grid_size)(score_fn, images, images, seed=derive_seed(seed, "control"))
    curves = perturbation_curves(score_fn, images, baseline, control[0], **options)
    return out | {f"gap_random/{suffix}": curves.gap[k] for k, suffix in enumerate(suffixes)}


def control_grid(attributions: Mapping[str, Attribution], side: int) -> int:
    """Cells of the smooth random map: those of RISE, or what would suit images of this side."""
    sizes: Iterable[Any] = (method.grid_size for method in attributions.values() if hasattr(method, "grid_size"))
    return int(next(iter(sizes), 4 if side <= _SMALL else 7))
