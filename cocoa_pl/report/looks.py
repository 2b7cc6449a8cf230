"""From looks to findings: the run's explain set, in one checkpoint or over many."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cocoa_pl.asking.agreeing import WITH_ABSENT
from cocoa_pl.asking.answering import boxes_and_shares
from cocoa_pl.asking.assembling import BOX, DRIFT
from cocoa_pl.asking.quality import Qualities
from cocoa_pl.asking.separation import is_unreliable
from cocoa_pl.monitor import Reading
from cocoa_pl.monitor.look import suffix_of
from cocoa_pl.monitor.measuring import AREAS
from cocoa_pl.monitor.noise import relative_error
from cocoa_pl.report.figures import METHOD_NAMES, TARGET_NAMES, name_of, scales, to_bytes
from cocoa_pl.report.findings import Block, Findings, Frame, Trace
from cocoa_pl.viz.page import WORDS


def findings_of_looks(
    readings: Sequence[Reading], frames: Sequence[Frame], qualities: Sequence[Qualities], *, title: str, facts: Sequence[str],
    settings: Mapping[str, Any],
) -> Findings:  # fmt: skip
    """Findings of one explain set in F looks.

    Args:
        readings: each read beside the look before, where there is one.
        frames: the encoders; their scalars are those of the readings already.
        qualities: of the targets, for each frame.
        title: of the report.
        facts: what was asked.
        settings: how.
    """
    given, keys = readings[0].given, tuple(readings[0].look.attributions)
    by_frame = [scales(reading.look) for reading in readings]
    traces = tuple(_trace(key, max(each[key] for each in by_frame)) for key in keys)
    num, num_views = given.num_images, len(given.views)
    parts = [[_columns(reading, quality, key) for key in keys] for reading, quality in zip(readings, qualities, strict=True)]
    names = list(dict.fromkeys(name for of_frame in parts for of_trace in of_frame for name in of_trace))
    unknown = np.full(num * num_views, np.nan)

    def shaped(values: Sequence[Sequence[NDArray[Any]]]) -> NDArray[Any]:
        """(F, T, V * E) to (F, T, E, V)."""
        return np.stack([np.stack(row) for row in values]).reshape(len(readings), len(keys), num_views, num).transpose(0, 1, 3, 2)

    columns = {name: shaped([[of_trace.get(name, unknown) for of_trace in of_frame] for of_frame in parts]) for name in names}
    flags = shaped([[np.array(reading.flags(key), dtype="<U64") for key in keys] for reading in readings])
    poor = is_unreliable(columns["auroc"], columns["auroc_error"]) & (flags != "collapsed")
    flags = np.where(poor, np.where(flags == "", "unreliable target", np.char.add("unreliable target, ", flags)), flags)
    labels = [np.array(given.phrases if suffix_of(key) == "-text" else [""] * num) for key in keys]
    return Findings(
        title, tuple(name_of(given, e) for e in range(num)), tuple(given.names), given.views,
        tuple(not seen and view != "original" for seen, view in zip(given.seen, given.views, strict=True)), traces, tuple(frames), columns,
        flags, WORDS, tuple(facts), settings, partial(_blocks, readings), np.ones(num, dtype=bool),
        labels=shaped([[np.tile(each, num_views) for each in labels]] * len(readings)) if any(map(np.any, labels)) else None,
    )  # fmt: skip


def _trace(key: str, scale: float) -> Trace:
    method, _, target = key.partition("-")
    return Trace(key, METHOD_NAMES.get(method, method.replace("_", " ")), TARGET_NAMES[target], scale)


def _columns(reading: Reading, quality: Qualities, trace: str) -> dict[str, NDArray[np.float64]]:
    """A trace's numbers, each (V * E,)."""
    given, look, suffix = reading.given, reading.look, suffix_of(trace)
    size, error = given.num_images * len(given.views), relative_error(look.noisy(trace))
    out = {"score": look.score_of(trace), "reliability": look.reliability(trace), "standard_error": error}
    out |= {area: look.rows[f"{area}/{trace}"] for area in AREAS}
    known = quality[suffix]
    out |= {"auroc": known.auroc, "auroc_error": known.auroc_error, "score_error": known.score_error}
    columns = {name: values.double().numpy() for name, values in out.items()}
    random = np.full(size, np.nan)
    random[: given.num_images] = look.rows[f"gap_random/{suffix}"].numpy()
    columns["gap_random"] = random
    if f"{WITH_ABSENT}/{trace}" in look.rows:
        columns[WITH_ABSENT] = np.full(size, np.nan)
        columns[WITH_ABSENT][: given.num_images] = look.rows[f"{WITH_ABSENT}/{trace}"].double().numpy()
    boxes, shares = boxes_and_shares(look.attributions[trace], None)
    columns |= {"mask_share": shares.double().numpy(), **{side: each.double().numpy() for side, each in zip(BOX, boxes.T, strict=True)}}
    since = reading.compared.get("previous", {}).get(trace)
    if since is not None:
        columns |= {name: getattr(since.change, part).double().numpy() for name, part in DRIFT.items()}
    return columns


def _blocks(
    readings: Sequence[Reading], *, traces: Sequence[str] | None = None, frames: Sequence[int] | None = None
) -> Iterator[Block]:  # fmt: skip
    """All are in memory: whoever asks for some gets all."""
    given = readings[0].given
    pictures = to_bytes(given.explicands)
    for e in range(given.num_images):
        rows = np.arange(len(given.views)) * given.num_images + e
        maps = tuple({trace: each.numpy()[rows] for trace, each in reading.look.attributions.items()} for reading in readings)
        yield Block(np.full(len(rows), e), np.arange(len(rows)), pictures[rows], maps)
