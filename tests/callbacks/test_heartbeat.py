"""Processes of a run notice one another's death; what a process says and when it stops, on a real store with short beats."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from torch.distributed import TCPStore

from cocoa_pl.callbacks import heartbeat
from cocoa_pl.callbacks.heartbeat import Heartbeat, peer_failure

Pulses = tuple[Any, Any]


@pytest.fixture
def stopped(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What processes said when they stopped; here only their threads do."""
    said = list[str]()
    monkeypatch.setattr(heartbeat, "_stop", said.append)
    monkeypatch.setattr(heartbeat, "_EVERY", 0.05)
    return said


@pytest.fixture
def pulses(stopped: list[str]) -> Iterator[Pulses]:
    """Two processes' pulses, not yet beating; the first one's store is the server."""
    server = TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False, timeout=timedelta(seconds=5))
    client = TCPStore("127.0.0.1", server.port, is_master=False, timeout=timedelta(seconds=5))
    made = tuple(heartbeat._Pulse(store, rank=rank, world_size=2, advice="resume") for rank, store in enumerate((server, client)))
    yield made[0], made[1]
    for pulse in made:
        if pulse.is_alive():
            pulse.end("done")


def _wait(until: Callable[[], Any]) -> None:
    end = time.monotonic() + 10
    while not until() and time.monotonic() < end:
        time.sleep(0.02)


def test_two_that_live_and_end_in_good_order_hear_nothing(pulses: Pulses, stopped: list[str]) -> None:
    for pulse in pulses:
        pulse.start()
    time.sleep(0.05 * 10)
    pulses[1].end("done")
    time.sleep(0.05 * 10)  # one that is done is not missed
    assert pulses[0].is_alive()
    pulses[0].end("done")
    assert stopped == []


def test_one_that_is_silent_is_named(pulses: Pulses, stopped: list[str]) -> None:
    pulses[0].start()
    _wait(lambda: stopped)
    assert stopped[0].startswith(
        "process 1 has given no sign of life for 0 seconds: it was killed, or its machine is gone: process 0 stops"
    )
    assert stopped[0].endswith("to go on: resume")


def test_one_that_failed_ends_the_others_at_their_next_look(pulses: Pulses, stopped: list[str]) -> None:
    for pulse in pulses:
        pulse.start()
    pulses[1].end("failed")
    _wait(lambda: stopped)
    assert stopped == ["process 1 has ended with an error, which its own message says: process 0 stops too; to go on: resume"]


def test_a_store_that_is_gone_is_the_death_of_process_zero(stopped: list[str]) -> None:
    server = TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False, timeout=timedelta(seconds=5))
    store = TCPStore("127.0.0.1", server.port, is_master=False, timeout=timedelta(seconds=5))
    pulse = heartbeat._Pulse(store, rank=1, world_size=2, advice="resume")
    server.set("beat/0", "0")
    del server
    pulse.start()
    _wait(lambda: stopped)
    assert stopped == ["process 0, or its machine, is gone: process 1 stops too; to go on: resume"]


def test_rank_zero_leaves_last(pulses: Pulses) -> None:
    for pulse in pulses:
        pulse.start()
    leaving = threading.Thread(target=pulses[0].end, args=("done",))
    leaving.start()
    pulses[1].end("done")
    leaving.join(5)
    assert not leaving.is_alive()


@pytest.mark.parametrize(
    ("message", "is_peer"),
    [
        ("[/pytorch/third_party/gloo/gloo/transport/tcp/pair.cc:547] Connection closed by peer [127.0.0.1]:1234", True),
        ("NCCL error ... ncclRemoteError: A call failed possibly due to a network error or a remote process exiting prematurely.", True),
        ("mat1 and mat2 shapes cannot be multiplied", False),
    ],
    ids=["gloo", "NCCL", "an error of one's own"],
)
def test_an_error_of_a_collective_becomes_a_line_that_says_how_to_go_on(message: str, is_peer: bool) -> None:
    trainer: Any = SimpleNamespace(callbacks=[Heartbeat("python train.py --resume run")], world_size=2)
    told = peer_failure(RuntimeError(message), trainer)
    assert (told is not None) == is_peer
    if told is not None:
        assert str(told).endswith("to go on: python train.py --resume run")
    trainer.world_size = 1
    assert peer_failure(RuntimeError(message), trainer) is None, "a process alone has lost nobody"
