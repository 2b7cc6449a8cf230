"""The numbers of a localisation study as tables: for people in Markdown, for programs in CSV, by case."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator, Sequence
from functools import partial

from torch import Tensor

from cocoa_pl.localise.asking import LABEL_FREE, PROMPTS, TARGETS
from cocoa_pl.localise.cases import Cases
from cocoa_pl.localise.measuring import MEASURES, SHARES, Results
from cocoa_pl.metrics.intervals import Interval, bootstrap_interval, paired_difference, t_interval, wilson_interval
from cocoa_pl.metrics.prompts import TOO_ALIKE, agree_too_well, presence_auroc
from cocoa_pl.report.markdown import table

_NONE = "-"
_SHOWN = ("larger_on_named", "pointing_game", "corloc", "mask_iou", "energy_inside", "mask_auroc")


def markdown(results: Results, *, title: str, facts: Sequence[str]) -> str:
    """Everything in one page: means with 95 % intervals over pictures."""
    parts = [f"# {title}", *facts, *_placement(results), *_differences(results), *_prompts(results), *_names(results), *_words(results)]
    return "\n\n".join(parts) + "\n"


def by_case(results: Results, cases: Cases) -> str:
    """CSV: a row for every picture, method and target; a cell is empty where nothing is known.

    ``score_...`` are the contrastive scores of the picture's texts, the same in all of its rows.
    """
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    kinds = [f"agreement_{prompt}" for prompt in PROMPTS] + ["brightness_of_absent"]
    header = ["picture", "text", "other", "absent", "method", "target", *MEASURES, *kinds, *(f"score_{kind}" for kind in results.scores)]
    writer.writerow(header)
    for (method, target), values in results.placed.items():
        told = [results.prompts.get((method, target, prompt)) for prompt in (*PROMPTS, "brightness")]
        columns = [*(values[measure] for measure in MEASURES), *told, *results.scores.values()]
        for n, name in enumerate(cases.names):
            numbers = ["" if column is None else _plain(float(column[n])) for column in columns]
            writer.writerow([name, cases.texts[n], cases.others[n], cases.absent[n], method, target, *numbers])
    return out.getvalue()


def _plain(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.6g}"


def _placement(results: Results) -> Iterator[str]:
    yield "## Where the maps lie"
    methods = list(dict.fromkeys(method for method, _ in results.placed))
    rows = []
    for method in methods:
        for target in [target for own, target in results.placed if own == method]:
            rows.append(
                [
                    _words_of(method),
                    _words_of(target),
                    *(cell(results.placed[method, target][name], share=name in SHARES) for name in _SHOWN),
                ]
            )
    yield table(["method", "target", *map(_words_of, _SHOWN)], rows)


def _differences(results: Results) -> Iterator[str]:
    """COCOA against what it is compared with, picture by picture."""
    methods = [method for method, target in results.placed if target == "cocoa"]
    if not methods:
        return
    yield "## COCOA minus the others, on the same pictures"
    rows = []
    for method in methods:
        cocoa = results.placed[method, "cocoa"]
        for (other, target), own in results.placed.items():
            if target != "cocoa" and other in (method, "control"):
                rows.append(
                    [_words_of(method), _words_of(target), *(_difference(cocoa[name], own[name], share=name in SHARES) for name in _SHOWN)]
                )
    yield table(["method", "against", *map(_words_of, _SHOWN)], rows)
    yield "Bold: the 95 % interval of the difference leaves out 0."


def _prompts(results: Results) -> Iterator[str]:
    yield "## Does the map depend on the text?"
    pairs = list(dict.fromkeys((method, target) for method, target, _ in results.prompts))
    rows = [
        [_words_of(method), target, *(cell(results.prompts[method, target, name]) for name in (*PROMPTS, "brightness"))]
        for method, target in pairs
    ]  # fmt: skip
    yield (
        "Rank correlation of the map towards the named object with the map towards another text: low where it depends on the text. "
        "Brightness of the absent: how bright the map towards an absent object is, as a share of both; .5 where it is as bright."
    )
    yield table(["method", "target", "another object in the picture", "an absent object", "nonsense", "brightness of the absent"], rows)
    yield from _alike(results, pairs)
    named = results.scores["named"]
    absent, nonsense = (presence_auroc(named, results.scores[kind][:, None]) for kind in ("absent", "nonsense"))
    yield (
        f"The text of an object in a picture scores above that of an absent one with probability {_told(absent)}, above nonsense with "
        f"probability {_told(nonsense)} (AUROC over all pictures; .5 is chance)."
    )


def _alike(results: Results, pairs: Sequence[tuple[str, str]]) -> Iterator[str]:
    """A sentence for every method and target whose maps hardly depend on the text."""
    others = {"other": "another object", "absent": "an absent object", "nonsense": "nonsense"}
    for method, target in pairs:
        same = [words for prompt, words in others.items() if bool(agree_too_well(results.prompts[method, target, prompt]))]
        if same:
            yield (
                f"{_words_of(method)}, {target}: the maps towards {' and '.join(same)} are nearly those towards the named object (rank "
                f"correlation above {TOO_ALIKE}); they say little of the text."
            )


def _names(results: Results) -> Iterator[str]:
    yield "## Does the encoder know what is there?"
    yield "Pictures whose objects have exactly the highest scores."
    yield table(["", "share"], [[name, cell(own, share=True)] for name, own in results.named.items()])


def _words(results: Results) -> Iterator[str]:
    there = {target for _, target in results.placed}
    yield "## Words"
    yield "\n".join(f"- {_words_of(name)}: {meaning}." for name, meaning in MEASURES.items() if name in _SHOWN)
    yield "\n".join(f"- {_words_of(name)}: {meaning}." for name, meaning in TARGETS.items() if name in there)
    untrained = "untrained: COCOA by the encoder before training. " if "untrained" in there else ""
    yield (
        f"- {untrained}smooth random, centre, centre box: maps and a box of the objects' mean size that know nothing of picture or text. "
        "best fixed box: of boxes of the objects' mean size the place that finds most of them, chosen with the truth in hand."
    )
    if not there.issuperset(LABEL_FREE):
        yield "The label-free targets are left out: they contrast a picture with others, and there is only one."


def cell(values: Tensor, *, share: bool = False) -> str:
    """A mean with its interval, of a share Wilson's; a dash where nothing is known."""
    return _told(wilson_interval(values) if share else t_interval(values))


def _difference(first: Tensor, second: Tensor, *, share: bool) -> str:
    interval = paired_difference(first, second, interval_fn=partial(bootstrap_interval, method="percentile") if share else t_interval)
    told = _told(interval, signed=True)
    return f"**{told}**" if interval.low > 0 or interval.high < 0 else told


def _told(interval: Interval, *, signed: bool = False) -> str:
    """Mean and ends; the mean alone where fewer than two values say nothing about their spread."""
    sign = "+" if signed else ""
    mean, low, high = (f"{value:{sign}.3f}" for value in (interval.mean, interval.low, interval.high))
    if interval.num == 0:
        return _NONE
    return mean if interval.num < 2 else f"{mean} [{low}, {high}]"


def _words_of(name: str) -> str:
    return name.replace("_", " ")
