"""What makes two pictures alike to an encoder that was not trained here: COCOA by integrated gradients and RISE, drawn as one sheet.

python examples/explain_any_encoder.py [--weights FILE.pth] [--out sheet.png]     FILE: a state dict of torchvision's ResNet-18
"""

from __future__ import annotations

import argparse

import torch
import torchvision
from torch import nn

from cocoa_pl import Blur, Explainer, FrozenEncoder, IntegratedGradients, Rise, cocoa
from cocoa_pl.data.scenes import ScenesOptions, scenes
from cocoa_pl.viz import Panel, contact_sheet, robust_scale

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weights", help="state dict of torchvision's ResNet-18; without it the weights are random")
    parser.add_argument("--out", default="sheet.png")
    parser.add_argument("--size", type=int, default=96, help="side of the pictures")
    parser.add_argument("--masks", type=int, default=256, help="masks of RISE")
    args = parser.parse_args()

    # any module that maps normalised images to representations (B, D) or maps (B, D, h, w)
    network = torchvision.models.resnet18(weights=None)
    if args.weights:
        network.load_state_dict(torch.load(args.weights, map_location="cpu", weights_only=True))
    network.fc = nn.Identity()
    encoder = FrozenEncoder(network, mean=IMAGENET_MEAN, std=IMAGENET_STD)

    # any images (n, 3, H, W) in [0, 1]: here the corpus is one digit, the foil whatever comes
    source = scenes(num_images=200, split="train", seed=0, options=ScenesOptions(image_size=args.size))
    images, digit = source.images.float() / 255, source.labels == 3
    explicands, corpus, foil = images[digit][:4], images[digit][4:], images[~digit]

    target = cocoa(encoder.encode(corpus), encoder.encode(foil))
    methods = {"IG": IntegratedGradients(num_steps=16), "RISE": Rise(num_masks=args.masks, grid_size=5)}
    found = Explainer(encoder, attributions=methods, removal=Blur(), chunk_size=64).explain(explicands, target, seed=0)

    pictures, scores = (explicands.permute(0, 2, 3, 1) * 255).byte().numpy(), found.scores[0].tolist()
    panels = []
    for index, picture in enumerate(pictures):
        maps = {name: attribution[0, index].numpy() for name, attribution in found.attributions.items()}
        own = {name: values / (robust_scale(values) or 1) for name, values in maps.items()}  # the two methods have units of their own
        panels.append([Panel(picture, values, caption=name, score=scores[index]) for name, values in own.items()])
    contact_sheet(panels, scale=1.0, title="Towards the 3s, away from other digits").save(args.out)
    print(f"{args.out}: scores {', '.join(f'{score:+.3f}' for score in scores)}")


if __name__ == "__main__":
    main()
