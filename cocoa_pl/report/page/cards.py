"""A card for each picture: the picture under its views, its maps by every trace and frame, and what is known of each map."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from cocoa_pl.report.findings import Block, Findings, Floats, Pixels
from cocoa_pl.report.page.markup import number, split_flags, text, trace_words, with_error
from cocoa_pl.report.page.prompts import prompt
from cocoa_pl.report.page.tiles import levels, map_file, picture_files, reduced, side_for
from cocoa_pl.viz.box import Box
from cocoa_pl.viz.panel import tile_width

PAGE_BUDGET = 17_000_000  # characters of all cards: a mail of 25 MB holds no more, being a third longer than what is in it
SORTED_BY = ("score", "rank", "gap", "reliability", "drift")  # what a page sorts pictures by
_ROOM, _SMALL_ROOM = 184, 112  # pixels of the screen for a tile, and for one of a film strip
_SMALL_PRINT = ("rank", "reliability", "gap", "prompt_agreement")
_LETTER, _MOST_LINES = 7, 3  # pixels of a letter of a heading, and lines of what it is towards
_PIXELS = 96  # smaller pictures are shown as squares


@dataclass(frozen=True)
class Cards:
    """Cards as markup.

    Attributes:
        markup: a card a picture.
        side: the longest side of what is shown, in pixels of the page.
        native: the longest side of what was explained; 0 without pictures.
        full: whether the page became too large for more.
    """

    markup: tuple[str, ...]
    side: int
    native: int
    full: bool


@dataclass(frozen=True)
class _Row:
    picture: int
    view: int
    image: Pixels
    maps: tuple[dict[str, Floats], ...]


def cards(findings: Findings, *, max_pictures: int) -> Cards:
    """Cards of the first pictures, at most ``max_pictures`` and as many as a page of ``PAGE_BUDGET`` holds, one at least.

    Blocks are read once, and no further than needed.
    """
    num = min(max_pictures, int(findings.finished.sum()))
    side = side_for(num * len(findings.views) * len(findings.traces) * len(findings.frames))
    made: list[str] = []
    size = native = 0
    if num < 1:
        return Cards((), side, native, full=False)
    for rows in _by_picture(findings.blocks()):
        card = _card(findings, rows, side=side)
        if made and size + len(card) > PAGE_BUDGET:
            return Cards(tuple(made), side, native, full=True)
        made.append(card)
        size, native = size + len(card), max(native, *rows[0].image.shape[:2])
        if len(made) == num:
            break
    return Cards(tuple(made), side, native, full=False)


def tile_sizes(height: int, width: int) -> tuple[int, int]:
    """Widths on the screen of a tile and of one of a film strip: whole multiples of a small picture.

    Example:
        >>> tile_sizes(28, 28), tile_sizes(152, 152), tile_sizes(192, 96)
        ((196, 112), (184, 112), (92, 56))
    """
    across = (round(room * min(1.0, width / height)) for room in (_ROOM, _SMALL_ROOM))
    wide, small = (tile_width(width, room=room) if width <= room / 2 else room for room in across)
    return wide, small


def _by_picture(blocks: Iterator[Block]) -> Iterator[list[_Row]]:
    """The rows of one picture after another, also where a picture's rows lie in two blocks."""
    rows: list[_Row] = []
    for block in blocks:
        for n, (picture, view) in enumerate(zip(block.pictures.tolist(), block.views.tolist(), strict=True)):
            if rows and rows[0].picture != picture:
                yield rows
                rows = []
            maps = tuple({key: found[n] for key, found in frame.items()} for frame in block.maps)
            rows.append(_Row(picture, view, block.images[n], maps))
    if rows:
        yield rows


def _card(findings: Findings, rows: list[_Row], *, side: int) -> str:
    e = rows[0].picture
    name, file = findings.pictures[e], findings.files[e]
    views = "\n".join(_view(findings, row, name, side=side) for row in sorted(rows, key=lambda row: row.view))
    height, width = reduced(*rows[0].image.shape[:2], side=side)
    tile, small = tile_sizes(height, width)
    kind = "picture pixels" if max(height, width) <= _PIXELS else "picture"
    kind += " named" if findings.labels is not None else ""
    return (
        f'<article class="{kind}" data-name="{text(name)}" style="--wide:{tile}px;--small:{small}px;--lines:{_lines(findings, tile)}">\n'
        f'<h3 title="{text(file or name)}" dir="auto">{text(name)}</h3>\n{views}\n</article>'
    )


