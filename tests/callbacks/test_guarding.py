"""Losses and weights that are no numbers: the run stops at the first, in one line, and no good checkpoint is replaced."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from cocoa_pl import runs
from cocoa_pl.callbacks.guarding import Guard
from cocoa_pl.config import Config
from cocoa_pl.data.sampling import EpochSampler
from cocoa_pl.errors import DivergedError
from cocoa_pl.models.simclr import SimCLR

QUICK = ("explain.enabled=false", "run.logger=none", "data.batch_size=8", "checkpoint.top_k=0")  # twelve steps an epoch


def ruin_loss(monkeypatch: pytest.MonkeyPatch, epoch: int, batch: int) -> None:
    original = SimCLR.training_step

    def step(self: SimCLR, given: Any, batch_idx: int) -> Tensor:
        loss = original(self, given, batch_idx)
        return loss * float("nan") if (self.current_epoch, batch_idx) == (epoch, batch) else loss

    monkeypatch.setattr(SimCLR, "training_step", step)


def weights_are_finite(path: Path) -> bool:
    return all(value.isfinite().all() for value in torch.load(path, weights_only=True)["state_dict"].values())


@pytest.mark.parametrize("minutes", ["null", "0"], ids=["saving at ends of epochs", "saving after every step"])
def test_the_first_bad_step_is_named_with_its_images(
    tmp_path: Path, smoke_config: Callable[..., Config], monkeypatch: pytest.MonkeyPatch, minutes: str
) -> None:
    ruin_loss(monkeypatch, epoch=1, batch=2)  # the losses after it are NaN, too, and the tenth is the first to be looked at
    config = smoke_config(tmp_path, *QUICK, f"checkpoint.every_n_minutes={minutes}")
    with pytest.raises(DivergedError) as stopped:
        runs.train(config)
    said, folder = str(stopped.value), tmp_path / "smoke"
    assert said.startswith("the loss is not finite at step 15 (epoch 2, batch 3: image ")
    assert said.endswith(
        f"); the last good checkpoint is {folder / 'last.ckpt'}: python train.py --resume {folder} optim.clip_grad_norm=1, "
        "or begin anew with a lower optim.lr"
    )
    assert torch.load(folder / "last.ckpt", weights_only=True)["global_step"] == (12 if minutes == "null" else 14)
    assert weights_are_finite(folder / "last.ckpt")


def test_a_bad_loss_with_accumulation_in_the_last_batches_of_the_first_epoch(
    tmp_path: Path, smoke_config: Callable[..., Config], monkeypatch: pytest.MonkeyPatch
) -> None:
    ruin_loss(monkeypatch, epoch=0, batch=10)
    with pytest.raises(DivergedError, match=r"at step 6 \(epoch 1, batch 11: .*\); there is no checkpoint yet: begin anew with a lower"):
        runs.train(smoke_config(tmp_path, *QUICK, "trainer.accumulate=2"))
    assert not list((tmp_path / "smoke").glob("*.ckpt"))


def test_weights_that_the_last_step_of_an_epoch_ruins_are_not_saved(
    tmp_path: Path, smoke_config: Callable[..., Config], monkeypatch: pytest.MonkeyPatch
) -> None:
    original = SimCLR.on_train_batch_end

    def ruin(self: SimCLR, outputs: Any, batch: Any, batch_idx: int) -> None:
        original(self, outputs, batch, batch_idx)
        if self.trainer.current_epoch == 1 and self.trainer.is_last_batch:
            next(self.backbone.parameters()).data.fill_(float("inf"))

    monkeypatch.setattr(SimCLR, "on_train_batch_end", ruin)
    with pytest.raises(DivergedError, match=r"weights are not finite after step 24 \(epoch 2\), though its loss is; the last good"):
        runs.train(smoke_config(tmp_path, *QUICK))
    assert weights_are_finite(tmp_path / "smoke" / "last.ckpt")


def test_weights_that_a_step_ruins_are_not_saved_within_an_epoch(
    tmp_path: Path, smoke_config: Callable[..., Config], monkeypatch: pytest.MonkeyPatch
) -> None:
    original = Guard.on_train_batch_end

    def ruin(self: Guard, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        if (trainer.current_epoch, batch_idx) == (1, 5):
            next(pl_module.backbone.parameters()).data.fill_(float("inf"))
        original(self, trainer, pl_module, outputs, batch, batch_idx)

    monkeypatch.setattr(Guard, "on_train_batch_end", ruin)
    with pytest.raises(DivergedError, match=r"weights are not finite after step 18 \(epoch 2\), though its loss is; the last good"):
        runs.train(smoke_config(tmp_path, *QUICK, "checkpoint.every_n_minutes=1.0e-6"))
    assert torch.load(tmp_path / "smoke" / "last.ckpt", weights_only=True)["global_step"] == 17
    assert weights_are_finite(tmp_path / "smoke" / "last.ckpt")


@pytest.mark.parametrize("skip", [0, 2])
def test_the_sampler_knows_the_images_of_a_batch_of_all_processes(skip: int) -> None:
    parts = [EpochSampler(20, batch_size=4, seed=3, rank=rank, world_size=2) for rank in range(2)]
    for part in parts:
        part.set_epoch(5)
        part.skip = (5, skip)
    for index, keys in enumerate(zip(*parts, strict=True), start=skip):
        assert [i for part in keys for _, i in part] == parts[0].batch(5, index)
