"""Whose error it is: what an encoder or a checkpoint brings about is the user's to mend, and needs no traceback; our own mistakes do."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pytorch_lightning.trainer.connectors import checkpoint_connector

import cocoa_pl
from cocoa_pl import encoding, text_encoding
from cocoa_pl.errors import CheckpointError, CocoaError, DataError
from cocoa_pl.models.sources import wrappers
from cocoa_pl.models.sources.opened import one_line

_OURS = Path(cocoa_pl.__file__).parent
_CALLERS = {Path(str(module.__file__)) for module in (encoding, text_encoding, wrappers)}  # of code that is not ours


@contextmanager
def encoder_errors() -> Iterator[None]:
    """Turn what an encoder raises into one line.

    Raises:
        DataError: the encoder raised something, or it changes what gradients need.
    """
    try:
        yield
    except Exception as error:
        if not (_in_an_encoder(error) or (isinstance(error, RuntimeError) and "modified by an inplace operation" in str(error))):
            raise
        raise DataError(f"the encoder raised {one_line(error)}") from error


@contextmanager
def restoring_errors(path: Path | None) -> Iterator[None]:
    """Turn what goes wrong while Lightning puts the state of a checkpoint back into one line.

    Raises:
        CheckpointError: the state does not fit the run.
    """
    try:
        yield
    except CocoaError:
        raise
    except Exception as error:
        if path is None or not _while_restoring(error):
            raise
        raise CheckpointError(f"{path}: its state does not fit the run, or is damaged ({one_line(error)})") from error


def _while_restoring(error: Exception) -> bool:
    frames = traceback.extract_tb(error.__traceback__)
    return any(frame.filename == checkpoint_connector.__file__ and ("restore" in frame.name or "resume" in frame.name) for frame in frames)


def _in_an_encoder(error: Exception) -> bool:
    """Whether the last code of ours on the way to an error is what calls encoders, and other code came after it."""
    files = [Path(frame.filename) for frame in traceback.extract_tb(error.__traceback__)]
    ours = [place for place, file in enumerate(files) if _OURS in file.parents]
    return bool(ours) and files[ours[-1]] in _CALLERS and ours[-1] + 1 < len(files)
