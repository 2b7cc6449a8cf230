"""From maps to numbers: where each lies, what tells texts apart, what the controls reach."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from cocoa_pl.attributions.controls import CentreBias, SmoothRandom
from cocoa_pl.encoding import FrozenEncoder
from cocoa_pl.explainer import Explainer
from cocoa_pl.localise.asking import OF_TEXTS, PROMPTS, TARGETS, Asked, ask
from cocoa_pl.localise.cases import Cases
from cocoa_pl.metrics.agreement import spearman
from cocoa_pl.metrics.placing import best_fixed_box, centre_boxes, larger_on, measure_boxes, measure_placement
from cocoa_pl.metrics.prompts import brightness_of_absent
from cocoa_pl.rng import derive_seed, generator
from cocoa_pl.types import Attribution, Removal

_PIXELS = 2**22  # of maps that are measured at once
_AMONG = 10
SHARES = ("larger_on_named", "pointing_game", "corloc")
"""Measures that are hits or misses."""
MEASURES = {
    "larger_on_named": "the mean attribution is larger on the named object than on another object of the picture",
    "pointing_game": "the highest attribution lies on the object",
    "corloc": "the map's box overlaps the object's by more than half (intersection over union)",
    "box_iou": "intersection over union of the two boxes",
    "mask_iou": "intersection over union of the map's mask and the object's",
    "energy_inside": "share of the positive attribution that lies on the object",
    "mask_auroc": "area under the ROC curve of telling the object's pixels by their attribution",
}
"""Every measure of a map, higher is better; all are means over the pictures."""


@dataclass
class Results:
    """Values by case.

    Attributes:
        placed: (method, target) to measure to (N,).
        prompts: (method, target, prompt) to (N,): rank correlation of the map with that towards another text; NaN where there is none.
            Prompt ``brightness`` is how bright the map towards the absent text is beside it (``metrics.prompts.brightness_of_absent``).
        named: name to (N,): whether the texts that score highest are those of the objects.
        scores: text kind (named, absent, nonsense) to contrastive scores (N,).
        maps: (method, target) to (N, H, W), of the first cases alone, to look at.
    """

    placed: dict[tuple[str, str], dict[str, Tensor]] = field(default_factory=dict)
    prompts: dict[tuple[str, str, str], Tensor] = field(default_factory=dict)
    named: dict[str, Tensor] = field(default_factory=dict)
    scores: dict[str, Tensor] = field(default_factory=dict)
    maps: dict[tuple[str, str], Tensor] = field(default_factory=dict)


def localise(
    encoder: FrozenEncoder, cases: Cases, *, typical: Tensor | None, attributions: Mapping[str, Attribution], removal: Removal,
    untrained: FrozenEncoder | None = None, seed: int = 0, chunk_size: int | None = None, num_shown: int = 0,
    progress: Callable[[int], object] = lambda done: None,
) -> Results:  # fmt: skip
    """Ask an encoder about every case by every method, and measure the maps; controls beside them.

    Args:
        encoder: with a text side.
        cases: what is asked.
        typical: (F, 3, S, S) uint8, pictures that are the foil of the label-free targets; None: the other cases' pictures.
        attributions: method name to method.
        removal: what absent pixels show.
        untrained: the encoder before training, a control; None where there is none.
        seed: of masks and noise.
        chunk_size: images in one pass.
        num_shown: cases whose maps are kept.
        progress: told how many pictures are done; those of the untrained encoder come after those of the other.

    Raises:
        ConfigError: the encoder has no text side.
        DataError: the encoder cannot take the pictures.
    """
    asked = ask(encoder, cases, typical)
    results = Results(named=_named(asked, cases, seed=seed), scores=_scores(asked, cases))
    methods = {**attributions, "smooth_random": SmoothRandom(), "centre": CentreBias()}
    parts: dict[tuple[str, str], list[dict[str, Tensor]]] = {}
    prompts: dict[tuple[str, str, str], list[Tensor]] = {}
    for rows in _blocks(cases):
        maps = _explain(encoder, asked, cases, rows, methods, removal, seed=seed, chunk_size=chunk_size)
        _collect(results, parts, prompts, cases, rows, maps, attributions=list(attributions), num_shown=num_shown)
        progress(int(rows[-1]) + 1)
    if untrained is not None:
        before = ask(untrained, cases, typical)
        for rows in _blocks(cases):
            maps = _explain(untrained, before, cases, rows, attributions, removal, seed=seed, chunk_size=chunk_size)
            for method, own in maps.items():
                parts.setdefault((method, "untrained"), []).append(_measured(own["cocoa"], cases, rows))
            progress(len(cases) + int(rows[-1]) + 1)
    results.placed = {key: {name: torch.cat([part[name] for part in own]) for name in own[0]} for key, own in parts.items()}
    results.prompts = {key: torch.cat(own) for key, own in prompts.items()}
    unknown = torch.full((len(cases),), torch.nan)
    for name, boxes in (("centre box", centre_boxes(cases.masks)), ("best fixed box", best_fixed_box(cases.masks))):
        results.placed["control", name] = dict.fromkeys(MEASURES, unknown) | measure_boxes(boxes, cases.masks)
    return results


def _blocks(cases: Cases) -> Iterator[Tensor]:
    size = max(1, _PIXELS // (cases.masks[0].numel() * (len(TARGETS) + len(OF_TEXTS) * len(PROMPTS))))
    for start in range(0, len(cases), size):
        yield torch.arange(start, min(start + size, len(cases)))


def _explain(
    encoder: FrozenEncoder, asked: Asked, cases: Cases, rows: Tensor, methods: Mapping[str, Attribution], removal: Removal, *, seed: int,
    chunk_size: int | None,
) -> dict[str, dict[str, Tensor]]:  # fmt: skip
    """Method to target to maps (n, H, W) on the CPU, of some cases."""
    target = asked.target(rows)
    explainer = Explainer(encoder, attributions=methods, removal=removal, chunk_size=chunk_size)
    made = explainer.explain(cases.images[rows].float() / 255, target, seed=derive_seed(seed, "masks")).attributions
    return {method: dict(zip(target.names, maps.cpu(), strict=True)) for method, maps in made.items()}


def _collect(
    results: Results, parts: dict[tuple[str, str], list[dict[str, Tensor]]], prompts: dict[tuple[str, str, str], list[Tensor]],
    cases: Cases, rows: Tensor, maps: Mapping[str, Mapping[str, Tensor]], *, attributions: list[str], num_shown: int,
) -> None:  # fmt: skip
    shown = rows[rows < num_shown]
    for method, own in maps.items():
        if method not in attributions:
            parts.setdefault(("control", method.replace("_", " ")), []).append(_measured(own["cocoa"], cases, rows))
            continue
        for name in (name for name in TARGETS if name in own):
            parts.setdefault((method, name), []).append(_measured(own[name], cases, rows))
        for name, prompt in itertools.product(OF_TEXTS, PROMPTS):
            values = spearman(own[name], own[f"{name} {prompt}"])
            if prompt == "other":
                values = values.where(torch.tensor([bool(cases.others[n]) for n in rows.tolist()]), torch.nan)
            prompts.setdefault((method, name, prompt), []).append(values)
        for name in OF_TEXTS:
            prompts.setdefault((method, name, "brightness"), []).append(brightness_of_absent(own[name], own[f"{name} absent"]))
        for name in own:
            kept = results.maps.get((method, name), own[name][:0])
            results.maps[method, name] = torch.cat([kept, own[name][: len(shown)]])


def _measured(maps: Tensor, cases: Cases, rows: Tensor) -> dict[str, Tensor]:
    masks, others = cases.masks[rows], cases.other_masks[rows]
    larger = larger_on(maps, masks, others).where(others.flatten(1).any(1), torch.nan)
    return {"larger_on_named": larger, **measure_placement(maps, masks)}


def _named(asked: Asked, cases: Cases, *, seed: int) -> dict[str, Tensor]:
    """Whether the texts that score highest name exactly the objects: among the whole vocabulary, and among ten where that is larger."""
    texts = list(cases.vocabulary)
    scores = asked.reps @ torch.stack([asked.texts[text] for text in texts]).T
    place = {text: k for k, text in enumerate(texts)}
    whole, few, sizes = torch.zeros(len(cases)), torch.zeros(len(cases)), set[int]()
    for n, present in enumerate(cases.present):
        own = sorted(place[text] for text in present)
        whole[n] = sorted(scores[n].topk(len(own)).indices.tolist()) == own
        absent = torch.tensor([k for k in range(len(texts)) if k not in own])
        order = torch.randperm(len(absent), generator=generator(seed, "named", int(cases.ids[n])))
        among = torch.cat([torch.tensor(own), absent[order[: max(1, _AMONG - len(own))]]])
        few[n] = sorted(among[scores[n, among].topk(len(own)).indices].tolist()) == own
        sizes.add(len(among))
    named = {f"all names, among all {len(texts)}": whole}
    span = f"{min(sizes)}" if len(sizes) == 1 else f"{min(sizes)} to {max(sizes)}"
    return named | ({f"all names, among {span} drawn": few} if len(texts) > _AMONG else {})


def _scores(asked: Asked, cases: Cases) -> dict[str, Tensor]:
    kinds = {"named": cases.texts, "absent": cases.absent, "nonsense": cases.nonsense}
    return {kind: asked.presence(list(texts)).cpu() for kind, texts in kinds.items()}
