"""From splits to batches: the dataset that loads whole batches, and the Lightning data module.

A batch is asked for by keys (epoch, id), so that whoever loads it, in whatever process, knows everything its views depend on.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol, TypeVar

import numpy as np
import pytorch_lightning as pl
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from cocoa_pl.data.sampling import EpochSampler, Keys, SliceSampler
from cocoa_pl.data.source import Source
from cocoa_pl.data.splits import Splits, subset
from cocoa_pl.data.words import WordTokenizer
from cocoa_pl.data.workers import obey_parent_alone
from cocoa_pl.errors import DataError
from cocoa_pl.rng import derive_seed, generator
from cocoa_pl.types import Batch

PilViews = Callable[[Image.Image], Sequence[Tensor]]
"""A PIL picture to its views, each (3, S, S) float in [0, 1]."""

_NUM_VIEWS = 2
_BANK, _VAL = 0, 1  # the two validation loaders
_T = TypeVar("_T")


class ViewFn(Protocol):
    """Makes a view of every picture of a batch, on the device; see ``augmentations.device.DeviceViews``."""

    def __call__(self, images: Tensor, ids: Tensor, *, epoch: int, seed: int, view: int) -> Tensor: ...


class ViewDataset(Dataset[Batch]):
    """Whole batches by their keys.

    Args:
        source: where the pictures are.
        transform: makes the views from a PIL picture; the global random state it uses is a function of (seed, epoch, id) and is restored
            afterwards. Without it the views stay empty.
        seed: seed of the views.
        with_images: also load the pictures themselves; needed where nothing else is made of them.
        tokenizer: also give the tokens of a caption of every picture: of the batch's epoch, or the fullest one.
        fullest: which.
    """

    def __init__(
        self, source: Source, *, transform: PilViews | None = None, seed: int = 0, with_images: bool = True,
        tokenizer: WordTokenizer | None = None, fullest: bool = False,
    ) -> None:  # fmt: skip
        self.source, self.transform, self.seed, self.with_images = source, transform, seed, with_images
        self.tokenizer, self.fullest = tokenizer, fullest

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, keys: Keys) -> Batch:
        if not isinstance(keys, list):
            raise TypeError(
                f"a batch is asked for by a list of (epoch, id), got {keys!r}; Trainer(use_distributed_sampler=False) is needed"
            )
        ids = [i for _, i in keys]
        labels = torch.full((len(ids),), -1) if self.source.labels is None else self.source.labels[ids]
        images = self.source.load(ids) if self.with_images else torch.empty(len(ids), 3, 0, 0, dtype=torch.uint8)
        return Batch(torch.tensor(ids), labels, images, self._views(keys), keys[0][0], self._tokens(ids, keys[0][0]))

    def _tokens(self, ids: Sequence[int], epoch: int) -> Tensor | None:
        if self.tokenizer is None:
            return None
        captions = self.source.captions(ids, epoch=None if self.fullest else epoch)
        assert captions is not None, "a tokenizer is for pictures that have captions"
        return self.tokenizer(captions)

    def _views(self, keys: Keys) -> tuple[Tensor, ...]:
        if self.transform is None:
            return ()
        made = []
        with global_rng_restored():
            for epoch, i in keys:
                seed_global_rng(derive_seed(self.seed, "views", epoch, i))
                made.append(self.transform(self.source.picture(i)))
        return tuple(torch.stack(list(views)) for views in zip(*made, strict=True))


class LazyLoader(DataLoader[Batch]):
    """Asks its workers for batches when the first one is wanted, not when the iterator is made.

    Lightning makes the first iterator of a run before it calls ``set_epoch``; a resumed run's workers would load batches of a wrong epoch.
    """

    def __iter__(self) -> Iterator[Batch]:  # type: ignore[override]
        yield from super().__iter__()


class ImageDataModule(pl.LightningDataModule):
    """Batches for training and validation.

    Training batches carry two views. Validation has two loaders: 0, the bank, a fixed subset of the training images; 1, the validation
    images, whose batches carry two views made as for epoch 0.

    Args:
        splits: the dataset.
        batch_size: images of a training step over all processes together.
        seed: seed of the order and of the views.
        views: makes the views of a batch on the device. Either this or ``transform``.
        transform: makes the views from a PIL picture, in the workers.
        num_workers: worker processes of a loader.
        num_bank: size of the bank; only labelled images where some are.
        tokenizer: batches carry one view, and the tokens of a caption of each image; without it two views.
        eval_batch_size: images of a validation step over all processes together; by default the training batch size.
        rank, world_size: this process; by default the trainer's.

    Attributes:
        train_sampler: the training loader's sampler; it exists from the beginning, so that ``skip`` can be set before training.

    Raises:
        DataError: the batch is larger than the data.
    """

    def __init__(
        self,
        splits: Splits,
        *,
        batch_size: int,
        seed: int,
        views: ViewFn | None = None,
        transform: PilViews | None = None,
        num_workers: int = 0,
        num_bank: int = 2000,
        tokenizer: WordTokenizer | None = None,
        eval_batch_size: int | None = None,
        rank: int | None = None,
        world_size: int | None = None,
    ) -> None:
        super().__init__()
        assert (views is None) != (transform is None), "give either views or transform"
        if batch_size > len(splits.train):
            size = len(splits.train)
            raise DataError(f"batch_size is {batch_size}, but {splits.name} has only {size} training images; use at most {size}")
        self.splits, self.views, self.transform, self.num_workers = splits, views, transform, num_workers
        self.seed, self.eval_batch_size, self.tokenizer = seed, eval_batch_size or batch_size, tokenizer
        self._rank, self._world_size = rank, world_size
        self.train_sampler = EpochSampler(len(splits.train), batch_size=batch_size, seed=seed)
        self.bank_ids = _bank_ids(splits.train, num_bank, seed)

    def train_dataloader(self) -> LazyLoader:
        self.train_sampler.place(*self._place())
        dataset = ViewDataset(
            self.splits.train, transform=self.transform, seed=self.seed, with_images=self.transform is None, tokenizer=self.tokenizer
        )
        return self._loader(dataset, self.train_sampler)

    def val_dataloader(self) -> list[LazyLoader]:
        bank = ViewDataset(self.splits.train)
        val = ViewDataset(
            self.splits.val, transform=self.transform, seed=derive_seed(self.seed, "val"), tokenizer=self.tokenizer, fullest=True
        )
        return [self._loader(bank, self._in_order(self.bank_ids)), self._loader(val, self._in_order(range(len(self.splits.val))))]

    def state_dict(self) -> dict[str, int]:
        """Where in which epoch training is, so that a run saved between two steps goes on at the next one."""
        assert self.trainer is not None
        done = self.trainer.fit_loop.epoch_loop.batch_progress.current.processed  # type: ignore[attr-defined]
        return {"epoch": self.trainer.current_epoch, "batches": done}

    def load_state_dict(self, state_dict: dict[str, int]) -> None:
        self.train_sampler.skip = (state_dict["epoch"], state_dict["batches"])

    def on_after_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        """Make the views on the device: of training batches, and of the validation images (not of the bank)."""
        if not isinstance(batch, Batch):
            return batch
        batch = batch._replace(views=tuple(batch.views))  # pinning turns a tuple into a list
        training = self.trainer is None or self.trainer.training
        if self.views is None or not (training or dataloader_idx == _VAL):
            return batch
        seed = derive_seed(self.seed, "views" if training else "val")
        make = self.views
        num = _NUM_VIEWS if self.tokenizer is None else 1
        views = tuple(make(batch.images, batch.ids, epoch=batch.epoch, seed=seed, view=k) for k in range(num))
        return batch._replace(views=views)

    def _in_order(self, ids: Sequence[int]) -> SliceSampler:
        rank, world_size = self._place()
        return SliceSampler(ids, batch_size=self.eval_batch_size, rank=rank, world_size=world_size)

    def _place(self) -> tuple[int, int]:
        rank = self._rank if self._rank is not None else (self.trainer.global_rank if self.trainer is not None else 0)
        world_size = self._world_size if self._world_size is not None else (self.trainer.world_size if self.trainer is not None else 1)
        return rank, world_size

    def _loader(self, dataset: ViewDataset, sampler: Sampler[Keys]) -> LazyLoader:
        return LazyLoader(
            dataset,
            batch_size=None,
            sampler=sampler,
            num_workers=self.num_workers,
            collate_fn=_as_it_is,
            worker_init_fn=obey_parent_alone,
            pin_memory=torch.cuda.is_available(),
            persistent_workers=self.num_workers > 0,
            generator=generator(self.seed, "workers"),  # else every epoch would take a number from the global generator
        )


def _bank_ids(source: Source, num: int, seed: int) -> list[int]:
    known = torch.arange(len(source)) if source.labels is None else (source.labels >= 0).nonzero()[:, 0]
    known = known if len(known) else torch.arange(len(source))
    return list(known[subset(len(known), num, seed=seed, purpose="bank")].tolist())


def _as_it_is(batch: _T) -> _T:
    """Collate function: the dataset gives whole batches (and the default would turn the tuple of views into a list)."""
    return batch


def seed_global_rng(seed: int) -> None:
    """Seed the global generators of torch (the CPU's), numpy and Python, which transforms draw from."""
    torch.default_generator.manual_seed(seed)  # the CPU's alone: torch.manual_seed would also touch the accelerators
    np.random.seed(seed % 2**32)  # noqa: NPY002 Lightly draws from numpy's global generator
    random.seed(seed)


@contextmanager
def global_rng_restored() -> Iterator[None]:
    """Whatever is drawn inside from the global generators of torch (the CPU's), numpy and Python, nobody outside can tell."""
    states = torch.get_rng_state(), np.random.get_state(), random.getstate()  # noqa: NPY002
    try:
        yield
    finally:
        torch.set_rng_state(states[0])
        np.random.set_state(states[1])  # noqa: NPY002
        random.setstate(states[2])
