"""Processes that notice one another's death: the others of a distributed run would wait in a collective for ten minutes and more."""

from __future__ import annotations

import os
import re
import sys
import threading
import time
from datetime import timedelta
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback
from torch.distributed import DistError, TCPStore  # type: ignore[attr-defined]

from cocoa_pl.callbacks.checkpointing import Stopped
from cocoa_pl.errors import DivergedError, PeerError

_EVERY = 5.0  # seconds between two beats
_MISSED = 6  # beats that a living process may miss
_TIMEOUT = timedelta(seconds=20)  # of rank zero's answer
_LAST = 60.0  # seconds in which a process that raised must have ended
_DONE, _FAILED = "done", "failed"
_LOST_PEER = re.compile(
    r"gloo/transport|Connection (closed|reset) by peer|Socket closed|Broken pipe|ncclRemoteError|NCCL communicator was aborted"
)


class Heartbeat(Callback):
    """Ends a process of a distributed run soon after another one has died, with a line that says how to go on.

    Every process writes a beat to a store of rank zero's every few seconds and reads the others'. One that says that it failed, that stays
    silent for half a minute, or a store that is gone, ends this process at once, wherever its main thread is: it may be in a collective
    that never returns.

    Args:
        advice: how to go on; rank zero's is told to the others, which may not know the run's folder.
    """

    def __init__(self, advice: str) -> None:
        self.advice = advice
        self._pulse: _Pulse | None = None

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        if trainer.world_size == 1 or self._pulse is not None:
            return
        _take_over_children(trainer)
        host = trainer.strategy.cluster_environment.main_address  # type: ignore[attr-defined]
        store = TCPStore(host, 0, is_master=True, wait_for_workers=False, timeout=_TIMEOUT) if trainer.global_rank == 0 else None
        port, self.advice = trainer.strategy.broadcast((store.port if store else 0, self.advice))
        store = store or TCPStore(host, port, is_master=False, timeout=_TIMEOUT)
        self._pulse = _Pulse(store, rank=trainer.global_rank, world_size=trainer.world_size, advice=self.advice)
        trainer.strategy.barrier("first beat")
        self._pulse.start()

    def teardown(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        if self._pulse is not None:
            trainer.strategy.barrier("last beat")  # whoever is done first still watches the others
            self._end(_DONE)

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        if self._pulse is not None:
            together = isinstance(exception, Stopped | DivergedError)  # of which every process knows by itself
            self._end(_DONE if together else _FAILED)
            if together:
                return
            last = threading.Timer(_LAST, os._exit, (1,))  # what is left to do may wait for a process that is no more
            last.daemon = True
            last.start()

    def _end(self, word: str) -> None:
        assert self._pulse is not None
        self._pulse.end(word)
        self._pulse = None


def peer_failure(error: BaseException, trainer: pl.Trainer) -> PeerError | None:
    """What to tell the user where a collective failed because another process is gone; None for any other error."""
    beats = [callback for callback in trainer.callbacks if isinstance(callback, Heartbeat)]  # type: ignore[attr-defined]
    if not beats or trainer.world_size == 1 or not isinstance(error, RuntimeError) or not _LOST_PEER.search(str(error)):
        return None
    return PeerError(
        "another process of this run has ended: its own message says why, and without one the system killed it; "
        f"this one stops too; to go on: {beats[0].advice}"
    )


class _Pulse(threading.Thread):
    """The thread that beats and watches. A process suspended looks at nobody meanwhile, so that time is counted in looks."""

    def __init__(self, store: TCPStore, *, rank: int, world_size: int, advice: str) -> None:
        super().__init__(name="heartbeat", daemon=True)
        self._store, self._rank, self._advice = store, rank, advice
        self._keys = [f"beat/{number}" for number in range(world_size)]
        self._last_word: str | None = None
        self._ending = threading.Event()
        self._heard, self._missed = [""] * world_size, [0] * world_size
        store.set(self._keys[rank], "0")

    def run(self) -> None:
        beat = 0
        while not self._ending.wait(_EVERY):
            beat += 1
            try:
                blame = self._look(f"{beat}")
            except DistError:
                blame = "process 0, or its machine, is gone"
            if blame is not None and not self._ending.is_set():
                _stop(f"{blame}: process {self._rank} stops too; to go on: {self._advice}")
                return
        self._say_last_word()

    def end(self, word: str) -> None:
        """Say how this process ends, and watch no longer."""
        self._last_word = word
        self._ending.set()
        self.join(_TIMEOUT.total_seconds())

    def _look(self, beat: str) -> str | None:
        """Beat, and say who is dead, if anybody is."""
        self._store.set(self._keys[self._rank], beat)
        for number, said in enumerate(self._read()):
            if said == _FAILED:
                return f"process {number} has ended with an error, which its own message says"
            self._missed[number] = self._missed[number] + 1 if said == self._heard[number] and said != _DONE else 0
            self._heard[number] = said
            if self._missed[number] >= _MISSED:
                return (
                    f"process {number} has given no sign of life for {_MISSED * _EVERY:.0f} seconds: it was killed, or its machine is gone"
                )
        return None

    def _say_last_word(self) -> None:
        assert self._last_word is not None
        try:
            self._store.set(self._keys[self._rank], self._last_word)
            last = self._rank == 0 and self._last_word == _DONE  # the store goes with rank zero, so that it leaves last
            for _ in range(int(_EVERY / 0.1)) if last else ():
                if all(word in (_DONE, _FAILED) for word in self._read()):
                    return
                time.sleep(0.1)
        except DistError:
            return  # nobody is left to be told

    def _read(self) -> list[str]:
        return [said.decode() for said in self._store.multi_get(self._keys)]


def _stop(reason: str) -> None:
    sys.stdout.flush()
    print(f"error: {reason}", file=sys.stderr, flush=True)
    os._exit(1)


def _take_over_children(trainer: pl.Trainer) -> None:
    """Keep Lightning's watch over the processes that it started from killing this one without a word: the watch keeps its list, emptied."""
    launcher: Any = trainer.strategy.launcher
    if getattr(launcher, "procs", None):
        watched, launcher.procs = launcher.procs, list(launcher.procs)
        watched.clear()
