"""What is kept of each look of a run: raw maps, and what every map changed."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np

from cocoa_pl.files import write_arrays, write_bytes
from cocoa_pl.monitor import Reading


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
