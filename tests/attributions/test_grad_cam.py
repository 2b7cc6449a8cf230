"""Grad-CAM against captum on a convolutional network, and against loops on vision transformers."""

from __future__ import annotations

import numpy as np
import pytest
import timm
import torch
from captum.attr import LayerAttribution, LayerGradCam
from torch import Tensor, nn

from cocoa_pl.attributions import GradCam
from cocoa_pl.encoding import FrozenEncoder
from cocoa_pl.targets import DirectionTarget
from cocoa_pl.types import Scorer


@pytest.mark.parametrize("layer", ["0", "2", None])
@pytest.mark.parametrize("relu", [False, True])
def test_equals_captum(encoder: FrozenEncoder, explicands: Tensor, targets: DirectionTarget, layer: str | None, relu: bool) -> None:
    ours = GradCam(layer, relu)(Scorer(encoder, targets), explicands, torch.zeros_like(explicands), chunk_size=2)
    module = encoder.module.get_submodule(layer or "3")
    for k in range(4):
        for n in range(3):

            def score(images: Tensor, k: int = k, n: int = n) -> Tensor:
                return targets(encoder(images), torch.full((len(images),), n))[:, k]

            image = explicands[n : n + 1].clone().requires_grad_()
            theirs = LayerGradCam(score, module).attribute(image, relu_attributions=relu)
            expected = LayerAttribution.interpolate(theirs, (9, 11), "bilinear")[0, 0].detach()
            torch.testing.assert_close(ours[k, n], expected, atol=1e-7, rtol=1e-4)


def slow_cam(tokens: np.ndarray, gradient: np.ndarray, extra: int, side: int) -> np.ndarray:
    """Tokens and gradient (T, D) to a map (side, side), token by token."""
    weight = sum(gradient[t] for t in range(extra, len(tokens))) / side**2
    return np.array([[float(weight @ tokens[extra + y * side + x]) for x in range(side)] for y in range(side)])


def test_a_transformer_by_hand_equals_finite_differences(vit: FrozenEncoder) -> None:
    """In double precision, from the tokens on, without autograd."""
    images = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    target = DirectionTarget(torch.randn(2, 6, generator=torch.Generator().manual_seed(1)), names=["a", "b"])
    layer = "norm1" if vit.module.read_class else "norm"
    ours = GradCam()(Scorer(vit, target), images, images)
    net = vit.module.double()
    for n in range(2):
        with torch.no_grad():
            stem = net.stem(images[n : n + 1].double())
            if layer == "norm1":
                tokens, rest = net.norm1(stem), lambda normed, stem=stem: net.rest(stem, normed)
            else:
                q, k, v = net.qkv(net.norm1(stem)).chunk(3, dim=-1)
                tokens, rest = net.norm(stem + torch.softmax(q @ k.mT, dim=-1) @ v), lambda last: torch.tanh(last[:, 2:].mean(dim=1))

            def score(tokens: Tensor, rest=rest) -> Tensor:
                reps = rest(tokens)
                return reps / reps.norm(dim=1, keepdim=True) @ target.directions.double().T

            gradient = torch.zeros(2, 18, 6, dtype=torch.float64)
            for t in range(18):
                for d in range(6):
                    step = torch.zeros_like(tokens)
                    step[0, t, d] = 1e-6
                    gradient[:, t, d] = ((score(tokens + step) - score(tokens - step)) / 2e-6)[0]
        for k in range(2):
            small = torch.tensor(slow_cam(tokens[0].numpy(), gradient[k].numpy(), 2, 4))
            expected = nn.functional.interpolate(small[None, None], (8, 8), mode="bilinear")[0, 0].float()
            torch.testing.assert_close(ours[k, n], expected, atol=1e-5, rtol=1e-3)
            assert expected.std() > 1e-3


def test_timm_s_transformer_equals_a_loop() -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        options = {"img_size": 32, "patch_size": 8, "embed_dim": 24, "depth": 2, "num_heads": 2, "num_classes": 0, "reg_tokens": 2}
        encoder = FrozenEncoder(timm.create_model("vit_tiny_patch16_224", pretrained=False, **options))
        images, directions = torch.rand(2, 3, 32, 32), torch.randn(1, 24)
    target = DirectionTarget(directions, names=["a"])
    ours = GradCam()(Scorer(encoder, target), images, images)
    kept: list[Tensor] = []
    with encoder.module.blocks[1].norm1.register_forward_hook(lambda module, inputs, output: kept.append(output)):
        scores = target(encoder(images.clone().requires_grad_()), torch.arange(2))
    (gradient,) = torch.autograd.grad(scores.sum(), kept[0])
    for n in range(2):
        small = torch.tensor(slow_cam(kept[0][n].detach().numpy(), gradient[n].numpy(), 3, 4))
        expected = nn.functional.interpolate(small[None, None], (32, 32), mode="bilinear")[0, 0].float()
        torch.testing.assert_close(ours[0, n], expected, atol=1e-7, rtol=1e-4)


def test_a_layer_whose_output_is_overwritten_counts_as_it_was() -> None:
    def maps(inplace: bool) -> Tensor:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(inplace=inplace), nn.AdaptiveAvgPool2d(1), nn.Flatten())
            images = torch.rand(2, 3, 6, 6)
        target = DirectionTarget(torch.tensor([[1.0, -2.0, 0.5, 3.0]]), names=["a"])
        return GradCam(layer="0")(Scorer(FrozenEncoder(network), target), images, images)

    assert torch.equal(maps(inplace=True), maps(inplace=False))
    assert maps(inplace=True).min() < 0


def test_an_encoder_that_stops_at_the_layer_shows_it(explicands: Tensor) -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = nn.Sequential(nn.Conv2d(3, 5, 3), nn.Softplus(), nn.Conv2d(5, 4, 3))
    target = DirectionTarget(torch.tensor([[1.0, -2.0, 0.5, 3.0, 1.0]]), names=["a"])
    stopped = GradCam("1")(Scorer(FrozenEncoder(network, layer="1", pool=True), target), explicands, explicands)
    whole = GradCam("1")(Scorer(FrozenEncoder(network[:2], pool=True), target), explicands, explicands)
    assert torch.equal(stopped, whole)


def test_the_positive_part_leaves_out_what_speaks_for_the_foil(
    encoder: FrozenEncoder, explicands: Tensor, targets: DirectionTarget
) -> None:
    signed, positive = (GradCam("2", relu)(Scorer(encoder, targets), explicands, explicands)[3] for relu in (False, True))
    assert signed.min() < 0 <= positive.min()
