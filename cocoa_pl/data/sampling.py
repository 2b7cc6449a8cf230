"""Which images a process sees when: samplers that yield whole batches of keys.

A key is (epoch, id), so that whoever loads a batch, in whatever process, knows everything its views depend on.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch.utils.data import Sampler

from cocoa_pl.errors import DataError
from cocoa_pl.rng import generator

Keys = list[tuple[int, int]]
"""(epoch, id) of every image of a batch."""


class EpochSampler(Sampler[Keys]):
    """Training batches: every image at most once an epoch, in an order that is a function of (seed, epoch).

    Args:
        num_images: size of the split.
        batch_size: images of a step over all processes together; the last, incomplete batch is dropped.
        seed: seed of the order.
        rank, world_size: this process takes its contiguous part of every batch.

    Attributes:
        epoch: set by Lightning at the beginning of each epoch.
        skip: (epoch, batches): in this epoch, leave out so many batches at its beginning (a resumed run has done them). The length does
            not change, as Lightning goes on counting where it stopped.
    """

    def __init__(self, num_images: int, *, batch_size: int, seed: int, rank: int = 0, world_size: int = 1) -> None:
        if batch_size > num_images:
            raise DataError(f"batch_size is {batch_size}, but there are only {num_images} training images; use at most {num_images}")
        self.num_images, self.batch_size, self.seed = num_images, batch_size, seed
        self.epoch = 0
        self.skip: tuple[int, int] = (0, 0)
        self.place(rank, world_size)

    def place(self, rank: int, world_size: int) -> None:
        """Say which process this is.

        Raises:
            DataError: the processes cannot share a batch evenly.
        """
        if self.batch_size % world_size:
            raise DataError(f"batch_size {self.batch_size} is shared by {world_size} processes; use a multiple of {world_size}")
        self.rank, self.world_size = rank, world_size

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __len__(self) -> int:
        return self.num_images // self.batch_size

    def __iter__(self) -> Iterator[Keys]:
        epoch, order = self.epoch, self._order(self.epoch)
        share = self.batch_size // self.world_size
        first = self.skip[1] if self.skip[0] == epoch else 0
        for batch in range(first, len(self)):
            start = batch * self.batch_size + self.rank * share
            yield [(epoch, i) for i in order[start : start + share]]

    def batch(self, epoch: int, index: int) -> list[int]:
        """Ids of the images of a batch over all processes."""
        return self._order(epoch)[index * self.batch_size : (index + 1) * self.batch_size]

    def _order(self, epoch: int) -> list[int]:
        order: list[int] = torch.randperm(self.num_images, generator=generator(self.seed, "order", epoch)).tolist()
        return order


class SliceSampler(Sampler[Keys]):
    """Evaluation batches: each process goes through its contiguous part of ``ids`` in order, none twice.

    Parts may differ by one image, but every process has the same number of batches: a forward pass under DDP meets the others.

    Raises:
        DataError: fewer images than processes.
    """

    def __init__(self, ids: Sequence[int], *, batch_size: int, rank: int = 0, world_size: int = 1) -> None:
        if len(ids) < world_size:
            raise DataError(
                f"{len(ids)} images to evaluate on are fewer than the {world_size} processes; take fewer devices or more images"
            )
        self.ids = list(ids[rank * len(ids) // world_size : (rank + 1) * len(ids) // world_size])
        largest = -(-len(ids) // world_size)
        self.num_batches = -(-largest // max(1, batch_size // world_size))

    def __len__(self) -> int:
        return self.num_batches

    def __iter__(self) -> Iterator[Keys]:
        for k in range(self.num_batches):
            part = self.ids[k * len(self.ids) // self.num_batches : (k + 1) * len(self.ids) // self.num_batches]
            yield [(0, i) for i in part]
