"""A Lightning module and a data set of your own, SimCLR in the manner of Lightly's documentation: see what its encoder looks at.

python examples/monitor_your_own_module.py [--epochs 2] [--out runs/digits], then tensorboard --logdir runs/digits
"""

from __future__ import annotations

import argparse
from pathlib import Path

import pytorch_lightning as pl
import torch
import torchvision
from lightly.data import LightlyDataset
from lightly.loss import NTXentLoss
from lightly.models.modules import SimCLRProjectionHead
from lightly.transforms import SimCLRTransform
from lightly.transforms.utils import IMAGENET_NORMALIZE
from PIL import Image
from sklearn.datasets import load_digits
from torch.utils.data import DataLoader, Dataset

from cocoa_pl import watch


class Digits(Dataset):
    def __init__(self, first, last, transform=None):
        given = load_digits()
        self.images, self.labels, self.transform = given.images[first:last], given.target[first:last], transform

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        image = Image.fromarray((15 * self.images[index]).astype("uint8")).convert("RGB").resize((32, 32))
        return (self.transform(image) if self.transform else image), int(self.labels[index])


class SimCLR(pl.LightningModule):
    def __init__(self):
        super().__init__()
        self.backbone = torch.nn.Sequential(*list(torchvision.models.resnet18().children())[:-1], torch.nn.Flatten())
        self.head, self.criterion = SimCLRProjectionHead(512, 256, 64), NTXentLoss(temperature=0.2)

    def training_step(self, batch, batch_idx):
        (first, second), _, _ = batch
        return self.criterion(self.head(self.backbone(first)), self.head(self.backbone(second)))

    def configure_optimizers(self):
        return torch.optim.AdamW(self.parameters(), lr=1e-3)


parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--epochs", type=int, default=2)
parser.add_argument("--out", type=Path, default=Path("runs/digits"))
args = parser.parse_args()
pl.seed_everything(0, workers=True)
views = SimCLRTransform(input_size=32, cj_strength=0.5, min_scale=0.3, hf_prob=0.0, gaussian_blur=0.0)
loader = DataLoader(LightlyDataset.from_torch_dataset(Digits(0, 1200), transform=views), batch_size=128, shuffle=True, drop_last=True)
explain = watch(
    Digits(1200, 1797),  # the explicands; without them, the loaders' own validation images
    encoder="backbone",
    **IMAGENET_NORMALIZE,
    seen=["crop"],
    num_explicands=6,
    folder=args.out / "heatmaps",
)
logger = pl.loggers.TensorBoardLogger(args.out, name="", version="")
pl.Trainer(max_epochs=args.epochs, callbacks=[explain], logger=logger, log_every_n_steps=5).fit(SimCLR(), loader)
