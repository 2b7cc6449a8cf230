"""What a report says of its maker's machine: names of files and folders, but not where they lie, for a report is passed on to others."""

from __future__ import annotations

import ntpath
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from cocoa_pl.report.findings import Findings


def portable(findings: Findings) -> Findings:
    """Findings that name no absolute path of those in their settings and files.

    Files keep the folders below those that all of them share; a setting that is an absolute path keeps its last name, in sentences too.
    """
    paths = sorted({text for text in _texts(findings.settings) if _is_absolute(text)}, key=len, reverse=True)

    def told(sentence: str) -> str:
        for path in paths:
            sentence = sentence.replace(path, _last(path))
        return sentence

    return replace(
        findings,
        title=told(findings.title),
        files=tuple(portable_files(findings.files)),
        settings=portable_values(findings.settings),
        facts=tuple(map(told, findings.facts)),
        frames=tuple(
            replace(frame, encoder=portable_values(frame.encoder), warnings=tuple(map(told, frame.warnings))) for frame in findings.frames
        ),
    )


def portable_files(files: Sequence[str]) -> list[str]:
    """Absolute paths without the folders that all of them share; relative ones stay as they are.

    Example:
        >>> portable_files(["/home/ada/photos/red/1.jpg", "/home/ada/photos/blue/2.jpg", "more/3.jpg"])
        ['red/1.jpg', 'blue/2.jpg', 'more/3.jpg']
        >>> portable_files(["/home/ada/1.jpg", "/srv/2.jpg"])
        ['1.jpg', '2.jpg']
    """
    folders = [os.path.dirname(file) for file in files if os.path.isabs(file)]
    shared = os.path.commonpath(folders) if folders else ""
    nothing = shared.strip(os.sep) == ""  # folders would tell where each of them lies
    short = os.path.basename if nothing else partial(os.path.relpath, start=shared)
    return [short(file) if os.path.isabs(file) else file for file in files]


def portable_values(value: Any) -> Any:
    """Nested values, in which every text that is an absolute path has become its last name.

    Example:
        >>> portable_values({"data": {"root": "/home/ada/photos/", "name": "image_folder"}, "input": ["/tmp/*.jpg", "val:3"]})
        {'data': {'root': 'photos', 'name': 'image_folder'}, 'input': ['*.jpg', 'val:3']}
    """
    if isinstance(value, Mapping):
        return {name: portable_values(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [portable_values(item) for item in value]
    return _last(value) if isinstance(value, str) and _is_absolute(value) else value


def _texts(value: Any) -> Iterator[str]:
    """All texts in nested values."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping | list | tuple):
        for item in value.values() if isinstance(value, Mapping) else value:
            yield from _texts(item)


def _is_absolute(path: str) -> bool:
    return len(path) > 1 and (os.path.isabs(path) or ntpath.isabs(path))


def _last(path: str) -> str:
    return ntpath.basename(path.rstrip("/\\")) if ntpath.splitdrive(path)[0] else os.path.basename(path.rstrip("/"))
