"""The page of words: how to read this run."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from cocoa_pl.callbacks.boards.layout import UNCHARTED, Logged, Page, pages
from cocoa_pl.report.figures import trace_title

VIEW_WORDS = {
    "original": "the picture itself",
    "flip": "mirrored, left for right",
    "crop": "a part of 20 to 50 % of the area, enlarged",
    "crop_flip": "such a part, mirrored",
    "grayscale": "without colour",
    "jitter": "brightness, contrast, saturation and hue changed",
    "erase": "a rectangle filled with the mean colour",
    "rotate90": "a quarter turn",
}


def guide(logged: Logged, *, seen: Sequence[str], facts: Sequence[str]) -> str:
    """How to read this run, in Markdown, for someone who sees such pages for the first time.

    Args:
        logged: what the run logs; only charts that it has are explained.
        seen: those of its views that training makes too.
        facts: what the run has to say about itself, a sentence each.

    Example:
        >>> print(guide(Logged([], []), seen=[], facts=["Nothing is explained."]).split("## ")[0].strip())
        # How to read this run
        <BLANKLINE>
        The horizontal axis counts finished epochs; 0 is the untrained encoder.
        <BLANKLINE>
        - Nothing is explained.
    """
    parts = ["# How to read this run", _opening(logged), *_bullets(facts)]
    if logged.traces:
        traces = [(f"`{trace}`", trace_title(trace)) for trace in logged.traces]
        views = [(f"`{view}`", VIEW_WORDS.get(view, ""), _familiarity(view, seen)) for view in logged.views]
        parts += ["## What is explained", *_table(("name", "method and target"), traces)]
        parts += ["## Views of each explicand", *_table(("name", "what it does", "does training make it?"), views)]
    for page in pages(logged):
        parts += [f"## {page.title}", *_table(("chart", "what it shows", "how to read it"), _rows(page))]
    if logged.traces:
        parts += [
            "## Without a chart",
            *_table(("scalar of a trace", "what it is"), [(f"`{name}`", what) for name, what in UNCHARTED.items()]),
        ]
    return "\n\n".join(parts) + "\n"


def _opening(logged: Logged) -> str:
    axis = "The horizontal axis counts finished epochs; 0 is the untrained encoder."
    if not logged.traces:
        return axis
    return (
        f"{axis} It is the control: a number about explanations that is as good at 0 says nothing about training.\n\n"
        "An *explicand* is a picture that is explained; a *look* explains them all. In a map, red pixels raise the score and blue ones "
        "lower it. The score is the likeness to a *corpus* (the original image, or pictures of its class), less that to a *foil* of random "
        "training pictures." + (" Where the corpus is a text that names the object, the foil is other texts." if logged.to_text else "")
    )


def _rows(page: Page) -> list[tuple[str, str, str]]:
    """A row for each chart; charts that differ by method or target alone share one."""
    titles: dict[tuple[str, str], list[str]] = {}
    for chart in page.charts:
        titles.setdefault((chart.shows, chart.reading), []).append(f"**{chart.title}**")
    return [("; ".join(same), shows, reading) for (shows, reading), same in titles.items()]


def _familiarity(view: str, seen: Sequence[str]) -> str:
    return "-" if view == "original" else "yes" if view in seen else "no, it is held out"


def _bullets(sentences: Sequence[str]) -> list[str]:
    return ["\n".join(f"- {sentence}" for sentence in sentences)] if sentences else []


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    lines = [header, ["---"] * len(header), *rows]
    return ["\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)]
