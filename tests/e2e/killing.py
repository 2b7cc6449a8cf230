"""A run that is killed at a chosen moment, again and again, each time by the same command that goes on with it.

A moment is the n-th call of a Python function while a place runs, such as writing a checkpoint: drawn by a seed, it is the same on every
machine. Moments by the clock also fall into what is not Python.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import torch

from tests.programs import forked

_PATIENCE = 120


@dataclass(frozen=True)
class Moment:
    """When a process is to be killed.

    Attributes:
        place: end of the qualified name of a function; calls are counted while it runs. Empty: anywhere.
        calls: so many calls of Python functions.
        seconds: or so many seconds after the start, whatever it is doing.
    """

    place: str = ""
    calls: int = 0
    seconds: float = 0.0


def killed(argv: list[str], moment: Moment | None, folder: Path) -> tuple[bool, str]:
    """Whether ``train.py`` with these words was killed at the moment (else it has ended in good order), and what it was doing."""
    told, log = folder / "doing.txt", folder / "log.txt"
    told.unlink(missing_ok=True)
    process = forked(_train, argv, moment, told, log)
    process.join(moment.seconds if moment is not None and moment.seconds else _PATIENCE)
    if moment is not None and moment.seconds and process.is_alive():
        assert process.pid is not None
        os.kill(process.pid, signal.SIGKILL)
        process.join()
    assert process.exitcode in (0, -signal.SIGKILL), log.read_text()[-3000:]
    return process.exitcode != 0, told.read_text() if told.exists() else "by the clock"


def _train(argv: list[str], moment: Moment | None, told: Path, log: Path) -> None:
    from cocoa_pl.cli import parse_train
    from cocoa_pl.runs import train

    torch.set_num_threads(1)
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(output, 1)
    os.dup2(output, 2)
    if moment is not None and moment.calls:
        sys.setprofile(_Killer(moment, told))
    config, resume = parse_train(argv)
    train(config, resume=resume)


class _Killer:
    """Counts calls, and kills the process it is in."""

    def __init__(self, moment: Moment, told: Path) -> None:
        self._moment, self._told, self._calls, self._inside = moment, told, 0, 0

    def __call__(self, frame: FrameType, event: str, argument: Any) -> None:
        if event not in ("call", "return"):
            return
        place = self._moment.place
        if place and frame.f_code.co_qualname.endswith(place):
            self._inside += 1 if event == "call" else -1
        if event == "call" and (self._inside or not place):
            self._calls += 1
            if self._calls == self._moment.calls:
                self._told.write_text(_doing(frame))
                os.kill(os.getpid(), signal.SIGKILL)
                threading.Event().wait()  # the signal needs a moment to arrive


def _doing(frame: FrameType | None) -> str:
    """What of ours is running, from the outside in, and the innermost function of whomever."""
    innermost, names = "" if frame is None else frame.f_code.co_qualname, list[str]()
    while frame is not None:
        if "/cocoa_pl/" in frame.f_code.co_filename:
            names.append(frame.f_code.co_qualname)
        frame = frame.f_back
    return f"{' > '.join(reversed(names))}: {innermost}"
