"""What a localisation study looks like: for some cases the maps towards the named object, another one, an absent one and nonsense."""

from __future__ import annotations

import numpy as np
from PIL import Image

from cocoa_pl.localise.asking import PROMPTS
from cocoa_pl.localise.cases import Cases
from cocoa_pl.localise.measuring import Results
from cocoa_pl.metrics.boxes import best_box
from cocoa_pl.viz import Panel, contact_sheet, robust_scale

_COLUMNS = {"cocoa": "named"} | {f"cocoa {prompt}": prompt for prompt in PROMPTS}


def sheet(results: Results, cases: Cases, *, method: str) -> Image.Image:
    """The first cases, one a row, by one method; all maps on one colour scale, and the box of the map towards the named object."""
    columns = list(_COLUMNS)
    maps = {name: results.maps[method, name] for name in columns}
    boxes = best_box(maps["cocoa"].clamp_min(0))
    rows, labels = [], []
    for n in range(len(maps["cocoa"])):
        image = np.ascontiguousarray(cases.images[n].permute(1, 2, 0).numpy())
        texts = dict(zip(columns, (cases.texts[n], cases.others[n], cases.absent[n], cases.nonsense[n]), strict=True))
        rows.append(
            [
                Panel(
                    image, maps[name][n].numpy(), caption=_COLUMNS[name],
                    box=tuple(boxes[n].tolist()) if name == "cocoa" and bool(boxes[n].isfinite().all()) else None,
                )
                for name in columns
            ]
        )  # fmt: skip
        told = [f"{_COLUMNS[name]}: {texts[name]}" for name in columns if texts[name]]
        labels.append(f"{cases.names[n]} · " + " · ".join(told))
    scale = robust_scale(np.concatenate([own.numpy() for own in maps.values()]))
    return contact_sheet(
        rows, scale=scale, title=f"Towards texts, by {method.replace('_', ' ')}", row_labels=labels, columns=len(columns), legend=False,
        words=("less like the text", "more like the text"),
    )  # fmt: skip
