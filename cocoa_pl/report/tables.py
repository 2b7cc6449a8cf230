"""A report's numbers for programs: metrics.csv, words.csv, attributions.npz, report.json."""

from __future__ import annotations

import csv
import io
import math
import zipfile
from collections.abc import Iterator, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cocoa_pl.files import part_of, write_bytes, write_json
from cocoa_pl.report.findings import COLUMNS, At, Findings, Trace

SCHEMA_VERSION = 2
_MOST_IN_JSON = 1000  # pictures whose numbers are in report.json as well as in metrics.csv
_PACKAGES = ("cocoa_pl", "torch", "torchvision", "pytorch-lightning", "lightly")


def write_metrics(path: Path, findings: Findings) -> None:
    """One row a frame, picture, view and trace; the columns are those of :data:`~cocoa_pl.report.findings.COLUMNS`, and labels.

    Raises:
        OutputError: it cannot be written.
    """
    text = io.StringIO(newline="")
    names = [name for name in COLUMNS if name in findings.columns]
    writer = csv.writer(text)
    named = [] if findings.labels is None else ["label"]
    writer.writerow(["frame", "picture", "file", "view", "trace", "method", "target", *named, *names, "flags"])
    for f, e, v, t in _rows(findings):
        trace, at = findings.traces[t], (f, t, e, v)
        values = [_number(findings.columns[name][at]) for name in names]
        label = [findings.label(at) for _ in named]
        writer.writerow([*_place(findings, at), trace.method, trace.target, *label, *values, findings.flags[at]])
    write_bytes(path, text.getvalue().encode())


def write_words(path: Path, findings: Findings) -> None:
    """One row a frame, picture, view, trace and word of its prompt; without values of words no file, nor one of an earlier report.

    Raises:
        OutputError: it cannot be written.
    """
    if not findings.word_values:
        path.unlink(missing_ok=True)
        return
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(["frame", "picture", "file", "view", "trace", "place", "word", "value"])
    for f, e, v, t in _rows(findings):
        trace = findings.traces[t]
        for place, word in enumerate(trace.words if trace.key in findings.word_values else ()):
            writer.writerow([*_place(findings, (f, t, e, v)), place, word, _number(findings.word_values[trace.key][f, e, v, place])])
    write_bytes(path, text.getvalue().encode())


def write_report_json(path: Path, findings: Findings) -> None:
    """Everything but pixels and maps; docs/report.md describes it.

    Raises:
        OutputError: it cannot be written.
    """
    shown = [e for e in range(len(findings.pictures)) if findings.finished[e]][:_MOST_IN_JSON]
    write_json(
        path,
        {
            "schema": SCHEMA_VERSION,
            "title": findings.title,
            "facts": list(findings.facts),
            "versions": {name: found for name in _PACKAGES if (found := _version(name))},
            "settings": dict(findings.settings),
            "views": list(findings.views),
            "traces": [_trace(trace) for trace in findings.traces],
            "frames": [
                {"title": f.title, "encoder": dict(f.encoder), "scalars": dict(sorted(f.scalars.items())), "warnings": list(f.warnings)}
                for f in findings.frames
            ],
            "scalars": dict(sorted(findings.frames[-1].scalars.items())),
            "num_pictures": len(findings.pictures),
            "num_finished": int(findings.finished.sum()),
            "columns": {name: COLUMNS[name] for name in findings.columns},
            "pictures": [
                {
                    "name": findings.pictures[e],
                    "file": findings.files[e],
                    "maps": [_map(findings, f, t, e, v) for f, t, v in np.ndindex(_counts(findings))],
                }
                for e in shown
            ],
        },
    )


def write_attributions(path: Path, findings: Findings) -> None:
    """Raw maps as float32: ``<trace>`` (E, V, H, W), with several frames ``<frame>/<trace>``; NaN for pictures that are not finished.

    They are written picture by picture, so that any number of them fits. ``pictures`` (E,) and ``views`` (V,) hold the names.

    Raises:
        OutputError: it cannot be written.
    """
    first = next(findings.blocks(traces=[]), None)
    with part_of(path) as part, zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, texts in (("pictures", findings.pictures), ("views", findings.views)):
            _write_array(archive, name, np.array(texts, dtype=np.str_))
        for f in range(len(findings.frames)) if first is not None else ():
            for trace in findings.traces:
                name = trace.key if len(findings.frames) == 1 else f"{f}/{trace.key}"
                _write_maps(archive, name, findings, f, trace.key, first.images.shape[1:3])  # type: ignore[union-attr]


def _write_maps(archive: zipfile.ZipFile, name: str, findings: Findings, frame: int, trace: str, size: tuple[int, ...]) -> None:
    num, views = len(findings.pictures), len(findings.views)
    unknown = np.full((views, *size), np.nan, dtype=np.float32)
    with archive.open(f"{name}.npy", "w", force_zip64=True) as file:
        np.lib.format.write_array_header_2_0(
            file, {"descr": np.lib.format.dtype_to_descr(np.dtype(np.float32)), "fortran_order": False, "shape": (num, views, *size)}
        )  # fmt: skip
        at = 0
        for block in findings.blocks(traces=[trace], frames=[frame]):
            maps = block.maps[frame][trace]
            for picture in np.unique(block.pictures):
                for _ in range(at, picture):
                    file.write(unknown.tobytes())
                rows = block.pictures == picture
                own = unknown.copy()
                own[block.views[rows]] = maps[rows]
                file.write(own.tobytes())
                at = int(picture) + 1
        for _ in range(at, num):
            file.write(unknown.tobytes())


def _write_array(archive: zipfile.ZipFile, name: str, values: NDArray[Any]) -> None:
    with archive.open(f"{name}.npy", "w", force_zip64=True) as file:
        np.lib.format.write_array(file, values, allow_pickle=False)


def _rows(findings: Findings) -> Iterator[tuple[int, int, int, int]]:
    """Frame, picture, view and trace of every map that there is."""
    for e in np.flatnonzero(findings.finished).tolist():
        for f, t, v in np.ndindex(_counts(findings)):
            yield f, e, v, t


def _trace(trace: Trace) -> Mapping[str, Any]:
    own = {"key": trace.key, "method": trace.method, "target": trace.target, "colour_scale": trace.scale}
    return own | ({"words": list(trace.words)} if trace.words else {})


def _place(findings: Findings, at: At) -> list[str]:
    """What names a map."""
    f, t, e, v = at
    return [findings.frames[f].title, findings.pictures[e], findings.files[e], findings.views[v], findings.traces[t].key]


def _counts(findings: Findings) -> tuple[int, int, int]:
    return len(findings.frames), len(findings.traces), len(findings.views)


def _map(findings: Findings, f: int, t: int, e: int, v: int) -> Mapping[str, Any]:
    key, label = findings.traces[t].key, findings.label((f, t, e, v))
    own: dict[str, Any] = {"frame": f, "trace": key, "view": findings.views[v], "flags": str(findings.flags[f, t, e, v])}
    own |= {"label": label} if label else {}
    own |= {"words": findings.word_values[key][f, e, v].tolist()} if key in findings.word_values else {}
    values = {name: float(column[f, t, e, v]) for name, column in findings.columns.items()}
    return own | {name: value for name, value in values.items() if not math.isnan(value)}


def _number(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.7g}"


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
