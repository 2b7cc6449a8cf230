"""From the blocks of all seeds to the cells of the grid.

Shape legend
    S  seeds      E  explicands of a seed      P  maps of each      K  measures      T  steps of a curve
"""

from __future__ import annotations

import torch
from torch import Tensor

from cocoa_pl.study.asking import ANY, wanted
from cocoa_pl.study.grid import Seed
from cocoa_pl.study.results import Areas, Cell


def collect(title: str, seeds: list[Seed], made: list[list[dict[str, Tensor]]]) -> dict[Cell, Areas]:
    """The blocks of all seeds as the cells of the grid.

    Args:
        title: of the encoder.
        seeds: S of them.
        made: for each seed its blocks, as :func:`joined` gives them.
    """
    plan, rows = seeds[0].plan, seeds[0].rows()
    measures = wanted(plan.measures, plan.settings)
    areas = {name: torch.stack([torch.cat([block[name] for block in blocks], -1) for blocks in made]) for name in ("insertion", "deletion")}
    known = torch.isfinite(areas["insertion"]).sum(-1)[..., None]  # explicands whose map is finite; none makes NaN of the curve
    curves = {
        name: torch.stack([torch.stack([block[name] for block in blocks]).sum(0) for blocks in made]) / known
        for name in ("insertion_curve", "deletion_curve")
    }
    found = {}
    for setting, measure in ((setting, measure) for setting in plan.settings for measure in plan.measures):
        k = next(k for k, (name, own) in enumerate(measures) if name == measure and own in (setting, ANY))
        for p, (method, target, own) in enumerate(rows):
            if own in (setting, ANY):
                picked = [each[:, p, k].float() for each in (*areas.values(), *curves.values())]
                found[Cell(title, setting, measure, method, target)] = Areas(*picked)
    return found
