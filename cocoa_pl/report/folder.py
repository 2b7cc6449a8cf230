"""A report folder: numbers for people and for programs, raw maps, pictures."""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from cocoa_pl.data.explain_set import ExplainSet
from cocoa_pl.files import write_arrays, write_bytes, write_json, write_png
from cocoa_pl.monitor import Look, Reading
from cocoa_pl.report.figures import name_of, num_pages, scales, sheet, trace_title

SCHEMA_VERSION = 1
_PAGES_SHOWN = 5  # in report.md; the folder has all


def write_look(path: Path, reading: Reading, *, epoch: int | None) -> None:
    """A look as one compressed npz: ``<trace>`` (V * E, H, W) raw maps; ``score/``, ``reliability/`` and ``flag/<trace>`` (V * E,)."""
    look = reading.look
    arrays = {trace: maps.numpy() for trace, maps in look.attributions.items()}
    arrays |= {f"score/{trace}": look.score_of(trace).numpy() for trace in look.attributions}
    arrays |= {f"reliability/{trace}": look.reliability(trace).numpy() for trace in look.attributions}
    arrays |= {f"flag/{trace}": np.array(reading.flags(trace), dtype=np.str_) for trace in look.attributions}
    arrays["epoch"] = np.array(-1 if epoch is None else epoch)
    write_arrays(path, arrays)


def write_changes(path: Path, reading: Reading, *, epoch: int | None) -> None:
    """What every map changed since every other look, as CSV: a row a map and look, of what :meth:`Reading.table` gives."""
    rows = list(reading.table(epoch=epoch))
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, fieldnames=list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    write_bytes(path, text.getvalue().encode())


def write_report(
    folder: Path, reading: Reading, *, config: Mapping[str, Any], checkpoint: Path, epoch: int
) -> None:  # fmt: skip
    """Write ``report.json``, ``report.md``, ``attributions.npz`` and ``heatmaps/*.png``.

    Raises:
        OutputError: the folder cannot be written to.
    """
    given, look, scalars = reading.given, reading.look, reading.scalars
    colour_scales, flags = scales(look), {trace: reading.flags(trace) for trace in look.attributions}
    write_look(folder / "attributions.npz", reading, epoch=epoch)
    if reading.compared:
        write_changes(folder / "drift.csv", reading, epoch=epoch)
    for trace, scale in colour_scales.items():
        for page in range(num_pages(given)):
            title = f"{trace_title(trace)}, epoch {epoch}"
            picture = sheet(given, look, trace, scale=scale, title=title, subtitle=checkpoint.name, page=page, flags=flags[trace])
            write_png(folder / "heatmaps" / _sheet_name(trace, page), picture)
    write_json(
        folder / "report.json",
        {
            "schema": SCHEMA_VERSION,
            "checkpoint": {"name": checkpoint.name, "sha256": _digest(checkpoint), "epoch": epoch},
            "versions": {name: version(name) for name in ("cocoa_pl", "torch", "pytorch-lightning", "lightly")},
            "config": config,
            "scalars": dict(sorted(scalars.items())),
            "colour_scales": colour_scales,
            "explicands": [
                {
                    "name": name_of(given, e),
                    "scores": {
                        trace: {view: float(look.score_of(trace)[v * given.num_images + e]) for v, view in enumerate(given.views)}
                        for trace in look.attributions
                    },
                    "reliability": {trace: float(look.reliability(trace)[e]) for trace in look.attributions},
                }
                for e in range(given.num_images)
            ],
        },
    )
    write_bytes(folder / "report.md", _markdown(given, look, scalars, checkpoint=checkpoint, epoch=epoch).encode())
    print(
        f"{folder}: report.md, report.json, attributions.npz{', drift.csv' if reading.compared else ''}, "
        f"{len(colour_scales) * num_pages(given)} sheets in heatmaps/"
    )
    print(_table(scalars, list(look.attributions)))


def _markdown(given: ExplainSet, look: Look, scalars: Mapping[str, float], *, checkpoint: Path, epoch: int) -> str:
    pages = range(min(num_pages(given), _PAGES_SHOWN))
    pictures = "\n\n".join(
        "\n\n".join([f"## {trace_title(trace)}", *(f"![{trace_title(trace)}](heatmaps/{_sheet_name(trace, page)})" for page in pages)])
        for trace in look.attributions
    )
    return (
        f"# What {checkpoint.name} looks at\n\n"
        f"Epoch {epoch}; {given.num_images} images under {len(given.views)} views; {look.num_forwards} images encoded. "
        f"Red raises the similarity to the corpus beyond that to {len(given.foil)} random training images, blue lowers it.\n\n"
        f"{_table(scalars, list(look.attributions))}\n\n{pictures}\n"
    )


def _sheet_name(trace: str, page: int) -> str:
    return f"{trace}.png" if page == 0 else f"{trace}-{page + 1}.png"


def _table(scalars: Mapping[str, float], traces: Sequence[str]) -> str:
    """Metrics in rows, traces in columns, as a Markdown table; below it what belongs to no trace."""
    own = [tag.split("/", 2) for tag in scalars]
    metrics = list(dict.fromkeys(parts[2] for parts in own if len(parts) == 3 and parts[1] in traces))
    lines = [f"| {'metric':<34} |" + "".join(f" {trace:>28} |" for trace in traces), f"| {'-' * 34} |" + f" {'-' * 27}: |" * len(traces)]
    for metric in metrics:
        values = [scalars.get(f"explain/{trace}/{metric}") for trace in traces]
        lines.append(f"| {metric:<34} |" + "".join(f" {'' if value is None else format(value, '.4f'):>28} |" for value in values))
    rest = {tag.removeprefix("explain/"): value for tag, value in scalars.items() if tag.split("/")[1] not in traces}
    lines += ["", f"| {'of all traces':<34} | {'':>28} |", f"| {'-' * 34} | {'-' * 27}: |"]
    lines += [f"| {name:<34} | {value:>28.4f} |" for name, value in rest.items()]
    return "\n".join(lines)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
