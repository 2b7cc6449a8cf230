"""The numbers of a localisation study as tables: for people in Markdown, for programs in CSV, by case."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from cocoa_pl.localise.asking import PROMPTS, TARGETS
from cocoa_pl.localise.cases import Cases
from cocoa_pl.localise.measuring import MEASURES, Results
from cocoa_pl.metrics.intervals import Interval, paired_difference, t_interval
from cocoa_pl.metrics.prompts import presence_auroc

_NONE = "-"
_SHOWN = ("larger_on_named", "pointing_game", "corloc", "mask_iou", "energy_inside", "mask_auroc")


def markdown(results: Results, *, title: str, facts: Sequence[str]) -> str:
    """Everything in one page: means with 95 % intervals over pictures."""
    parts = [f"# {title}", *facts, *_placement(results), *_differences(results), *_prompts(results), *_names(results), *_words()]
    return "\n\n".join(parts) + "\n"


def by_case(results: Results, cases: Cases) -> str:
    """CSV: a row for every picture, method and target."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["picture", "text", "method", "target", *MEASURES])
    for (method, target), values in results.placed.items():
        for n, name in enumerate(cases.names):
            writer.writerow([name, cases.texts[n], method, target, *(f"{float(values[measure][n]):.6g}" for measure in MEASURES)])
    return out.getvalue()


def _placement(results: Results) -> Iterator[str]:
    yield "## Where the maps lie"
    methods = list(dict.fromkeys(method for method, _ in results.placed))
    rows = []
    for method in methods:
        for target in [target for own, target in results.placed if own == method]:
            rows.append([_words_of(method), _words_of(target), *(cell(results.placed[method, target][name]) for name in _SHOWN)])
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
                rows.append([_words_of(method), _words_of(target), *(_difference(cocoa[name], own[name]) for name in _SHOWN)])
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
    named = results.scores["named"]
    absent, nonsense = (presence_auroc(named, results.scores[kind][:, None]) for kind in ("absent", "nonsense"))
    yield (
        f"The text of an object in a picture scores above that of an absent one with probability {_told(absent)}, above nonsense with "
        f"probability {_told(nonsense)} (AUROC over all pictures; .5 is chance)."
    )


def _names(results: Results) -> Iterator[str]:
    yield "## Does the encoder know what is there?"
    yield "Pictures whose objects have exactly the highest scores."
    yield table(["", "share"], [[name, cell(own)] for name, own in results.named.items()])


def _words() -> Iterator[str]:
    yield "## Words"
    yield "\n".join(f"- {_words_of(name)}: {meaning}." for name, meaning in MEASURES.items() if name in _SHOWN)
    yield "\n".join(f"- {_words_of(name)}: {meaning}." for name, meaning in TARGETS.items())
    yield (
        "- untrained: COCOA by the encoder before training. smooth random, centre, centre box: maps and a box of the objects' mean size "
        "that know nothing of picture or text."
    )


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def cell(values: Tensor) -> str:
    """A mean with its interval; a dash where nothing is known."""
    return _told(t_interval(values)) if bool(torch.isfinite(values).any()) else _NONE


def _difference(first: Tensor, second: Tensor) -> str:
    if not bool(torch.isfinite(first - second).any()):
        return _NONE
    interval = paired_difference(first, second)
    told = _told(interval, signed=True)
    return f"**{told}**" if interval.low > 0 or interval.high < 0 else told


def _told(interval: Interval, *, signed: bool = False) -> str:
    sign = "+" if signed else ""
    return f"{interval.mean:{sign}.3f} ± {(interval.high - interval.low) / 2:.3f}"


def _words_of(name: str) -> str:
    return name.replace("_", " ")
