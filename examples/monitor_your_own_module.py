"""A Lightning module and pictures of your own, SimCLR as in Lightly's documentation: what does its encoder come to look at?

python examples/monitor_your_own_module.py [--epochs 2] [--out runs/digits], then tensorboard --logdir runs/digits
"""

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
from pytorch_lightning.loggers import TensorBoardLogger
from sklearn.datasets import load_digits

from cocoa_pl import Rise, watch


class SimCLR(pl.LightningModule):
    def __init__(self):
        super().__init__()
        self.backbone = torch.nn.Sequential(*list(torchvision.models.resnet18().children())[:-1], torch.nn.Flatten())
        self.head, self.criterion = SimCLRProjectionHead(512, 256, 64), NTXentLoss(temperature=0.2)

    def training_step(self, batch, batch_idx):
        (first, second), *_ = batch
        return self.criterion(self.head(self.backbone(first)), self.head(self.backbone(second)))

    def configure_optimizers(self):
        return torch.optim.AdamW(self.parameters(), lr=1e-3)


parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--epochs", type=int, default=2)
parser.add_argument("--out", type=Path, default=Path("runs/digits"))
args = parser.parse_args()
for i, (digit, label) in enumerate(zip(load_digits().images[:640], load_digits().target, strict=False)):
    path = args.out / ("train" if i < 512 else "val") / str(label) / f"{i}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray((15 * digit).astype("uint8")).resize((32, 32)).save(path)
views = SimCLRTransform(input_size=32, cj_strength=0.5, min_scale=0.3, hf_prob=0.0, gaussian_blur=0.0)
loader = torch.utils.data.DataLoader(LightlyDataset(args.out / "train", transform=views), batch_size=128, shuffle=True)
explain = watch(
    LightlyDataset(args.out / "val"),  # the pictures explained; left out, those of the validation loader
    encoder="backbone",  # a dotted name, or a function of the module
    **IMAGENET_NORMALIZE,  # mean and std of the images that the encoder takes
    attributions={"rise": Rise(num_masks=64, grid_size=4)},
    views=["original", "crop", "rotate90"],
    seen=["crop"],  # of these views training makes this one, too
    num_explicands=4,
    folder=args.out / "heatmaps",
)
logger = TensorBoardLogger(args.out, name="", version="")
pl.Trainer(max_epochs=args.epochs, callbacks=[explain], logger=logger, log_every_n_steps=1).fit(SimCLR(), loader)
