"""From answers to findings: what a question of the user's own came to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cocoa_pl.asking.agreeing import WITH_ABSENT, WITH_NONSENSE, WITH_PRESENT
from cocoa_pl.asking.assembling import Layout, Numbers, gather_numbers
from cocoa_pl.asking.separation import is_unreliable
from cocoa_pl.metrics.prompts import TOO_ALIKE
from cocoa_pl.monitor.alerts import has_collapsed
from cocoa_pl.report.figures import METHOD_NAMES
from cocoa_pl.report.findings import Block, Findings, Frame, Trace
from cocoa_pl.viz.page import WORDS

_MEANS = ("gap", "gap_random", "insertion_auc", "deletion_auc", "reliability", "auroc", "score_error", "rank", "prompt_agreement")
_OTHER_TEXTS = {
    WITH_NONSENSE: "with nonsense", WITH_ABSENT: "with what is not in the picture", WITH_PRESENT: "with the other texts of what is in it",
}  # fmt: skip
_MOST = 0.5  # of the maps of a target
NO_WORDS: Mapping[str, tuple[str, ...]] = {}
_DRIFTS = {
    "drift": "drift_previous", "drift_corrected": "drift_previous_corrected", "drift_noise": "drift_previous_noise",
    "drift_flagged": "drift_previous_flagged",
}  # fmt: skip


def findings_of_answers(
    layout: Layout, *, title: str, names: Sequence[str], files: Sequence[str], views: Sequence[str], held_out: Sequence[bool],
    targets: Mapping[str, str], frames: Sequence[Frame], facts: Sequence[str], settings: Mapping[str, Any],
    concepts: Sequence[str] = (), words: Mapping[str, tuple[str, ...]] = NO_WORDS,
) -> Findings:  # fmt: skip
    """Read all parts.

    Args:
        layout: of the parts.
        title: of the report.
        names, files: of the E pictures.
        views, held_out: V names and flags.
        targets: trace suffix to the target's name for people.
        frames: the encoders; their scalars are filled in here, and warnings of theirs are added.
        facts: what was asked.
        settings: how.
        concepts: names of the concepts that ``concept 1`` and so on may be.
        words: trace suffix to the words of its prompt, where they have attributions.
    """
    numbers = gather_numbers(layout)
    traces = tuple(_trace(key, targets, numbers.scales[key], words) for key in layout.traces)
    told = tuple(
        replace(frame, scalars=_scalars(layout, numbers, f, views), warnings=(*frame.warnings, *_warnings(layout, numbers, f, traces)))
        for f, frame in enumerate(frames)
    )
    return Findings(
        title, tuple(names), tuple(files), tuple(views), tuple(held_out), traces, told, numbers.columns, numbers.flags, WORDS, tuple(facts),
        settings, partial(_blocks, layout), numbers.finished, labels=np.array([*concepts, ""])[numbers.labels] if concepts else None,
        word_values=numbers.words,
    )  # fmt: skip


def _trace(key: str, targets: Mapping[str, str], scale: float, words: Mapping[str, tuple[str, ...]]) -> Trace:
    method, dash, name = key.partition("-")
    suffix = f"{dash}{name}"
    return Trace(key, METHOD_NAMES.get(method, method.replace("_", " ")), targets[suffix], scale, words.get(suffix, ()))


def _scalars(layout: Layout, numbers: Numbers, frame: int, views: Sequence[str]) -> dict[str, float]:
    """Means over the original views of all pictures."""
    named = {**{name: name for name in _MEANS}, **_DRIFTS}
    out: dict[str, float] = {}
    for t, trace in enumerate(layout.traces):
        for v in range(len(views)):
            out[f"explain/{trace}/score/{views[v]}"] = _mean(numbers.columns["score"][frame, t, :, v])
        for column, name in named.items():
            if column in numbers.columns:
                out[f"explain/{trace}/{name}"] = _mean(numbers.columns[column][frame, t, :, 0])
    collapse, rank = layout.health[frame]
    out |= {"explain/collapse_level": collapse, "explain/effective_rank": rank}
    return {name: value for name, value in out.items() if not np.isnan(value)}


def _mean(values: NDArray[np.float64]) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else float("nan")


def _warnings(layout: Layout, numbers: Numbers, frame: int, traces: Sequence[Trace]) -> Iterator[str]:
    """Whole sentences about an encoder and its targets."""
    collapse, rank = layout.health[frame]
    if has_collapsed(collapse, rank):
        yield (
            f"The encoder has collapsed: its representations are nearly the same for all images (collapse level {collapse:.2f}, effective "
            f"rank {rank:.1f}). No map of it says anything."
        )
    for target in dict.fromkeys(trace.target for trace in traces):
        t = next(t for t, trace in enumerate(traces) if trace.target == target)
        area, error = (_mean(numbers.columns[name][frame, t]) for name in ("auroc", "auroc_error"))
        if is_unreliable(np.array(area), np.array(error)):
            yield (
                f"The encoder does not tell {target} from the foil (AUROC {area:.2f} +- {error:.2f}; .5 is chance): maps towards it show "
                "what raises a score that means little."
            )
    for t, trace in enumerate(traces):
        there = {name: values[frame, t][numbers.is_there[frame, t]] for name, values in numbers.alike.items()}
        with_nonsense = there[WITH_NONSENSE][~np.isnan(there[WITH_NONSENSE])]
        if with_nonsense.size and np.mean(with_nonsense > TOO_ALIKE) > _MOST:
            others = [f"{mean:.2f} {_OTHER_TEXTS[name]}" for name, values in there.items() if not np.isnan(mean := _mean(values))]
            yield (
                f"{trace.method} towards {trace.target}: most maps are nearly those of a nonsense text, and say little of what was asked. "
                f"Their mean rank correlation is {', '.join(others)}."
            )


def _blocks(layout: Layout, *, traces: Sequence[str] | None = None, frames: Sequence[int] | None = None) -> Iterator[Block]:
    wanted = layout.traces if traces is None else traces
    names = [f"map/{trace}" for trace in wanted]
    for number in layout.blocks:
        first = layout.parts.read(0, number, ["picture", "view", "image"])
        order = np.lexsort((first["view"].numpy(), first["picture"].numpy()))
        maps: list[dict[str, NDArray[np.float32]]] = []
        for frame in range(layout.num_frames):
            rows = layout.parts.read(frame, number, names) if frames is None or frame in frames else None
            maps.append({} if rows is None else {trace: rows[f"map/{trace}"].numpy()[order] for trace in wanted})
        yield Block(first["picture"].numpy()[order], first["view"].numpy()[order], first["image"].numpy()[order], tuple(maps))
