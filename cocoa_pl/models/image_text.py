"""Pictures and captions in one space: a small dual encoder trained by symmetric InfoNCE (CLIP: Radford et al., ICML 2021)."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from lightly.utils import dist
from torch import Tensor, nn
from torchmetrics import Metric

from cocoa_pl.data.words import WordTokenizer
from cocoa_pl.models.module import EncoderModule
from cocoa_pl.models.optim import OptimSpec
from cocoa_pl.models.text_tower import TextTower
from cocoa_pl.types import Batch

_SHARPEST = math.log(100)  # of the learned temperature, as in CLIP


class ImageText(EncoderModule):
    """Pulls a picture and its caption together and all other pictures and captions apart.

    Args:
        backbone: normalised images (B, 3, H, W) to representations (B, rep_dim).
        rep_dim: length of a representation.
        text_tower: tokens (B, T) to projections (B, projection_dim).
        tokenizer: of the captions.
        projection_dim: length of a projection.
        optim: optimiser and schedule.
        mean: channel means in [0, 1].
        std: channel standard deviations.
        temperature: of InfoNCE in the beginning; it is learned.
        validation: metric that collects projections of pictures and captions, and computes ``val/...``.
    """

    def __init__(
        self, backbone: nn.Module, *, rep_dim: int, text_tower: TextTower, tokenizer: WordTokenizer, projection_dim: int, optim: OptimSpec,
        mean: Sequence[float], std: Sequence[float], temperature: float = 0.07, validation: Metric | None = None,
    ) -> None:  # fmt: skip
        super().__init__(backbone, optim=optim, mean=mean, std=std, validation=validation)
        self.projection_head = nn.Linear(rep_dim, projection_dim, bias=False)
        self.text_tower, self.tokenizer = text_tower, tokenizer
        self.scale = LogitScale(temperature)

    @property
    def trained(self) -> dict[str, nn.Module]:
        return {"backbone.": self.backbone, "projection_head.": self.projection_head, "text_tower.": self.text_tower, "scale.": self.scale}

    @property
    def projector(self) -> nn.Module:
        return self.projection_head

    def loss(self, batch: Batch) -> Tensor:
        """Symmetric InfoNCE of one view and one caption of each picture, over those of all processes."""
        images, texts = self.projection_head(self(batch.views[0])), self.text_tower(batch.tokens)
        with torch.autocast(self.device.type, enabled=False):  # similarities of half precision would round the loss
            return info_nce(*(_precise(each) for each in (images, texts)), scale=self.scale())

    def validation_step(self, batch: Batch, batch_idx: int, dataloader_idx: int = 0) -> None:
        """Collect projections of validation images (loader 1) and of their fullest captions."""
        if self.validation is not None and dataloader_idx == 1:
            images = self.projection_head(self(batch.images.to(self.mean) / 255))
            self.validation.update(_precise(images), _precise(self.text_tower(batch.tokens)), batch.tokens)


class LogitScale(nn.Module):
    """What similarities are multiplied by: 1 / temperature, learned, at most 100."""

    def __init__(self, temperature: float) -> None:
        super().__init__()
        self.log_scale = nn.Parameter(torch.tensor(-math.log(temperature)))

    def forward(self) -> Tensor:
        """A scalar."""
        return self.log_scale.clamp_max(_SHARPEST).exp()


def info_nce(images: Tensor, texts: Tensor, *, scale: Tensor) -> Tensor:
    """Mean cross-entropy of finding each picture's text among all and each text's picture, both (B, D); over all processes.

    Example:
        >>> info_nce(torch.eye(4), torch.eye(4), scale=torch.tensor(100.0)) < 1e-6
        tensor(True)
    """
    images, texts = F.normalize(images, dim=1), F.normalize(texts, dim=1)
    all_images, all_texts = images, texts
    if dist.world_size() > 1:
        all_images, all_texts = torch.cat(dist.gather(images)), torch.cat(dist.gather(texts))
    own = torch.arange(len(images), device=images.device) + dist.rank() * len(images)
    return (F.cross_entropy(scale * images @ all_texts.T, own) + F.cross_entropy(scale * texts @ all_images.T, own)) / 2


def _precise(projections: Tensor) -> Tensor:
    return projections.to(torch.promote_types(projections.dtype, torch.float32))
