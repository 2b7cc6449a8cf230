"""What decides an answer, as one number: parts of another question are never taken for this one's."""

from __future__ import annotations

import hashlib
import importlib.util
import os
from collections.abc import Iterator
from dataclasses import astuple
from importlib.metadata import version
from pathlib import Path
from typing import Any

from cocoa_pl.asking.picks import Pick
from cocoa_pl.build import device_type
from cocoa_pl.build.encoders import AskedEncoder, file_digest
from cocoa_pl.cli import Request
from cocoa_pl.config import to_dict
from cocoa_pl.data.inputs import PictureSource
from cocoa_pl.runs.understanding import Question

_FORMAT = 2  # to be raised when parts hold something else
_PACKAGES = ("torch", "pillow", "numpy", "cocoa_pl")


def fingerprint(request: Request, question: Question) -> str:
    """Of the encoders, the pictures, the question, the options, and of what computes.

    Files are known by size and time of change, for reading a hundred thousand of them would take too long.
    """
    whole = hashlib.sha256()
    for told in _told(request, question):
        whole.update(repr(told).encode() + b"\n")
    return whole.hexdigest()


def _told(request: Request, question: Question) -> Iterator[Any]:
    options = to_dict(question.config)
    yield _FORMAT, question.block_size, question.image_size, device_type(question.config), [version(name) for name in _PACKAGES]
    yield options["explain"], options["run"]["seed"], request.quantile
    yield [_encoder(request, encoder) for encoder in question.encoders]
    yield [astuple(spec) for spec in request.corpora], None if request.foil is None else astuple(request.foil)
    texts = question.texts
    yield [astuple(corpus) for corpus in texts.corpora], *(None if each is None else astuple(each) for each in (texts.foil, texts.bank))
    yield texts.templates, texts.top, texts.words
    sources = [question.inputs, *(pick.source for pick in _picks(question) if pick.source is not None)]
    if not all(isinstance(source, PictureSource) and len(source.paths) == len(source) for source in sources):
        yield options["data"]  # images of a data set
    yield [_stamp(question.inputs, index) for index in range(len(question.inputs))]
    for pick in _picks(question):
        if pick.reps is not None:
            yield hashlib.sha256(pick.reps.numpy().tobytes()).hexdigest()
        elif isinstance(pick.source, PictureSource):
            yield [_stamp(pick.source, index) for index in pick.ids]
        else:
            yield pick.ids


def _picks(question: Question) -> Iterator[Pick]:
    for target in question.chosen.targets:
        yield from (pick for pick in (target.corpus, target.foil) if pick is not None)
    yield from (target.pictures for target in question.chosen.texts.targets if target.pictures is not None)


def _encoder(request: Request, encoder: AskedEncoder) -> Any:
    """Of an encoder; of a bare function, which has no weights to be known by, the file that it is in."""
    if encoder.fingerprint:
        return encoder.fingerprint
    module = (request.encoder or "").partition(":")[0]
    found = importlib.util.find_spec(module) if module else None
    source = file_digest(None if found is None or found.origin is None else Path(found.origin))
    return sorted(encoder.about.items(), key=lambda item: item[0]), source


def _stamp(source: PictureSource, index: int) -> tuple[str, int, int]:
    """A picture's file, size and time of change."""
    name = source.file(index)
    try:
        found = os.stat(name)
    except OSError:  # an image of a data set
        return name, 0, 0
    return name, found.st_size, found.st_mtime_ns
