"""A team of threads instead of processes: the same meetings, in one process and without a network."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from torch import Tensor

from cocoa_pl.sharing import Team

T = TypeVar("T")
_PATIENCE = 60  # seconds until a thread that nobody meets breaks off


def in_team(size: int, work: Callable[[Team], T]) -> list[T | Exception]:
    """What ``work`` returns or raises in each thread of a team. One that waits for others that never come raises BrokenBarrierError."""
    brought: list[Any] = [None] * size
    barrier = threading.Barrier(size, timeout=_PATIENCE)

    def member(rank: int) -> T | Exception:
        def meet(own: Any) -> list[Any]:
            brought[rank] = own
            barrier.wait()
            everything = list(brought)
            barrier.wait()  # nobody brings the next thing before all have taken this one
            return everything

        def add(values: Tensor) -> Tensor:
            total = sum(meet(values))
            assert isinstance(total, Tensor)
            return total

        try:
            return work(Team(rank, size, meet, add))
        except Exception as error:
            return error

    with ThreadPoolExecutor(size) as pool:
        return list(pool.map(member, range(size)))
