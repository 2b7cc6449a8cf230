"""What all methods of training share: an encoder that can be explained, losses that survive a resume, the schedule."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.utilities.types import OptimizerLRScheduler
from torch import Tensor, nn
from torchmetrics import Metric

from cocoa_pl.models.optim import OptimSpec
from cocoa_pl.types import Batch


class EncoderModule(pl.LightningModule):
    """Trains a backbone by some loss. It knows nothing of explanations: it trains, and it encodes.

    Args:
        backbone: normalised images (B, 3, H, W) to representations (B, rep_dim).
        optim: optimiser and schedule.
        mean: channel means in [0, 1].
        std: channel standard deviations.
        validation: metric that collects what ``validation_step`` gives it, representations unless a method has a step of its own, and
            computes ``val/...``.

    Attributes:
        trained: prefixes of the checkpoint's entries to the parts that the loss trains.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self, backbone: nn.Module, *, optim: OptimSpec, mean: Sequence[float], std: Sequence[float], validation: Metric | None
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.optim = optim
        self.validation = validation
        self.register_buffer("mean", torch.tensor(mean).view(-1, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(-1, 1, 1), persistent=False)
        # of the steps of this epoch: their sum, and how many there were; no buffer, which DDP would overwrite
        self._losses = torch.zeros(2)

    @property
    @abstractmethod
    def trained(self) -> dict[str, nn.Module]:
        """The parts that are trained, by their names in a checkpoint."""

    @abstractmethod
    def loss(self, batch: Batch) -> Tensor:
        """The loss of a batch, over the images of all processes."""

    @property
    @abstractmethod
    def projector(self) -> nn.Module:
        """Representations (B, rep_dim) to the projections that the loss sees."""

    def forward(self, images: Tensor) -> Tensor:
        """Images (B, 3, H, W) in [0, 1] to representations (B, rep_dim)."""
        reps: Tensor = self.backbone(((images - self.mean) / self.std).contiguous(memory_format=torch.channels_last))
        return reps

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """The loss, logged of every step."""
        loss = self.loss(batch)
        self.log("train/loss_step", loss, on_step=True, prog_bar=True)  # of this process's rows; a sum over processes would cost each step
        self._losses = self._losses.to(loss.device) + torch.stack([loss.detach().float(), torch.ones_like(loss, dtype=torch.float32)])
        return loss

    def validation_step(self, batch: Batch, batch_idx: int, dataloader_idx: int = 0) -> None:
        """Collect representations: loader 0 is the bank of training images, loader 1 the validation images."""
        if self.validation is not None:
            views = [self(view) for view in batch.views]
            self.validation.update(self(batch.images.float() / 255), batch.labels, views, is_bank=dataloader_idx == 0)

    def on_train_epoch_end(self) -> None:
        total, num = self._all_losses().tolist()
        values = {"train/loss_epoch": total / num}
        self.log_dict(values, logger=False)
        for logger in self.trainer.loggers:  # now, for a run that is killed once its checkpoint is written does not come here again
            logger.log_metrics(values, step=self.trainer.current_epoch + 1)
        self._losses = torch.zeros(2)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep what an epoch's loss is the mean of, for a run that is saved in the middle of one."""
        checkpoint["epoch_losses"] = self._all_losses().cpu()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Go on with them; one process has those of all."""
        if "epoch_losses" in checkpoint and (self._trainer is None or self.trainer.is_global_zero):
            self._losses = checkpoint["epoch_losses"]

    def on_train_batch_end(self, outputs: Any, batch: Batch, batch_idx: int) -> None:
        self.log("train/lr", self.optimizers().param_groups[0]["lr"], on_step=True)  # type: ignore[union-attr]

    def configure_optimizers(self) -> OptimizerLRScheduler:
        total = self.trainer.estimated_stepping_batches
        if math.isinf(total):
            raise RuntimeError("the schedule needs a known number of steps; give the trainer max_epochs")
        optimizer, scheduler = self.optim.build(
            list(self.trained.values()), total_steps=int(total), epochs=self.trainer.max_epochs or 1
        )  # fmt: skip
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    def on_validation_epoch_end(self) -> None:
        if self.validation is not None:  # Lightning takes the value ``step`` as the horizontal axis: epochs done
            self.log_dict(self.validation.compute() | {"step": float(self.trainer.current_epoch + 1)})
            self.validation.reset()

    def _all_losses(self) -> Tensor:
        """(2,), over all processes."""
        own = self._losses.to(self.device, copy=True)  # Lightning sums in place
        total: Tensor = self.trainer.strategy.reduce(own, reduce_op="sum")
        return total
