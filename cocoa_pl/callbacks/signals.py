"""Signals that end a run in good order: Ctrl-C, SIGTERM, and SIGUSR1, by which SLURM says that the time is nearly up."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import threading
import warnings
from contextlib import suppress
from typing import Any

_NOTE = {
    signal.SIGINT: "; press Ctrl-C again to stop at once",
    signal.SIGTERM: " (SIGTERM)",
    signal.SIGUSR1: " (SIGUSR1: the job's time is nearly up)",
}
_INTERACTIVE = ("bash", "interactive")  # names of jobs in which one works by hand, as Lightning has it
_PATIENCE = 60  # seconds for scontrol to answer


def in_slurm_job() -> bool:
    """Whether this process belongs to a job of SLURM's that nobody sits in front of."""
    return "SLURM_JOB_ID" in os.environ and os.environ.get("SLURM_JOB_NAME") not in _INTERACTIVE


def requeue() -> None:
    """Put this SLURM job into the queue again; where that fails, warn: the run is saved, whoever starts it."""
    array, task = os.environ.get("SLURM_ARRAY_JOB_ID"), os.environ.get("SLURM_ARRAY_TASK_ID")
    job = f"{array}_{task}" if array and task else os.environ["SLURM_JOB_ID"]
    command = shutil.which("scontrol")
    if command is None:
        warnings.warn(f"scontrol is not on the PATH: job {job} is not queued again; the run is saved", stacklevel=2)
        return
    try:
        done = subprocess.run([command, "requeue", job], capture_output=True, text=True, timeout=_PATIENCE, check=False)
        failure = (done.stderr.strip() or f"exit code {done.returncode}") if done.returncode else None
    except (OSError, subprocess.TimeoutExpired) as error:
        failure = str(error)
    if failure is None:
        print(f"job {job} is in the queue again", flush=True)
    else:
        warnings.warn(f"scontrol requeue {job} failed ({failure}); the run is saved", stacklevel=2)


class Signals:
    """Remembers which signal came, so that the run ends where it can be saved; Ctrl-C twice ends it at once.

    Attributes:
        asked: the signal that came first, 0 as long as none has.
    """

    def __init__(self) -> None:
        self.asked = 0
        self._loud_in = 0
        self._before: dict[int, Any] = {}

    def listen(self, *, loud: bool) -> None:
        """Take the signals over, and say so when one comes if ``loud``; only the main thread may, says Python."""
        self._loud_in = os.getpid() if loud else 0
        if threading.current_thread() is not threading.main_thread():
            return
        for number in (signal.SIGINT, signal.SIGTERM, *([signal.SIGUSR1] if in_slurm_job() else [])):
            self._before[number] = signal.signal(number, self._ask) or signal.SIG_DFL  # None: set by no Python

    def restore(self) -> None:
        """Give the signals back to whoever had them."""
        while self._before:
            signal.signal(*self._before.popitem())

    def _ask(self, signum: int, frame: Any) -> None:
        if self.asked:
            if signum == signal.SIGINT:
                raise KeyboardInterrupt
            return  # schedulers send SIGTERM more than once
        self.asked = signum
        if self._loud_in == os.getpid():  # loader processes inherit this handler, and SLURM signals every process of a job
            with suppress(OSError):  # nobody reads any more; and print() itself may be what was interrupted
                os.write(1, f"\nstopping after this step{_NOTE[signal.Signals(signum)]}\n".encode())
