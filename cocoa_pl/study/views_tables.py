"""The numbers of the augmentation study: for people in Markdown, for programs in CSV, in short for the first page of pictures."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from cocoa_pl.metrics.intervals import t_interval, wilson_interval
from cocoa_pl.metrics.maps import average_ranks
from cocoa_pl.report.markdown import table
from cocoa_pl.study.views import ViewsStudy
from cocoa_pl.study.writing import UNKNOWN, told, words_of

_COLUMNS = (
    "encoder", "picture", "class", "view", "method", "predicted", "probability", "changed", "score", "moved", "agreement", "drift",
    "equivariance",
)  # fmt: skip
_FEWEST = 3  # views that a rank correlation is made of


class Line(NamedTuple):
    """A line of the short table."""

    quantity: str
    encoder: str
    cells: list[str]  # one for every view but the original


def views_csv(study: ViewsStudy) -> str:
    """CSV: a row for every picture, view and method; a cell is empty where there is nothing to compare.

    ``picture`` is the id; ``drift`` is 1 - agreement; what does not depend on the method is the same in all its rows.
    """
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(_COLUMNS)
    for n, v, method in _rows(study):
        agreement, name = study.agreement[method][v, n], study.class_names
        numbers = (study.score[v, n], study.moved[v, n], agreement, 1 - agreement, study.equivariance[method][v, n])
        said = (name[int(study.predicted[v, n])], _plain(study.probability[v, n]), int(study.changed[v, n]))
        at = (int(study.ids[n]), name[int(study.labels[n])], study.views[v], method)
        writer.writerow([study.title, *at, *said, *map(_plain, numbers)])
    return out.getvalue()


def views_markdown(study: ViewsStudy) -> str:
    """Means over the pictures with 95 % intervals, view by view, and whether maps move where the representation does; below a heading of
    the third level.
    """
    return "\n\n".join([f"### {study.title}", *_markdown(study)]) + "\n"


def short_lines(studies: Sequence[ViewsStudy]) -> list[Line]:
    """The same means in short, quantity by quantity, the encoders beneath each other; all must have the same views.

    Means of numbers stand with half the width of their interval, shares alone.
    """
    lines = [Line("representation moved", study.title, [_mean(values) for values in study.moved[1:]]) for study in studies]
    lines += [Line("prediction changed", study.title, [_share(values) for values in study.changed[1:].float()]) for study in studies]
    for method in dict.fromkeys(method for study in studies for method in study.methods):
        lines += [
            Line(f"map agreement: {words_of(method)}", study.title, [_mean(values) for values in study.agreement[method][1:]])
            for study in studies
            if method in study.methods
        ]
    return lines


def view_words(view: str) -> str:
    """A view's name for people.

    Example:
        >>> view_words("crop_flip"), view_words("rotate90")
        ('crop + flip', 'rotate 90°')
    """
    return "rotate 90\u00b0" if view == "rotate90" else view.replace("_", " + ")


def fixed(value: Tensor | float) -> str:
    """A number with two decimals; a dash where it is not known.

    Example:
        >>> fixed(0.5), fixed(-0.001), fixed(-0.25), fixed(math.nan)
        ('0.50', '0.00', '−0.25', '–')
    """
    rounded = round(float(value), 2) + 0.0  # without the sign of what is rounded to nothing
    return f"{rounded:.2f}".replace("-", "\u2212") if math.isfinite(rounded) else "\u2013"


def facts(study: ViewsStudy) -> str:
    """What was asked, in two sentences."""
    num = f"{len(study.ids)} picture{'s' * (len(study.ids) != 1)}"
    return (
        f"{num} under {len(study.views)} views, explained by COCOA: the corpus is the picture itself, the foil {study.num_foil} random "
        f"training pictures. Seed {study.seed}."
    )


def follows(study: ViewsStudy, method: str) -> Tensor:
    """(N,): Spearman's rank correlation, over a picture's views, of the map's drift with how far the representation moved.

    NaN where fewer than three views can be compared, or where all drift or move alike.
    """
    drift, moved = 1 - study.agreement[method][1:].T.double(), study.moved[1:].T.double()
    values = torch.full((len(drift),), torch.nan)
    for n, known in enumerate(torch.isfinite(drift)):
        if int(known.sum()) >= _FEWEST:
            a, b = (average_ranks(each[n, known][None])[0].double() for each in (drift, moved))
            a, b = a - a.mean(), b - b.mean()
            length = a.norm() * b.norm()
            values[n] = (a @ b) / length if length > 0 else torch.nan
    return values


def _markdown(study: ViewsStudy) -> Iterator[str]:
    yield facts(study)
    if len(study.views) < 2:
        yield "The original is the only view: there is nothing to compare."
        return
    yield (
        "Means over the pictures with 95 % intervals, Student's, of shares Wilson's. Moved: 1 - cosine of the representations of view and "
        "picture. Changed: share of pictures whose class the linear head names otherwise than without the view. Agreement: Spearman's rank "
        "correlation of the view's map, carried back, with the picture's, on the pixels that both show; drift is 1 - agreement."
    )
    methods = study.methods
    rows = [["original", UNKNOWN, UNKNOWN, _cell(study.score[0]), *(UNKNOWN for _ in methods)]]
    rows += [
        [
            view_words(view), _cell(study.moved[v]), told(wilson_interval(study.changed[v].float())), _cell(study.score[v]),
            *(_cell(study.agreement[method][v]) for method in methods),
        ]
        for v, view in enumerate(study.views) if v
    ]  # fmt: skip
    yield table(["view", "moved", "changed", "score", *(f"agreement: {words_of(method)}" for method in methods)], rows, num_left=1)
    yield "Cosine similarity of the same maps, the equivariance of RobustXAI:"
    rows = [
        [view_words(view), *(_cell(study.equivariance[method][v]) for method in methods)] for v, view in enumerate(study.views) if v
    ]  # fmt: skip
    yield table(["view", *map(words_of, methods)], rows, num_left=1)
    yield (
        "Does the map move where the representation does? Rank correlation of drift and moved over the views of a picture, and agreement "
        "where the prediction held and where it changed; means over pictures."
    )
    yield table(
        ["method", "drift with moved", "agreement, held", "agreement, changed"], [_held(study, method) for method in methods], num_left=1
    )
    for method, values in study.reliability.items():
        if bool(values.isfinite().any()):
            yield (
                f"{words_of(method)} is a mean over random masks or draws: two runs with others would correlate by "
                f"{float(values.nanmean()):.3f}. Views share them, but where a view moves pixels they meet other parts of the picture: "
                "there the noise of the maps alone keeps agreement from 1."
            )


def _held(study: ViewsStudy, method: str) -> list[str]:
    changed, agreement = study.changed[1:], study.agreement[method][1:]
    held = [agreement.where(rows, torch.nan).nanmean(0) for rows in (~changed, changed)]
    return [words_of(method), _cell(follows(study, method)), *map(_cell, held)]


def _cell(values: Tensor) -> str:
    return told(t_interval(values))


def _rows(study: ViewsStudy) -> Iterator[tuple[int, int, str]]:
    for n in range(len(study.ids)):
        for v in range(len(study.views)):
            for method in study.methods:
                yield n, v, method


def _plain(value: Tensor) -> str:
    return "" if math.isnan(value) else f"{float(value):.6g}"


def _mean(values: Tensor) -> str:
    interval = t_interval(values)
    if interval.num == 0:
        return UNKNOWN
    mean = fixed(interval.mean)
    return mean if interval.num < 2 else f"{mean} \u00b1 {interval.high - interval.mean:.2f}"


def _share(values: Tensor) -> str:
    return f"{100 * wilson_interval(values).mean:.0f} %"
