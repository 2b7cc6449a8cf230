"""Loader processes that leave signals to the process that started them."""

from __future__ import annotations

import os
import signal
import threading


def obey_parent_alone(worker: int) -> None:
    """Let nobody but its parent end a worker by a signal that asks to stop, which systems that wait for signals with a sender allow.

    A terminal and SLURM signal all processes of a job, and a run needs its workers until its step is finished and saved.
    """
    if not hasattr(signal, "sigwaitinfo"):
        return
    asking = {signal.SIGINT, signal.SIGTERM, signal.SIGUSR1}
    signal.pthread_sigmask(signal.SIG_BLOCK, asking)
    threading.Thread(target=_end_with_parent, args=(asking,), daemon=True).start()


def _end_with_parent(asking: set[signal.Signals]) -> None:
    while signal.sigwaitinfo(asking).si_pid != os.getppid():
        pass
    os._exit(0)
