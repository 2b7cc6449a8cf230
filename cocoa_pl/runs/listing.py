"""The list on standard input, for every process of a run: only the first of them has a standard input that is not used up."""

from __future__ import annotations

import atexit
import io
import os
import sys
import tempfile
from pathlib import Path
from typing import TextIO

from pytorch_lightning.utilities import rank_zero_only

_KEPT = "COCOA_PL_STDIN"


def shared_stdin() -> TextIO:
    """Standard input, or what the process that started this one read from it.

    The first process keeps what it reads in a temporary file, whose name it leaves to the processes that Lightning starts.
    """
    if getattr(rank_zero_only, "rank", 0) != 0 and _KEPT in os.environ:
        return io.StringIO(Path(os.environ[_KEPT]).read_text(encoding="utf-8", errors="surrogateescape"))
    if sys.stdin is None or sys.stdin.isatty():
        return sys.stdin  # refused by whoever reads it
    text = sys.stdin.read()
    handle, name = tempfile.mkstemp(prefix="cocoa_pl-", suffix=".txt")
    with os.fdopen(handle, "w", encoding="utf-8", errors="surrogateescape") as file:
        file.write(text)
    os.environ[_KEPT] = name
    atexit.register(Path(name).unlink, missing_ok=True)
    return io.StringIO(text)
