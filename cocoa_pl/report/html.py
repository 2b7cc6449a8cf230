"""``report.html``: one file that explains itself, to be opened anywhere and mailed to anyone.

It asks for nothing from outside and shows everything without scripts; a script adds choosing, sorting and the value under the pointer. A
content security policy names that script by its digest, so that no other runs, whatever a picture is called.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from string import Template

import numpy as np

from cocoa_pl.files import write_bytes
from cocoa_pl.report.findings import Findings
from cocoa_pl.report.page.cards import Cards, cards
from cocoa_pl.report.page.charts import charts
from cocoa_pl.report.page.controls import controls, legends
from cocoa_pl.report.page.markup import many, text
from cocoa_pl.report.page.overview import targets
from cocoa_pl.report.page.records import numbers, settings
from cocoa_pl.report.page.sections import alerts, reading
from cocoa_pl.report.page.tiles import colour_stops

_FIRST = 'document.documentElement.className = "js";'  # before anything is drawn


def write_html(path: Path, findings: Findings, *, max_pictures: int = 100) -> int:
    """Write a report as one page and return how many pictures it shows.

    Args:
        path: the file.
        findings: what to show; its blocks are read once, no further than needed.
        max_pictures: the first so many of those that are explained; fewer where the page would pass about 17 MB.

    Raises:
        OutputError: the file cannot be written.
        ValueError: ``max_pictures`` is negative.
    """
    if max_pictures < 0:
        raise ValueError(f"max_pictures must not be negative, got {max_pictures}")
    findings = replace(findings, columns={name: column for name, column in findings.columns.items() if np.isfinite(column).any()})
    shown = cards(findings, max_pictures=max_pictures)
    script, curves = _asset("script.js"), charts(findings)
    page = Template(_asset("page.html")).substitute(
        policy=f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src {_digest(_FIRST)} {_digest(script)}",
        title=text(findings.title),
        style=Template(_asset("style.css")).substitute(stops=colour_stops()),
        first=_FIRST,
        script=script,
        facts=_facts(findings.facts),
        alerts=alerts(findings),
        targets=targets(findings),
        curves=curves,
        links='<a href="#curves">Over the run</a>' if curves else "",
        legends=legends(findings),
        controls=controls(findings),
        extent=_extent(findings, shown),
        film="film" if len(findings.frames) > 2 else "",
        cards="\n".join(shown.markup),
        reading=reading(findings, side=shown.side, native=shown.native),
        numbers=numbers(findings),
        settings=settings(findings),
    )
    write_bytes(path, page.encode(errors="replace"))  # a name of bytes that are no text has characters that no file can hold
    return len(shown.markup)


def _asset(name: str) -> str:
    return (files("cocoa_pl.report.page") / name).read_text(encoding="utf-8")


def _digest(script: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"


def _facts(facts: Sequence[str]) -> str:
    """What was asked, the first sentence larger."""
    return "".join(f"<p class={'rest' if place else 'lead'}>{text(fact)}</p>" for place, fact in enumerate(facts))


def _extent(findings: Findings, shown: Cards) -> str:
    """How many pictures there are, are explained and are shown, and where the rest is; empty where all are here."""
    total, done, here = len(findings.pictures), int(findings.finished.sum()), len(shown.markup)
    said = []
    if done < total:
        said.append(f"{done} of {many(total, 'picture')} {'is' if done == 1 else 'are'} explained so far.")
    if here < done:
        why = ", so that it can still be mailed" if shown.full else ""
        said.append(f"This page shows the first {here} of {done}{why}; metrics.csv has the numbers of all and attributions.npz the maps.")
    return f'<p class="note">{" ".join(said)}</p>' if said else ""
