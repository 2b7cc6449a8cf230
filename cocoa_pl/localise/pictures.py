"""What a localisation study looks like: for some cases the maps towards the named object, another one, an absent one and nonsense."""

from __future__ import annotations

import numpy as np
from PIL import Image

from cocoa_pl.localise.asking import PROMPTS
from cocoa_pl.localise.cases import Cases
from cocoa_pl.localise.measuring import Results
from cocoa_pl.metrics.boxes import best_box
from cocoa_pl.viz import Panel, contact_sheet, robust_scale

_COLUMNS = ("cocoa", *(f"cocoa {prompt}" for prompt in PROMPTS))


def sheet(results: Results, cases: Cases, *, method: str) -> Image.Image:
    """The first cases, one a row, by one method; all maps on one colour scale, and the box of the map towards the named object.

    Where a picture has no other object, that place shows the picture without a map.
    """
    maps = {name: results.maps[method, name] for name in _COLUMNS}
    boxes = best_box(maps["cocoa"].clamp_min(0))
    rows = []
    for n in range(len(maps["cocoa"])):
        image = np.ascontiguousarray(cases.images[n].permute(1, 2, 0).numpy())
        other = cases.others[n]
        captions = (cases.short(cases.texts[n]), cases.short(other) or "no other", f"not {cases.short(cases.absent[n])}", "nonsense")
        drawn = [maps[name][n].numpy() for name in _COLUMNS]
        if not other:
            drawn[1] = np.zeros_like(drawn[1])
        box = tuple(boxes[n].tolist()) if bool(boxes[n].isfinite().all()) else None
        rows.append(
            [
                Panel(image, own, caption=caption, box=None if k else box)
                for k, (own, caption) in enumerate(zip(drawn, captions, strict=True))
            ]
        )  # fmt: skip
    scale = robust_scale(np.concatenate([own.numpy() for own in maps.values()]))
    return contact_sheet(
        rows, scale=scale, title=f"Towards texts, by {method.replace('_', ' ')}",
        subtitle="The object named, with the map's box; another object of the picture; one that is not there; nonsense.",
        row_labels=cases.names[: len(rows)], columns=len(_COLUMNS), legend=False, words=("less like the text", "more like the text"),
    )  # fmt: skip
