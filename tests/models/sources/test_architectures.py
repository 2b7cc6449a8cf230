"""Every classification network of torchvision loses its classifier and nothing else; the guess is quick."""

from __future__ import annotations

import pytest
import timm
import torch
import torchvision

from cocoa_pl.models.sources.architectures import Variant
from cocoa_pl.models.sources.matching import fits
from cocoa_pl.models.sources.timm_models import TimmNetwork
from cocoa_pl.models.sources.torchvision_models import GUESSED, TorchvisionNetwork, torchvision_names

ONE_A_FAMILY = {
    "alexnet": 4096, "convnext_tiny": 768, "densenet121": 1024, "efficientnet_b0": 1280,  "googlenet": 1024,
     "maxvit_t": 512, "mnasnet0_5": 1280, "mobilenet_v2": 1280, "mobilenet_v3_small": 1024, "regnet_x_400mf": 400,
    "resnet18": 512,  "shufflenet_v2_x0_5": 1024, "squeezenet1_1": 512, "swin_t": 768, 
    "vgg11": 4096, "vit_b_32": 768,
}  # fmt: skip


@pytest.mark.parametrize("name", ONE_A_FAMILY)
def test_representations_are_what_goes_into_the_last_linear_layer(name: str) -> None:
    architecture = TorchvisionNetwork(name)
    side = architecture.preparation(Variant()).image_size
    reps = architecture.skeleton(Variant()).eval()(torch.zeros(2, 3, side, side, device="meta"))
    assert reps.shape == (2, ONE_A_FAMILY[name])


@pytest.mark.parametrize("name", ["convnext_tiny", "densenet121", "mobilenet_v3_small", "squeezenet1_1", "swin_t", "vgg11", "vit_b_32"])
def test_only_the_classifier_is_not_needed(name: str) -> None:
    with torch.device("meta"):
        whole = torchvision.models.get_model(name, weights=None).state_dict()
    best = fits(TorchvisionNetwork(name), {key: value.shape for key, value in whole.items()})[0]
    assert best.complete
    last = [key for key in whole if key.endswith(".weight")][-1].removesuffix("weight")
    assert {key for key in whole if key not in best.names} == {f"{last}weight", f"{last}bias"}


def test_guessed_networks_are_told_apart() -> None:
    for name in GUESSED:
        shapes = {f"net.{key}": shape for key, shape in TorchvisionNetwork(name).shapes(Variant()).items()}
        complete = {other for other in GUESSED if any(fit.complete for fit in fits(TorchvisionNetwork(other), shapes))}
        assert complete == {name}


def test_no_detectors_or_segmenters() -> None:
    assert set(GUESSED) <= set(torchvision_names())
    assert not {name for name in torchvision_names() if name.startswith(("fcn", "quantized", "raft", "r3d"))}


@pytest.mark.parametrize(
    "name", ["resnet10t", "test_vit", "test_convnext", "test_efficientnet", "mobilenetv3_small_050", "deit_tiny_distilled_patch16_224"]
)
def test_only_the_classifier_of_timm_is_not_needed(name: str) -> None:
    whole = timm.create_model(name, pretrained=False)
    best = fits(TimmNetwork(name), {f"model.{key}": value.shape for key, value in whole.state_dict().items()})[0]
    assert best.complete
    assert best.prefix == "model."


def test_a_deeper_network_of_timm_does_not_fit() -> None:
    with torch.device("meta"):
        deeper = timm.create_model("vit_tiny_patch16_224", pretrained=False, depth=13)
    best = fits(TimmNetwork("vit_tiny_patch16_224"), {key: value.shape for key, value in deeper.state_dict().items()})[0]
    assert not best.complete
    assert best.surplus[0].startswith("blocks.12.")


def test_a_skeleton_takes_no_memory() -> None:
    assert {value.device.type for value in TorchvisionNetwork("regnet_x_400mf").skeleton(Variant()).parameters()} == {"meta"}