def _lines(findings: Findings, tile: int) -> int:
    """Lines of the longest heading of a map, over a tile so many pixels wide; all get as many, so that pictures side by side stay level."""
    a_line = max(1, tile // _LETTER)
    lines = min(_MOST_LINES, max((-(-len(trace_words(trace)) // a_line) for trace in findings.traces), default=1))
    longest = 0 if findings.labels is None else max(map(len, findings.labels.ravel().tolist()), default=0)
    return lines + min(2, -(-longest // a_line))


def _view(findings: Findings, row: _Row, name: str, *, side: int) -> str:
    photo, grey = picture_files(row.image, side=side)
    view, single = findings.views[row.view], len(findings.views) == 1
    label = text("the picture" if single else view) + (' <i class="chip">held out</i>' if findings.held_out[row.view] else "")
    title = f' title="{text(view)}{", a view that training never made" if findings.held_out[row.view] else ""}"'
    height, width = reduced(*row.image.shape[:2], side=side)
    size = f'width="{width}" height="{height}"'
    lines = _heading(label, "", named=findings.labels is not None)
    plain = f'<img {size} decoding="async" alt="{text(name if single else f"{name}, {view}")}" src="{photo}">'
    traces = "\n".join(_trace(findings, row, t, size=size, side=side) for t in range(len(findings.traces)))
    return (
        f'<div class="view" data-view="{row.view}" style="--under:url({grey})">\n'
        f'<div class="plain"><p class="what"{title}>{lines}</p>'
        f'<figure class="tile"><div class="stack">{plain}<b></b></div></figure></div>\n'
        f'<div class="traces">\n{traces}\n</div></div>'
    )


def _trace(findings: Findings, row: _Row, t: int, *, size: str, side: int) -> str:
    trace = findings.traces[t]
    labels = [findings.label((f, t, row.picture, row.view)) for f in range(len(findings.frames))]
    differs = len(set(labels)) > 1
    shared = "" if differs else labels[0]
    tiles = [
        _tile(findings, row, f, t, differs=differs, file=map_file(levels(maps[trace.key], scale=trace.scale, side=side)), size=size)
        for f, maps in enumerate(row.maps)
    ]
    heading = _heading(text(trace_words(trace)), text(shared), named=findings.labels is not None)
    return (
        f'<div class="trace" data-trace="{t}"><p class="what" title="{text(trace_words(trace, shared))}">{heading}</p>'
        f'<div class="strip">\n{"".join(tiles)}</div></div>'
    )


def _heading(words: str, label: str, *, named: bool) -> str:
    """Escaped words; in reports with labels, what the target is in this picture on a line of its own."""
    return f'{words}:<br><b dir="auto">{label}</b>' if named and label else words


def _tile(findings: Findings, row: _Row, f: int, t: int, *, differs: bool, file: str, size: str) -> str:
    """A map of a frame; its label stands beneath where it ``differs`` from frame to frame."""
    at, title = (f, t, row.picture, row.view), text(findings.frames[f].title)
    several = len(findings.frames) > 1
    known = {name: float(column[at]) for name, column in findings.columns.items() if np.isfinite(column[at])}
    flag, told = str(findings.flags[at]), {name: known[name] for name in SORTED_BY if name in known}
    data = "".join(f' data-{name}="{value:.6g}"' for name, value in told.items()) + (f' data-flag="{text(flag)}"' if flag else "")
    lines = [f'<p class="when" title="{title}">{title}</p>'] if several else []
    trace, label = findings.traces[t], findings.label(at)
    lines += [f'<p><b dir="auto">{text(label)}</b></p>'] if differs and label else []
    words = f"{text(trace_words(trace, label))}{f', {title}' if several else ''}"
    if "score" in known:
        score, error = with_error(known["score"], known.get("score_error", 0.0), signed=True)
        lines.append(f"<p>score <b>{score}</b><span class=fine>{error}</span></p>")
        words += f": score {score}{error}"
    facts = [f"{name.replace('_', ' ')}\u00a0{number(known[name])}" for name in _SMALL_PRINT if name in known]
    lines += [f"<p class=fine>{', '.join(facts)}</p>"] if facts else []
    lines += [_change(known)] if "drift" in known else []
    if trace.key in findings.word_values:
        lines.append(prompt(trace.words, findings.word_values[trace.key][f, row.picture, row.view], scale=findings.word_scale))
    chips = " ".join(f'<i class="flag">{text(one)}</i>' for one in split_flags(flag))
    lines += [f"<p>{chips}</p>"] if chips else []
    return (
        f'<figure class="tile" data-frame="{f}"{data}><div class="stack">'
        f'<img class="map" {size} decoding="async" alt="{words}" src="{file}">{_box(findings.box(at), row.image)}<b></b></div>'
        f"<figcaption>{''.join(lines)}</figcaption></figure>\n"
    )


def _box(box: Box | None, image: Pixels) -> str:
    """An outline over a map, in percent of the picture (H, W, 3), so that it grows with it.

    Example:
        >>> _box((10.0, 0.0, 30.0, 20.0), np.zeros((20, 40, 3), dtype=np.uint8))
        '<i class="box" style="left:25%;top:0%;width:50%;height:100%"></i>'
    """
    if box is None:
        return ""
    height, width = image.shape[:2]
    left, top, right, bottom = box
    sides = {"left": left / width, "top": top / height, "width": (right - left) / width, "height": (bottom - top) / height}
    return f'<i class="box" style="{";".join(f"{side}:{100 * share:.6g}%" for side, share in sides.items())}"></i>'


def _change(known: dict[str, float]) -> str:
    """How much a map changed, its interval, and whether noise alone would do that."""
    words = f"<p>drift {number(known['drift'])}"
    if "drift_low" in known and "drift_high" in known:
        words += f"<span class=fine> ({number(known['drift_low'])} to {number(known['drift_high'])})</span>"
    if "drift_flagged" in known:
        words += ", <b>beyond noise</b>" if known["drift_flagged"] else ", within noise"
    if "drift_noise" in known:
        words += f"<span class=fine>{'' if 'drift_flagged' in known else ', noise'} of {number(known['drift_noise'])}</span>"
    return f"{words}</p>"
