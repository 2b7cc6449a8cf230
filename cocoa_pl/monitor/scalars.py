"""The numbers of a look, tagged ``explain/<trace>/<metric>[/<view>]``; docs/tensorboard.md says how to read each."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

import torch

from cocoa_pl.data.explain_set import ExplainSet
from cocoa_pl.metrics.components import component_shares
from cocoa_pl.metrics.intervals import Interval, paired_difference, t_interval
from cocoa_pl.metrics.localisation import border_mask, border_share, energy_inside, mask_auroc, pointing_game
from cocoa_pl.metrics.placing import measure_placement
from cocoa_pl.monitor.compare import Compared, by_explicand, pooled_drift
from cocoa_pl.monitor.look import Look, suffix_of
from cocoa_pl.monitor.views import ViewAgreement

Scalars = Iterator[tuple[str, float]]


def read_scalars(
    given: ExplainSet, look: Look, compared: Mapping[str, Mapping[str, Compared]], views: Mapping[str, ViewAgreement]
) -> dict[str, float]:
    """All numbers of a look.

    Args:
        given: what was explained.
        look: what was seen.
        compared: other look (previous, start, reference) to trace to what changed.
        views: trace to how maps of views agree with those of their originals, for traces towards the original image.
    """
    values: dict[str, float] = {}
    for trace in look.attributions:
        own = [*_scores(given, look, trace), *_curves(given, look, trace), *_places(given, look, trace), *_noise(look, trace)]
        own += _prompts(look, trace)
        for name, of_traces in compared.items():
            own += _drift(given, name, of_traces[trace])
        if trace in views:
            own += views[trace].scalars(given)
        values |= {f"explain/{trace}/{metric}": value for metric, value in own}
    values |= {f"explain/{name}": value for name, value in (*_components(given, look), *_pairs(look), *_moved(given, look))}
    collapse, rank, _ = look.rows["health"].tolist()
    values |= {"explain/collapse_level": collapse, "explain/effective_rank": rank, "explain/num_forwards": float(look.num_forwards)}
    height, width = given.explicands.shape[-2:]
    values["explain/border_area"] = float(border_mask(height, width).float().mean())
    if given.region is not None:
        values["explain/region_area"] = float(given.region[given.region.flatten(1).any(1)].float().mean())
    if look.num_masks is not None:
        values["explain/num_masks"] = float(look.num_masks)
    return {name: value for name, value in values.items() if not math.isnan(value)}


def _scores(given: ExplainSet, look: Look, trace: str) -> Scalars:
    for view, scores in zip(given.views, torch.split(look.score_of(trace), given.num_images), strict=True):
        yield f"score/{view}", float(scores.mean())


def _curves(given: ExplainSet, look: Look, trace: str) -> Scalars:
    plain = slice(given.num_images)
    for metric in ("insertion_auc", "deletion_auc"):
        yield metric, float(look.rows[f"{metric}/{trace}"][plain].mean())
    gap, control = look.rows[f"gap/{trace}"][plain], look.rows[f"gap_random/{suffix_of(trace)}"]
    yield from _with_ends("gap", t_interval(gap))
    yield "gap_random", float(control.mean())
    yield "gap_over_random_low", paired_difference(gap, control).low


def _places(given: ExplainSet, look: Look, trace: str) -> Scalars:
    maps = look.attributions[trace]
    if given.masks is not None:
        shown = given.masks.flatten(1).any(1)
        for name, metric_fn in (("pointing_game", pointing_game), ("energy_inside", energy_inside), ("mask_auroc", mask_auroc)):
            yield name, float(metric_fn(maps[shown], given.masks[shown]).nanmean())
        plain = slice(given.num_images)
        yield "corloc", float(measure_placement(maps[plain], given.masks[plain])["corloc"].nanmean())
    for name, areas in (("energy_on_patch", given.patches), ("energy_on_region", given.region)):
        if areas is not None:
            shown = areas.flatten(1).any(1)
            yield name, float(energy_inside(maps[shown], areas[shown]).nanmean())
    yield "border_share", float(border_share(maps).nanmean())


def _noise(look: Look, trace: str) -> Scalars:
    reliability = float(look.reliability(trace).mean())
    yield "reliability", reliability
    yield "noise_floor", 1 - reliability


def _prompts(look: Look, trace: str) -> Scalars:
    """How far maps towards each explicand's text are those that the text of something absent has, too."""
    agreement = look.rows.get(f"absent_agreement/{trace}")
    if agreement is not None:
        yield "absent_agreement", float(agreement.nanmean())


def _drift(given: ExplainSet, name: str, compared: Compared) -> Scalars:
    """Change against another look: as it is with its interval over explicands, without noise, and how much of it is real."""
    yield from _with_ends(f"drift_{name}", t_interval(by_explicand(given, compared.change.drift)))
    yield f"drift_{name}_corrected", pooled_drift(compared.change)
    yield f"drift_{name}_noise", float(compared.change.noise.mean())
    yield f"drift_{name}_flagged", float(compared.change.flagged.float().mean())
    if name == "previous":
        if bool(compared.unmoved.any()):
            yield "drift_gated", float(compared.change.drift[compared.unmoved].mean())
        for part, drift in (("drift_encoder", compared.encoder), ("drift_direction", compared.direction)):
            if drift is not None:
                yield part, float(drift.mean())


def _components(given: ExplainSet, look: Look) -> Scalars:
    for suffix, scores in look.scores.items():
        without = [look.rows[f"component/{name}/{suffix}"] for name in given.components]
        if without:
            shares = component_shares(scores[: given.num_images], torch.stack(without))
            for name, share in zip(given.components, shares, strict=True):
                yield f"components{suffix}/{name}", float(share.nanmean())


def _pairs(look: Look) -> Scalars:
    for name, correct in look.rows.items():
        if name.startswith("two_object/"):
            _, method, target = name.split("/")
            yield f"{method}/two_object_accuracy" + ("" if target == "cocoa" else f"/{target}"), float(correct.mean())


def _moved(given: ExplainSet, look: Look) -> Scalars:
    for view, moved in list(zip(given.views, torch.split(look.rows["moved"], given.num_images), strict=True))[1:]:
        yield f"moved/{view}", float(moved.mean())


def _with_ends(name: str, interval: Interval) -> Scalars:
    yield name, interval.mean
    yield f"{name}_low", interval.low
    yield f"{name}_high", interval.high
