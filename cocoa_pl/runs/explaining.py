"""Explain an encoder: from a request to a report."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from pytorch_lightning.utilities import rank_zero_only

from cocoa_pl.allocator import keep_freed_memory
from cocoa_pl.cli import Request
from cocoa_pl.errors import CheckpointError, OutputError
from cocoa_pl.files import require_folder
from cocoa_pl.metrics.masks import map_mask
from cocoa_pl.models.checkpoint import read_checkpoint
from cocoa_pl.models.sources import is_ours
from cocoa_pl.report.findings import Findings
from cocoa_pl.report.folder import REPORT_PARTS, write_report
from cocoa_pl.report.stored import write_changes
from cocoa_pl.runs.asking import answer
from cocoa_pl.runs.blaming import encoder_errors
from cocoa_pl.runs.looking import look
from cocoa_pl.runs.opening import check_hardware
from cocoa_pl.runs.quiet import quiet
from cocoa_pl.runs.understanding import Question, understand


def explain(request: Request) -> Findings | None:
    """Answer a request and write the report.

    Args:
        request: as ``cli.parse_explain`` understands a command line.

    Returns:
        What was found; None where another process writes an answer.

    Raises:
        CocoaError: something cannot be used. No half-written file is left; parts of an answer that are done are kept for the next try.
    """
    quiet()
    keep_freed_memory()
    check_hardware(request)
    folder = request.out or _default_folder(request)
    question = understand(request) if _asks(request) else None
    with _folder(folder, keep=".parts"), encoder_errors():
        if question is not None:
            findings = _answered(request, question, folder)
            if findings is not None:
                _write(folder, request, findings)
                if not findings.num_left:
                    shutil.rmtree(folder / ".parts", ignore_errors=True)
            return findings
        looked = look(request)
        if getattr(rank_zero_only, "rank", 0) == 0:
            _write(folder, request, looked.findings)
            if looked.readings[-1].compared:
                write_changes(folder / "drift.csv", looked.readings[-1], epoch=looked.findings.frames[-1].encoder.get("epoch"))
        return looked.findings


def _answered(request: Request, question: Question, folder: Path) -> Findings | None:
    try:
        return answer(request, question, folder)
    except KeyboardInterrupt:
        kept = next((folder / ".parts").rglob("*.npz"), None)
        print("\nstopped; " + ("what is done is kept: the same command goes on from there" if kept else "nothing was done yet"), flush=True)
        raise


def _asks(request: Request) -> bool:
    """Whether the user brings pictures or a question; else the run's explain set is looked at again.

    Raises:
        CheckpointError: there is neither, and the checkpoint is no run's.
    """
    if request.asks:
        return True
    if not is_ours(request.checkpoints[0]):
        try:
            read_checkpoint(request.checkpoints[0])  # says what is wrong with it
        except CheckpointError as error:
            raise CheckpointError(f"{error}; to explain an encoder of another origin, add --input PICTURES") from error
    return False


def _write(folder: Path, request: Request, findings: Findings) -> None:
    (folder / "drift.csv").unlink(missing_ok=True)  # of an earlier report
    write_report(folder, findings, mask_of=lambda maps: map_mask(torch.from_numpy(maps), quantile=request.quantile).numpy())


def _default_folder(request: Request) -> Path:
    """``explained/<what>`` beside the first checkpoint."""
    first = request.checkpoints[0] if request.checkpoints else None
    name = "untrained" if request.untrained else "series" if request.series else first.stem if first else (request.encoder or "encoder")
    name += f"-against-{request.against.stem}" if request.against else ""
    name += "-asked" if request.asks else ""
    return (first.parent if first else Path()) / "explained" / name.replace("/", "_").replace(":", "_")


def _refuse_others(path: Path, keep: str) -> None:
    """See that nothing of somebody else's would be replaced: a run has a ``metrics.csv`` and ``heatmaps/`` of its own.

    Raises:
        OutputError: the folder holds a file or folder of a report's name, and no report.
    """
    if os.path.isfile(path / "report.json") or os.path.isdir(path / keep):
        return
    for name in REPORT_PARTS:
        if os.path.lexists(path / name):
            raise OutputError(f"--out {path}: holds {name}, which is of no report and would be replaced; choose another folder")


@contextmanager
def _folder(path: Path, *, keep: str) -> Iterator[None]:
    """A folder that can be written to; after a failure one that was not there before is gone again, but for parts that are done."""
    above = [folder for folder in (path, *path.parents) if not os.path.exists(folder)]
    _refuse_others(path, keep)
    try:
        require_folder(path)
        yield
    except BaseException:
        kept = path / keep
        if os.path.isdir(kept) and not any(kept.rglob("*.npz")):
            shutil.rmtree(kept, ignore_errors=True)
        for inside in list(path.iterdir()) if path in above and os.path.isdir(path) else ():
            if inside.is_dir() and inside != kept:
                shutil.rmtree(inside, ignore_errors=True)
            elif inside != kept:
                inside.unlink(missing_ok=True)
        for folder in above:
            if os.path.isdir(folder) and not any(folder.iterdir()):
                folder.rmdir()
        raise
