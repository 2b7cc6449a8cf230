"""What stands above the pictures: the colours in words and numbers, and the controls that the script needs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from cocoa_pl.report.findings import Findings
from cocoa_pl.report.page.markup import number, text, trace_words

_ORDERS = {
    "score": ("highest", "lowest"),
    "rank": ("highest", "lowest"),
    "gap": ("highest", "lowest"),
    "reliability": ("lowest", "highest"),
    "drift": ("largest", "smallest"),
}  # the more wanted first
_RANKS = {"": "any", "0.5": ".5 or more", "0.9": ".9 or more", "1": "1, above every other"}


def legends(findings: Findings) -> str:
    """A colour bar for each trace, with its scale; the script takes from it what the trace is."""
    targets, methods = _menus(findings)
    away, towards = (text(words) for words in findings.words)
    parts = []
    for t, trace in enumerate(findings.traces):
        scale, words = float(trace.scale), text(trace_words(trace))
        ends = (number(-scale), "0", number(scale, signed=True)) if scale > 0 else ("", "every attribution is 0", "")
        part_of = f'data-target="{targets.index(trace.target)}" data-method="{methods.index(trace.method)}"'
        parts.append(
            f'<div class="legend" data-trace="{t}" {part_of} data-scale="{scale!r}"><p class="what" title="{words}">{words}</p>'
            f'<div class="bar{"" if scale > 0 else " none"}"></div>'
            f'<div class="ends"><span>{ends[0]}</span><span>{ends[1]}</span><span>{ends[2]}</span></div>'
            f'<div class="ends words"><span>{away}</span><span>{towards}</span></div></div>'
        )
    return "\n".join(parts)


def controls(findings: Findings) -> str:
    """Menus and sliders for what this report has to choose from."""
    return "\n".join(part for part in _controls(findings) if part)


def _controls(findings: Findings) -> Iterator[str]:
    targets, methods = _menus(findings)
    if len(findings.frames) > 2:
        yield _run([frame.title for frame in findings.frames])
    yield _menu("target", targets, every="all targets")
    yield _menu("method", methods, every="all methods")
    yield _menu("view", findings.views, every="all views")
    yield '<label>overlay <input type="range" id="strength" min="0" max="100" value="85"></label>'
    if "box_left" in findings.columns:
        yield '<label title="around the largest part of a map above its threshold"><input type="checkbox" id="boxes" checked> boxes</label>'
    orders = {"": "order given", "name": "name"}
    orders |= {f"{name} {end}": f"{name}, {end} first" for name in _ORDERS if name in findings.columns for end in _ORDERS[name]}
    yield f'<label>sort by <select id="order">{_options(orders)}</select></label>'
    if "rank" in findings.columns:
        yield f'<label>rank <select id="rank">{_options(_RANKS)}</select></label>'
    if bool((findings.flags != "").any()):
        yield '<label><input type="checkbox" id="flagged"> only with warnings</label>'


def _options(words: Mapping[str, str]) -> str:
    return "".join(f'<option value="{value}">{each}</option>' for value, each in words.items())


def _run(titles: Sequence[str]) -> str:
    """A slider over the encoders, a button that moves it, a box that shows all at once."""
    last = len(titles) - 1
    marks = "".join(f'<option value="{f}" label="{text(title)}"></option>' for f, title in enumerate(titles))
    return (
        '<div class="run"><button type="button" id="play" aria-pressed="false">Play</button>'
        f'<label>encoder <input type="range" id="frame" min="0" max="{last}" value="{last}" list="frames"></label>'
        f'<output id="title" for="frame"></output><datalist id="frames">{marks}</datalist>'
        '<label><input type="checkbox" id="film"> film strip</label></div>'
    )


def _menu(name: str, options: Sequence[str], *, every: str) -> str:
    """A menu of several options and all of them; nothing where there is one."""
    if len(options) < 2:
        return ""
    listed = "".join(f'<option value="{place}">{text(option)}</option>' for place, option in enumerate(options))
    return f'<label>{name} <select id="{name}">{listed}<option value="">{every}</option></select></label>'


def _menus(findings: Findings) -> tuple[list[str], list[str]]:
    """Targets and methods, each once, in order."""
    targets, methods = ([trace.target for trace in findings.traces], [trace.method for trace in findings.traces])
    return list(dict.fromkeys(targets)), list(dict.fromkeys(methods))
