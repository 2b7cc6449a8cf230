"""From a look at an encoder to pictures: contact sheets (views of each explicand) and film strips (epochs of one explicand)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from cocoa_pl.data.explain_set import ExplainSet
from cocoa_pl.monitor import Look
from cocoa_pl.viz import Panel, StripRow, contact_sheet, film_strip, robust_scale

METHOD_NAMES = {
    "gradient": "Gradient", "gradient_x_input": "Gradient x input", "smoothgrad": "SmoothGrad",
    "integrated_gradients": "Integrated gradients", "gradient_shap": "GradientSHAP",
    "kernel_shap": "KernelSHAP", "kernel_shap_slic": "KernelSHAP (SLIC)", "rise": "RISE",
    "occlusion": "Occlusion", "grad_cam": "Grad-CAM", "layer_integrated_gradients": "Layer integrated gradients", "random": "Random",
    "smooth_random": "Smooth random", "centre_bias": "Centre bias", "edges": "Edges",
}  # fmt: skip
TARGET_NAMES = {"": "the original image", "class": "the class", "text": "its text"}
"""What traces explain likeness to, by what follows the method's name."""
_SHEET_ROWS, _SHEET_PANELS = 3, 24


def trace_title(trace: str) -> str:
    """A trace in words.

    Example:
        >>> trace_title("rise-class")
        'RISE towards the class'
    """
    method, _, target = trace.partition("-")
    return f"{METHOD_NAMES.get(method, method)} towards {TARGET_NAMES[target]}"


def scales(look: Look) -> dict[str, float]:
    """The attribution that gets the full colour, for each trace: one number for all panels that are to be compared."""
    return {trace: robust_scale(maps.numpy()) for trace, maps in look.attributions.items()}


def sheet(
    given: ExplainSet, look: Look, trace: str, *, scale: float, title: str, subtitle: str = "", page: int = 0, flags: Sequence[str] = ()
) -> Image.Image:  # fmt: skip
    """Views of each explicand, their maps on one scale, score and flag under each; a few explicands a page."""
    num = given.num_images
    shown = range(num)[page * _rows(given) : (page + 1) * _rows(given)]
    pictures, maps, scores = to_bytes(given.explicands), look.attributions[trace].numpy(), look.score_of(trace)
    rows = [
        [
            Panel(
                image=pictures[v * num + e],
                attribution=maps[v * num + e],
                caption=view.replace("_", " + "),
                score=float(scores[v * num + e]),
                flag=flags[v * num + e] if flags else "",
                held_out=not (given.seen[v] or view == "original"),
            )
            for v, view in enumerate(given.views)
        ]
        for e in shown
    ]
    return contact_sheet(rows, scale=scale, title=title, subtitle=subtitle, row_labels=[name_of(given, e) for e in shown])


def num_pages(given: ExplainSet) -> int:
    """How many sheets it takes to show every explicand."""
    return -(-given.num_images // _rows(given))


def _rows(given: ExplainSet) -> int:
    """Explicands on a sheet: three, or more where each has few views."""
    return max(_SHEET_ROWS, _SHEET_PANELS // len(given.views))


def strip(
    given: ExplainSet, index: int, *, epochs: Sequence[int], history: Mapping[str, NDArray[np.float32]],
    scores: Mapping[str, Sequence[float]], flags: Mapping[str, Sequence[str]], scales: Mapping[str, float],
) -> Image.Image:  # fmt: skip
    """The original view of explicand ``index`` over epochs; ``history`` holds (epochs, H, W) for each trace."""
    rows = [
        StripRow(trace_title(trace), maps, scale=scales[trace], scores=scores[trace], flags=flags[trace]) for trace, maps in history.items()
    ]
    return film_strip(to_bytes(given.explicands[index : index + 1])[0], rows, epochs=epochs, title=name_of(given, index))


def name_of(given: ExplainSet, index: int) -> str:
    """What an explicand is called: its class and its text where known, and its name in the split."""
    label = "" if given.labels is None else f"class {given.class_names[int(given.labels[index])]}, "
    phrase = f"{given.phrases[index]}, " if given.phrases else ""
    return f"{label}{phrase}{given.names[index]}"


def to_bytes(images: Tensor) -> NDArray[np.uint8]:
    """Images (N, 3, H, W) in [0, 1] to (N, H, W, 3) uint8."""
    array: NDArray[np.uint8] = (images.clamp(0, 1) * 255).round().byte().permute(0, 2, 3, 1).cpu().numpy()
    return array
