"""Work shared out over processes that meet: shares that differ by one at most, and failures of which everybody hears."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor

from cocoa_pl.errors import PeerError
from cocoa_pl.types import Rows

Gather = Callable[[Rows], list[Rows]]
"""Takes this process's tensors, returns those of every process, in order of rank."""
Add = Callable[[Tensor], Tensor]
"""Takes this process's tensor, returns the sum over all processes, the same in each."""

_ERROR = "error"


def _alone(rows: Rows) -> list[Rows]:
    return [rows]


def _unchanged(values: Tensor) -> Tensor:
    return values


@dataclass(frozen=True)
class Team:
    """Processes that share out work and meet to put it together.

    Every process comes to the same meetings, whatever its share. One that fails comes to the meeting at which the others wait, wherever
    that is, and brings its error (:meth:`lockstep`): all raise, and none waits for ever.

    Args:
        rank: of this process.
        size: number of processes.
        gather: how tensors of any shape meet.
        add: how sums meet.

    Example:
        >>> first, second = Team(0, 2), Team(1, 2)
        >>> [list(team.span(5)) for team in (first, second)], [list(team.turns(5)) for team in (first, second)]
        ([[0, 1], [2, 3, 4]], [[0, 2, 4], [1, 3]])
    """

    rank: int = 0
    size: int = 1
    gather: Gather = _alone
    add: Add = _unchanged

    def span(self, num: int) -> range:
        """This process's part of 0 to ``num`` - 1, without gaps."""
        return range(self.rank * num // self.size, (self.rank + 1) * num // self.size)

    def turns(self, num: int) -> range:
        """This process's part of 0 to ``num`` - 1, every so-manieth."""
        return range(self.rank, num, self.size)

    def split(self, num: int) -> tuple[Tensor, Tensor]:
        """Of 0 to ``num`` - 1 this process's own, as many as every other process has, and what is left over, to be done by all together."""
        whole = num - num % self.size
        return torch.arange(whole)[self.rank :: self.size], torch.arange(whole, num)

    def meet(self, rows: Rows) -> list[Rows]:
        """The rows of every process, in order of rank, on the CPU.

        Raises:
            PeerError: another process failed.
        """
        parts = self.gather({name: values.cpu() for name, values in rows.items()})
        for number, part in enumerate(parts):
            if _ERROR in part:
                raise PeerError(f"process {number} could not do its share: {bytes(part[_ERROR].tolist()).decode()}")
        return parts

    def total(self, sums: Rows) -> Rows:
        """Sums over all processes, each of one shape in all of them.

        Raises:
            PeerError: another process failed.
        """
        if self.size == 1:
            return sums
        self.meet({})  # who adds cannot hear of an error
        return {name: self.add(sums[name]) for name in sorted(sums)}

    @contextmanager
    def lockstep(self) -> Iterator[None]:
        """What fails inside is told to the others at the meeting where they wait, and raised here."""
        try:
            yield
        except PeerError:
            raise
        except Exception as error:
            if self.size > 1:
                self.gather(
                    {_ERROR: torch.tensor(list(f"{type(error).__name__}: {error}".encode(errors="backslashreplace")), dtype=torch.uint8)}
                )
            raise


ALONE = Team()
