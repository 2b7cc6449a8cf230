"""Samplers, the dataset of batches and the data module inside a real Trainer."""

from __future__ import annotations

import pickle
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from PIL import Image
from torch import Tensor

from cocoa_pl.augmentations.device import DeviceViews
from cocoa_pl.augmentations.lightly_views import lightly_views
from cocoa_pl.data.loading import ImageDataModule, ViewDataset
from cocoa_pl.data.sampling import EpochSampler, SliceSampler
from cocoa_pl.data.source import MemorySource
from cocoa_pl.data.splits import Splits, make_splits
from cocoa_pl.errors import DataError
from cocoa_pl.types import Batch

OPTIONS = DeviceViews(size=12, flip=0.5, blur=0.5)


def toy(num_train: int = 22, num_val: int = 9, *, labels: bool = True) -> Splits:
    pixels = torch.randint(0, 256, (num_train + num_val, 3, 12, 12), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    kinds = torch.arange(num_train + num_val) % 3
    parts = [
        MemorySource(pixels[rows], labels=kinds[rows] if labels else None) for rows in (slice(None, num_train), slice(num_train, None))
    ]
    return make_splits(parts[0], parts[1], image_size=12, name="toy")


def data_module(splits: Splits | None = None, **options: Any) -> ImageDataModule:
    everything: dict[str, Any] = {"batch_size": 6, "seed": 0, "views": OPTIONS} | options
    return ImageDataModule(splits or toy(), **everything)


def test_an_epoch_has_every_image_once_in_an_order_of_its_own() -> None:
    sampler = EpochSampler(20, batch_size=5, seed=0)
    orders = []
    for epoch in (0, 1, 0):
        sampler.set_epoch(epoch)
        batches = list(sampler)
        assert len(batches) == len(sampler) == 4
        assert {e for batch in batches for e, _ in batch} == {epoch}
        orders.append([i for batch in batches for _, i in batch])
        assert sorted(orders[-1]) == list(range(20))
    assert orders[0] == orders[2] != orders[1]
    assert list(EpochSampler(20, batch_size=5, seed=1)) != list(EpochSampler(20, batch_size=5, seed=0))


def test_the_last_incomplete_batch_is_dropped() -> None:
    batches = list(EpochSampler(22, batch_size=5, seed=0))
    assert [len(batch) for batch in batches] == [5] * 4


@pytest.mark.parametrize("world_size", [2, 3])
def test_processes_share_each_batch_of_one_process(world_size: int) -> None:
    whole = list(EpochSampler(22, batch_size=6, seed=0))
    parts = [list(EpochSampler(22, batch_size=6, seed=0, rank=rank, world_size=world_size)) for rank in range(world_size)]
    assert [[key for part in slices for key in part] for slices in zip(*parts, strict=True)] == whole


def test_processes_that_cannot_share_a_batch() -> None:
    with pytest.raises(DataError, match="batch_size 6 is shared by 4 processes"):
        EpochSampler(22, batch_size=6, seed=0, world_size=4)


def test_skip_leaves_out_the_batches_done_in_that_epoch_only() -> None:
    sampler = EpochSampler(20, batch_size=5, seed=0)
    sampler.skip = (1, 3)
    assert len(list(sampler)) == 4
    sampler.set_epoch(1)
    rest = list(sampler)
    assert len(sampler) == 4
    sampler.skip = (0, 0)
    assert rest == list(sampler)[3:]


@pytest.mark.parametrize("world_size", [1, 2, 3, 5])
def test_evaluation_slices_follow_each_other(world_size: int) -> None:
    ids = [4, 8, 15, 16, 23, 42, 108]
    samplers = [SliceSampler(ids, batch_size=4, rank=rank, world_size=world_size) for rank in range(world_size)]
    seen = [i for sampler in samplers for batch in sampler for _, i in batch]
    assert seen == ids
    for sampler in samplers:
        assert len(list(sampler)) == len(sampler)


def test_batches_hold_ids_labels_and_images() -> None:
    splits = toy()
    batch = ViewDataset(splits.train)[[(2, 5), (2, 1)]]
    assert batch.ids.tolist() == [5, 1]
    assert batch.labels.tolist() == [2, 1]
    assert batch.epoch == 2
    assert batch.views == ()
    assert torch.equal(batch.images, splits.train.load([5, 1]))
    assert ViewDataset(toy(labels=False).train)[[(0, 5)]].labels.tolist() == [-1]


def test_a_foreign_sampler_is_refused() -> None:
    with pytest.raises(TypeError, match="use_distributed_sampler=False"):
        ViewDataset(toy().train)[3]  # type: ignore[index]


def draw_from_every_generator(image: Image.Image) -> Sequence[Tensor]:
    return [torch.rand(2), torch.tensor([np.random.rand(), random.random()])]  # noqa: NPY002


def test_global_generators_are_seeded_by_key_and_restored() -> None:
    dataset = ViewDataset(toy().train, transform=draw_from_every_generator, seed=7)
    before = torch.get_rng_state(), pickle.dumps(np.random.get_state()), random.getstate()  # noqa: NPY002
    pair = dataset[[(0, 3), (0, 9)]].views
    assert torch.equal(torch.get_rng_state(), before[0])
    assert pickle.dumps(np.random.get_state()) == before[1]  # noqa: NPY002
    assert random.getstate() == before[2]
    for alone, together in zip(dataset[[(0, 9)]].views, pair, strict=True):
        assert torch.equal(alone[0], together[1])
    for other in (dataset[[(1, 9)]], dataset[[(0, 8)]], ViewDataset(toy().train, transform=draw_from_every_generator, seed=8)[[(0, 9)]]):
        assert (other.views[0][0] != pair[0][1]).all()
        assert (other.views[1][0] != pair[1][1]).all()


def test_lightly_views_are_the_same_in_workers() -> None:
    here, there = (list(data_module(views=None, transform=lightly_views(OPTIONS), num_workers=n).train_dataloader()) for n in (0, 2))
    assert len(here) == 3
    for ours, theirs in zip(here, there, strict=True):
        assert torch.equal(ours.ids, theirs.ids)
        assert ours.images.numel() == 0
        assert len(ours.views) == 2
        assert not torch.equal(ours.views[0], ours.views[1])
        for view, again in zip(ours.views, theirs.views, strict=True):
            assert view.shape == (6, 3, 12, 12)
            assert torch.equal(view, again)


def test_batch_larger_than_the_data_names_both() -> None:
    with pytest.raises(DataError, match="batch_size is 23, but toy has only 22 training images"):
        data_module(batch_size=23)


def test_the_bank_is_a_seeded_part_of_the_labelled_training_images() -> None:
    splits = toy()
    assert isinstance(splits.train, MemorySource)
    assert splits.train.labels is not None
    assert data_module(splits, num_bank=8).bank_ids == data_module(splits, num_bank=8).bank_ids
    assert data_module(splits).bank_ids == list(range(22))
    splits.train.labels[:15] = -1
    assert data_module(splits).bank_ids == list(range(15, 22))


def test_ranks_together_see_the_training_and_validation_images_of_one() -> None:
    whole, parts = data_module(), [data_module(rank=rank, world_size=2) for rank in range(2)]
    for k, batch in enumerate(whole.train_dataloader()):
        slices = [list(part.train_dataloader())[k] for part in parts]
        assert torch.cat([part.ids for part in slices]).tolist() == batch.ids.tolist()
    for k in range(2):
        ids = [i for part in parts for batch in part.val_dataloader()[k] for i in batch.ids.tolist()]
        assert ids == [i for batch in whole.val_dataloader()[k] for i in batch.ids.tolist()]


class Recorder(pl.LightningModule):
    """Keeps what it is given; has one weight so that there is something to train."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.trained: list[Batch] = []
        self.validated: list[list[Batch]] = [[], []]
        self.sanity_checked = 0

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        self.trained.append(batch)
        return (batch.views[0].mean() * self.weight).sum()

    def validation_step(self, batch: Batch, batch_idx: int, dataloader_idx: int = 0) -> None:
        if self.trainer.sanity_checking:
            self.sanity_checked += 1
        else:
            self.validated[dataloader_idx].append(batch)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


class Saver(pl.Callback):
    """Saves in the middle of epoch 1 and at the end of epoch 0."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def on_train_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        if trainer.global_step == 5:
            trainer.save_checkpoint(self.folder / "middle.ckpt")

    def on_train_epoch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        if trainer.current_epoch == 0:
            trainer.save_checkpoint(self.folder / "end.ckpt")


def fit(data: ImageDataModule, folder: Path, *, ckpt_path: Path | None = None) -> Recorder:
    module = Recorder()
    trainer = pl.Trainer(
        max_epochs=3,
        accelerator="cpu",
        logger=False,
        default_root_dir=folder,
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=False,
        use_distributed_sampler=False,
        callbacks=[Saver(folder)],
    )
    trainer.fit(module, datamodule=data, ckpt_path=ckpt_path)
    return module


@pytest.mark.filterwarnings("ignore:.*does not have many workers", "ignore:.*treespec, LeafSpec:FutureWarning")
@pytest.mark.parametrize("num_workers", [0, 2])
@pytest.mark.parametrize("backend", ["device", "lightly"])
def test_in_a_trainer_epochs_advance_views_are_made_and_resume_repeats_nothing(tmp_path: Path, backend: str, num_workers: int) -> None:
    how: dict[str, Any] = {"views": OPTIONS} if backend == "device" else {"views": None, "transform": lightly_views(OPTIONS)}
    how["num_workers"] = num_workers
    whole = fit(data_module(**how), tmp_path / "whole")
    assert [batch.epoch for batch in whole.trained] == [0] * 3 + [1] * 3 + [2] * 3
    assert whole.sanity_checked > 0
    for batch in whole.trained:
        assert [view.shape for view in batch.views] == [(6, 3, 12, 12)] * 2
        assert not torch.equal(batch.views[0], batch.views[1])
    bank, val = whole.validated
    assert all(batch.views == () and batch.images.shape[1:] == (3, 12, 12) for batch in bank)
    assert all(len(batch.views) == 2 and batch.images.shape[1:] == (3, 12, 12) for batch in val)
    assert [i for batch in val for i in batch.ids.tolist()] == list(range(9)) * 3
    for first, last in zip(val[: len(val) // 3], val[-len(val) // 3 :], strict=True):
        assert torch.equal(first.views[0], last.views[0])

    rest = fit(data_module(**how), tmp_path / "rest", ckpt_path=tmp_path / "whole" / "end.ckpt")
    assert_same_batches(rest.trained, whole.trained[3:])


@pytest.mark.filterwarnings(
    "ignore:.*does not have many workers", "ignore:.*treespec, LeafSpec:FutureWarning", "ignore:.*ended before the epoch ended"
)
@pytest.mark.parametrize("num_workers", [0, 2])
def test_resume_in_the_middle_of_an_epoch_skips_what_is_done(tmp_path: Path, num_workers: int) -> None:
    whole = fit(data_module(num_workers=num_workers), tmp_path / "whole")
    resumed = data_module(num_workers=num_workers)
    resumed.train_sampler.skip = (1, 2)
    rest = fit(resumed, tmp_path / "rest", ckpt_path=tmp_path / "whole" / "middle.ckpt")
    assert_same_batches(rest.trained, whole.trained[5:])


def assert_same_batches(ours: list[Batch], theirs: list[Batch]) -> None:
    assert [batch.epoch for batch in ours] == [batch.epoch for batch in theirs]
    for mine, other in zip(ours, theirs, strict=True):
        assert torch.equal(mine.ids, other.ids)
        for view, again in zip(mine.views, other.views, strict=True):
            assert torch.equal(view, again)


@pytest.mark.parametrize(("num", "batch_size"), [(129, 128), (7, 4), (2, 64), (130, 16)])
def test_every_process_evaluates_in_as_many_batches(num: int, batch_size: int) -> None:
    """A forward pass under DDP meets the other processes: one batch more on one of them would wait for ever."""
    parts = [SliceSampler(range(num), batch_size=batch_size, rank=rank, world_size=2) for rank in range(2)]
    assert len(parts[0]) == len(parts[1])
    assert all(len(list(part)) == len(part) for part in parts)
    assert [i for part in parts for keys in part for _, i in keys] == list(range(num))
    assert all(keys for part in parts for keys in part)
