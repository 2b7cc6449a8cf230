"""The augmentation study on paper: a page of numbers, then a page for every encoder and class with the pictures of the HTML page.

Places and lengths are in inches from the upper left corner of a page, sizes of letters in points. The same study gives the same bytes.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import NamedTuple

import matplotlib
import numpy as np
from matplotlib.backends.backend_pdf import PdfPages

from cocoa_pl.report.figures import to_bytes
from cocoa_pl.study.views import ViewsStudy
from cocoa_pl.study.views_page import CHANGED, LEAD, LESS, MORE, READING, check, scales, shown, shown_of
from cocoa_pl.study.views_paper import GAP, HEIGHT, LINE, MARGIN, SMALL, WIDTH, Paper
from cocoa_pl.study.views_tables import Line, facts, fixed, short_lines, view_words
from cocoa_pl.study.writing import words_of
from cocoa_pl.viz import overlay, signed_colours
from cocoa_pl.viz.page import INK, MUTED, RULE
from cocoa_pl.viz.text import signed_number

_SIDE, _BETWEEN = 0.3, 0.2  # names of methods at the left of tiles; pictures
_TOP, _BOTTOM = 1.15, 0.6  # of the pictures of a class: below title and colours, above the key
_KEY = (
    "Under a view: predicted class, probability, and how far the representation moved. Under a map: rank correlation with the original's."
)
_TILES = (0.54, 1.1)  # narrower ones have no room for words, such as moved 0.12


class _Plan(NamedTuple):
    """How the pictures of a class lie on their page."""

    num: int  # pictures
    columns: int
    tile: tuple[float, float]  # width and height
    picture: tuple[float, float]  # of a picture with all its views and maps


def views_pdf(studies: Sequence[ViewsStudy], *, max_pictures: int = 4) -> bytes:
    """A PDF, A4: numbers of all encoders on the first page, then a page for each class of each encoder.

    Args:
        studies: at least one, of the same views.
        max_pictures: of a class, the first ones; fewer where their tiles would be too small to be read.

    Raises:
        ValueError: as :func:`~cocoa_pl.study.views_page.views_html`.
    """
    check(studies, max_pictures=max_pictures)
    out = io.BytesIO()
    about = {"Title": "Augmentation study", "Creator": "cocoa_pl", "CreationDate": None}
    with (
        matplotlib.rc_context(
            {
                "font.family": "DejaVu Sans", "text.usetex": False, "text.parse_math": False, "pdf.fonttype": 3, "pdf.compression": 6,
                "savefig.facecolor": "white", "savefig.bbox": None, "figure.autolayout": False, "figure.constrained_layout.use": False,
            }
        ),
        PdfPages(out, metadata=about) as pages,
    ):  # fmt: skip
        pages.savefig(_numbers(studies).figure)
        for study in studies:
            of_method = scales(study)
            for label in study.classes:
                pages.savefig(_class(study, label, of_method, max_pictures=max_pictures).figure)
    return out.getvalue()


def _numbers(studies: Sequence[ViewsStudy]) -> Paper:
    paper, room = Paper(), WIDTH - 2 * MARGIN
    paper.write((MARGIN, 0.65), "Augmentation study", size=20, room=room, bold=True)
    top = paper.paragraph(0.9, LEAD, size=11, room=room)
    top = paper.paragraph(top + 0.05, f"{READING} {CHANGED}", room=0.85 * room, colour=MUTED)
    lines = short_lines(studies)
    same = len({facts(study) for study in studies}) == 1
    asked = [facts(studies[0])] if same else [f"{study.title}: {facts(study)}" for study in studies]
    free = HEIGHT - MARGIN - top - 0.6 - 0.15 * (len(asked) + 1)
    step = min(0.24, max(LINE, free / max(1, len(lines))))
    fits = lines[: int(free / step + 1e-6)]
    left_out = f" {len(lines) - len(fits)} lines have no room here." if len(fits) < len(lines) else ""
    _table(paper, fits, top + 0.3, step=step, views=studies[0].views[1:])
    foot = top + 0.3 + step * (len(fits) + 0.5) + 0.2
    note = f"Means over the pictures, \u00b1 half the width of a 95 % interval (Student's); drift of maps is 1 \u2212 agreement.{left_out}"
    for k, words in enumerate([note, *asked]):
        paper.write((MARGIN, foot + 0.15 * k), words, size=7.5, room=room, colour=MUTED)
    return paper


def _table(paper: Paper, lines: Sequence[Line], top: float, *, step: float, views: Sequence[str]) -> None:
    size = min(9.0, max(SMALL, step * 72 / 1.6))
    first, second = 2.6, 1.9  # widths of the columns of quantities and encoders
    wide = (WIDTH - 2 * MARGIN - first - second) / max(1, len(views))
    rights = [MARGIN + first + second + wide * (v + 1) for v in range(len(views))]
    for words, at in (("quantity", MARGIN), ("encoder", MARGIN + first)):
        paper.write((at, top), words, size=size, room=second, bold=True)
    for view, right in zip(views, rights, strict=True):
        paper.write((right, top), view_words(view), size=size, room=wide, align="right", bold=True)
    last = ""
    for k, line in enumerate(lines):
        middle = top + step * (k + 1)
        if line.quantity != last:
            paper.rule(middle - step / 2, colour=RULE if last else INK)
            paper.write((MARGIN, middle), line.quantity, size=size, room=first - 0.1)
        last = line.quantity
        paper.write((MARGIN + first, middle), line.encoder, size=size, room=second - 0.1)
        for said, right in zip(line.cells, rights, strict=True):
            paper.write((right, middle), said, size=size, room=wide, align="right")
    paper.rule(top + step * (len(lines) + 0.5), colour=INK)


def _class(study: ViewsStudy, label: int, of_method: dict[str, float], *, max_pictures: int) -> Paper:
    paper, room = Paper(), WIDTH - 2 * MARGIN
    rows = shown(study, label, max_pictures)
    plan = _plan(len(rows), num_views=len(study.views), num_methods=len(of_method), shape=study.images.shape[-2:])
    note = shown_of(study, label, plan.num)
    paper.write((MARGIN, 0.55), f"{study.class_names[label]}", size=14, room=0.45 * room, bold=True)
    said = "  \u00b7  ".join(part for part in (study.title, note) if part)
    paper.write((WIDTH - MARGIN, 0.55), said, size=9, room=0.5 * room, align="right", colour=MUTED)
    _legends(paper, of_method)
    paper.write((MARGIN, HEIGHT - 0.4), f"{_KEY} {CHANGED}", room=room, colour=MUTED)
    pitch = (room - plan.picture[0]) / max(1, plan.columns - 1)
    for k, n in enumerate(rows[: plan.num]):
        row, column = divmod(k, plan.columns)
        corner = (MARGIN + column * pitch, _TOP + row * (plan.picture[1] + _BETWEEN))
        _picture(paper, study, n, of_method, corner=corner, tile=plan.tile)
    return paper


def _plan(num: int, *, num_views: int, num_methods: int, shape: Sequence[int]) -> _Plan:
    """The largest tiles for as many of the pictures as can be shown in tiles that are not too small."""
    ratio = shape[0] / shape[1]
    room = (WIDTH - 2 * MARGIN, HEIGHT - _BOTTOM - _TOP)
    words = LINE * (4 + num_methods) + 0.03 * (1 + num_methods)
    for count in range(num, 0, -1):
        widths = {}
        for columns in range(1, count + 1):
            lines = -(-count // columns)
            across = (room[0] - (columns - 1) * _BETWEEN) / columns - _SIDE - (num_views - 1) * GAP
            down = (room[1] - (lines - 1) * _BETWEEN) / lines - words
            widths[columns] = min(across / num_views, down / (1 + num_methods) / ratio, _TILES[1])
        columns = max(widths, key=lambda each: widths[each])
        if widths[columns] >= _TILES[0] or count == 1:
            break
    width, height = widths[columns], widths[columns] * ratio
    whole = (_SIDE + num_views * width + (num_views - 1) * GAP, words + (1 + num_methods) * height)
    return _Plan(count, columns, (width, height), whole)


def _legends(paper: Paper, of_method: dict[str, float]) -> None:
    """A colour bar for each method, below the title."""
    wide = min(3.2, (WIDTH - 2 * MARGIN) / len(of_method) - 0.3)
    ramp = signed_colours(np.linspace(-1, 1, 129)[None], scale=1.0)
    for k, (method, scale) in enumerate(of_method.items()):
        left = MARGIN + k * (wide + 0.3)
        paper.write((left, 0.76), words_of(method), room=0.55 * wide, bold=True)
        paper.write((left + wide, 0.76), f"scale \u00b1{signed_number(scale).lstrip('+')}", room=0.42 * wide, align="right", colour=MUTED)
        paper.picture(ramp, (left, 0.83), (wide, 0.08))
        paper.write((left, 0.99), LESS, room=0.48 * wide, colour=MUTED)
        paper.write((left + wide, 0.99), MORE, room=0.48 * wide, align="right", colour=MUTED)


def _picture(
    paper: Paper, study: ViewsStudy, n: int, of_method: dict[str, float], *, corner: tuple[float, float], tile: tuple[float, float]
) -> None:  # fmt: skip
    """A picture: its views with what they are taken for, and beneath them the maps of each method."""
    (left, top), (width, height) = corner, tile
    images = [np.ascontiguousarray(image) for image in to_bytes(study.images[:, n].float() / 255)]
    start, pitch = left + _SIDE, height + LINE + 0.03
    centres = [start + v * (width + GAP) + width / 2 for v in range(len(images))]
    room, below = width + 0.8 * GAP, top + 4 * LINE + 0.03 + height
    paper.write(
        (left + 0.12, top + LINE + height / 2), f"picture {int(study.ids[n])}", room=pitch, align="center", turned=True, colour=MUTED
    )
    paper.tiles(images, (start, top + LINE), tile)
    for v, (centre, view) in enumerate(zip(centres, study.views, strict=True)):
        paper.write((centre, top + LINE / 2), view_words(view), room=room, align="center", colour=MUTED)
        name, changed = study.class_names[int(study.predicted[v, n])], bool(study.changed[v, n])
        said, mistaken = [name, fixed(study.probability[v, n])], not v and bool(study.mistaken[n])
        said += [f"moved {fixed(study.moved[v, n])}"] if v else [f"true: {study.class_names[int(study.labels[n])]}"] * mistaken
        for line, words in enumerate(said):
            place, marked = (centre, top + LINE * (1.6 + line) + height), (changed and not line) or (mistaken and line == 2)
            paper.write(place, words, room=room, align="center", colour=MUTED if line else INK, marked=marked)
    for k, (method, scale) in enumerate(of_method.items()):
        own = below + k * pitch
        paper.turned((left + 0.12, own + height / 2), words_of(method), room=pitch)
        maps = study.maps[method][:, n].numpy()
        paper.tiles([overlay(image, each, scale=scale) for image, each in zip(images, maps, strict=True)], (start, own), tile)
        for centre, agreement in zip(centres, study.agreement[method][:, n], strict=True):
            paper.write((centre, own + height + 0.55 * LINE), fixed(agreement), room=room, align="center", colour=MUTED)
