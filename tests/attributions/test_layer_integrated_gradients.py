"""Layer integrated gradients against captum on a convolutional network, against finite differences on a transformer, and completeness."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from captum.attr import LayerAttribution
from captum.attr import LayerIntegratedGradients as CaptumLayerIntegratedGradients
from torch import Tensor, nn

from cocoa_pl.attributions import LayerIntegratedGradients
from cocoa_pl.encoding import FrozenEncoder
from cocoa_pl.errors import ConfigError
from cocoa_pl.removal import Blur
from cocoa_pl.targets import DirectionTarget
from cocoa_pl.types import Scorer


@pytest.mark.parametrize("layer", ["0", "2"])
def test_equals_captum(encoder: FrozenEncoder, explicands: Tensor, targets: DirectionTarget, layer: str) -> None:
    baseline = Blur()(explicands)
    ours = LayerIntegratedGradients(5, layer)(Scorer(encoder, targets), explicands, baseline, chunk_size=7)
    for k, n in ((0, 2), (1, 0), (2, 1), (3, 2)):

        def score(images: Tensor, k: int = k, n: int = n) -> Tensor:
            return targets(encoder(images), torch.full((len(images),), n))[:, k]

        own = slice(n, n + 1)
        method = CaptumLayerIntegratedGradients(score, encoder.module.get_submodule(layer))
        theirs = method.attribute(explicands[own], baseline[own], n_steps=5).sum(dim=1, keepdim=True).detach().float()
        share = theirs.shape[2] * theirs.shape[3] / 99
        expected = LayerAttribution.interpolate(theirs, (9, 11), "bilinear")[0, 0] * share
        torch.testing.assert_close(ours[k, n], expected, atol=1e-7, rtol=1e-4)


def test_a_transformer_by_hand_equals_finite_differences(vit: FrozenEncoder) -> None:
    """At the first norm, in double precision, without autograd; what goes round the layer stays the explicand's."""
    images = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    target = DirectionTarget(torch.randn(2, 6, generator=torch.Generator().manual_seed(1)), names=["a", "b"])
    ours = LayerIntegratedGradients(3, "norm1")(Scorer(vit, target), images, torch.zeros_like(images))
    net, (nodes, weights) = vit.module.double(), np.polynomial.legendre.leggauss(3)
    for n in range(2):
        with torch.no_grad():
            stem = net.stem(images[n : n + 1].double())
            first, last = net.norm1(net.stem(torch.zeros(1, 3, 8, 8, dtype=torch.float64))), net.norm1(stem)

            def score(tokens: Tensor, stem: Tensor = stem) -> Tensor:
                reps = net.rest(stem, tokens)
                return (reps / reps.norm(dim=1, keepdim=True) @ target.directions.double().T)[0]

            small = np.zeros((2, 4, 4))
            for node, weight in zip((nodes + 1) / 2, weights / 2, strict=True):
                at = first + float(node) * (last - first)
                for t in range(16):
                    for d in range(6):
                        step = torch.zeros_like(at)
                        step[0, 2 + t, d] = 1e-6
                        slope = (score(at + step) - score(at - step)) / 2e-6 * float((last - first)[0, 2 + t, d])
                        small[:, t // 4, t % 4] += weight * slope.numpy()
        expected = nn.functional.interpolate(torch.tensor(small)[None], (8, 8), mode="bilinear")[0].float() / 4
        torch.testing.assert_close(ours[:, n], expected, atol=1e-5, rtol=1e-3)


def test_the_map_shares_out_the_difference_of_scores() -> None:
    """Where everything passes through the layer, and the image's sides are multiples of the map's."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = nn.Sequential(
            nn.Conv2d(3, 6, 2, stride=2), nn.Softplus(), nn.Conv2d(6, 5, 2), nn.Tanh(), nn.AdaptiveAvgPool2d(1), nn.Flatten()
        )
        images, directions = torch.rand(4, 3, 8, 12), torch.randn(2, 5)
    scorer, black, rows = (
        Scorer(FrozenEncoder(network), DirectionTarget(directions, names=["a", "b"])),
        torch.zeros_like(images),
        torch.arange(4),
    )
    for layer in ("0", "1"):
        maps = LayerIntegratedGradients(num_steps=24, layer=layer)(scorer, images, black)
        torch.testing.assert_close(maps.sum(dim=(2, 3)).T, scorer(images, rows) - scorer(black, rows), atol=1e-5, rtol=1e-4)


def test_a_layer_whose_output_is_overwritten_counts_as_it_was() -> None:
    def maps(inplace: bool) -> Tensor:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(inplace=inplace), nn.AdaptiveAvgPool2d(1), nn.Flatten())
            images = torch.rand(2, 3, 6, 6)
        target = DirectionTarget(torch.tensor([[1.0, -2.0, 0.5, 3.0]]), names=["a"])
        return LayerIntegratedGradients(4, "0")(Scorer(FrozenEncoder(network), target), images, torch.zeros_like(images))

    assert torch.equal(maps(inplace=True), maps(inplace=False))
    assert maps(inplace=True).any()


def test_no_steps_are_refused() -> None:
    with pytest.raises(ConfigError, match="num_steps=0: must be at least 1"):
        LayerIntegratedGradients(num_steps=0)
