"""Law 6: ours equals captum, and a slow transcription, wherever there is one.

Comparisons of every option stand beside what they compare: ``tests/attributions`` (captum's methods by themselves, RISE pixel by pixel),
``tests/targets`` (sums of cosines), ``tests/metrics`` (loops, scipy, scikit-learn). Here: everything together, through the public door.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from captum.attr import IntegratedGradients as CaptumIntegratedGradients
from torch import Tensor, nn

from cocoa_pl.attributions import (
    FromCaptum,
    GradCam,
    Gradient,
    GradientShap,
    GradientXInput,
    IntegratedGradients,
    KernelShap,
    LayerIntegratedGradients,
    Occlusion,
    SmoothGrad,
)
from cocoa_pl.attributions.sampling import counter_normal
from cocoa_pl.encoding import FrozenEncoder
from cocoa_pl.explainer import Explainer
from cocoa_pl.registry import ATTRIBUTIONS
from cocoa_pl.removal import Black, Blur
from cocoa_pl.rng import counter_uniform, derive_seed
from cocoa_pl.targets import cocoa, contrastive_label_free, corpus_distance
from cocoa_pl.types import Attribution, Removal, Target

SEED, NUM = 7, 5
SHAPE = (3, 8, 10)
CELLS = (torch.arange(8)[:, None] // 3 * 4 + torch.arange(10) // 3)[None, None]  # windows of 3 x 3, cut off by the border
BANDS = ((torch.arange(8)[:, None] + torch.arange(10)) ** 2 // 20).clamp(max=6)[None]  # seven superpixels of unequal size
SHARE = 6 * 8 / (8 * 10)  # of a pixel of layer 2 that a pixel of the image gets, so that maps keep their sum
CHANNEL = 1 / 3  # captum gives what a region is worth to each of its channels, and the adapter sums over channels

DETERMINISTIC: dict[str, tuple[Attribution, Attribution, float]] = {  # ours, captum's, and what captum's is multiplied by
    "gradient": (Gradient(), FromCaptum("Saliency", abs=False), 1),
    "gradient_x_input": (GradientXInput(), FromCaptum("InputXGradient"), 1),
    "integrated_gradients": (IntegratedGradients(5), FromCaptum("IntegratedGradients", n_steps=5), 1),
    "grad_cam": (GradCam("2"), FromCaptum("LayerGradCam", layer="2"), 1),
    "grad_cam, positive part": (GradCam(relu=True), FromCaptum("LayerGradCam", relu_attributions=True), 1),
    "layer_integrated_gradients": (
        LayerIntegratedGradients(4, "2"), FromCaptum("LayerIntegratedGradients", layer="2", n_steps=4), SHARE,
    ),
    "occlusion": (Occlusion(4, 3), FromCaptum("Occlusion", sliding_window_shapes=(3, 4, 4), strides=(3, 3, 3)), CHANNEL),
    "occlusion, windows apart": (Occlusion(3, 3), FromCaptum("FeatureAblation", feature_mask=CELLS), CHANNEL),
}  # fmt: skip
DRAWN: dict[str, tuple[Attribution, Attribution]] = {
    "smoothgrad": (SmoothGrad(NUM, 0.3), FromCaptum("NoiseTunnel", over="Saliency", abs=False, nt_samples=NUM, stdevs=0.3)),
    "smoothgrad of integrated_gradients": (
        SmoothGrad(NUM, 0.3, IntegratedGradients(3)),
        FromCaptum("NoiseTunnel", over="IntegratedGradients", n_steps=3, nt_samples=NUM, stdevs=0.3),
    ),
    "gradient_shap": (GradientShap(NUM, 0.2), FromCaptum("GradientShap", n_samples=NUM, stdevs=0.2)),
}
CONVERGING = {"kernel_shap"}
NOT_IN_CAPTUM = {"rise", "kernel_shap_slic"}  # RISE has a transcription; SLIC gives KernelSHAP other superpixels only


@pytest.fixture
def explicands(tiny_explicands: Tensor) -> Tensor:
    """Three that reach from 0 to 1, so that a share of an explicand's range is the same for all."""
    low, high = tiny_explicands[:3].amin((1, 2, 3), keepdim=True), tiny_explicands[:3].amax((1, 2, 3), keepdim=True)
    return (tiny_explicands[:3] - low) / (high - low)


def make_target(encoder: FrozenEncoder, explicands: Tensor) -> Target:
    """A reference for each explicand, shared ones, and one that is no direction."""
    corpus, foil = (encoder.encode(torch.rand(num, *SHAPE, generator=torch.Generator().manual_seed(num))) for num in (4, 6))
    return contrastive_label_free(encoder.encode(explicands), foil) + cocoa(corpus, foil) + corpus_distance(corpus)


def explain(encoder: FrozenEncoder, explicands: Tensor, removal: Removal, *methods: Attribution, chunk_size: int = 7) -> list[Tensor]:
    named = {str(number): method for number, method in enumerate(methods)}
    explainer = Explainer(encoder, attributions=named, removal=removal, chunk_size=chunk_size)
    return list(explainer.explain(explicands, make_target(encoder, explicands), seed=SEED).attributions.values())


def assert_equal(ours: Tensor, theirs: Tensor) -> None:
    torch.testing.assert_close(ours, theirs, atol=float(theirs.abs().max()) * 1e-5, rtol=1e-4)
    assert theirs.abs().amax(dim=(2, 3)).min() > 1e-4


def test_every_method_that_captum_has_is_compared() -> None:
    compared = {name for name in (*DETERMINISTIC, *DRAWN, *CONVERGING) if name in ATTRIBUTIONS}
    assert compared | NOT_IN_CAPTUM == {*ATTRIBUTIONS}


@pytest.mark.parametrize("removal", [Blur(), Black()])
@pytest.mark.parametrize("name", DETERMINISTIC)
def test_a_method_without_draws_equals_captum_s(tiny_encoder: FrozenEncoder, explicands: Tensor, removal: Removal, name: str) -> None:
    *methods, factor = DETERMINISTIC[name]
    ours, theirs = explain(tiny_encoder, explicands, removal, *methods)
    assert_equal(ours, theirs * factor)


@pytest.mark.parametrize("removal", [Blur(), Black()])
@pytest.mark.parametrize("name", DRAWN)
def test_a_method_equals_captum_s_with_the_same_draws(
    tiny_encoder: FrozenEncoder, explicands: Tensor, monkeypatch: pytest.MonkeyPatch, removal: Removal, name: str
) -> None:
    if name == "gradient_shap":
        noise = counter_normal(derive_seed(SEED, "gradient_shap", "noise"), torch.arange(NUM), SHAPE)
    else:
        noise = counter_normal(derive_seed(SEED, "smoothgrad"), torch.arange(NUM), SHAPE)
    alphas = counter_uniform(derive_seed(SEED, "gradient_shap", "way"), torch.arange(NUM), num=2)[:, 0]
    monkeypatch.setattr(torch, "normal", lambda mean, std: std * noise)
    monkeypatch.setattr(np.random, "uniform", lambda low, high, size: alphas.numpy())
    assert_equal(*explain(tiny_encoder, explicands, removal, *DRAWN[name]))


def test_captum_s_kernel_shap_comes_nearer_to_ours_the_more_it_draws(tiny_encoder: FrozenEncoder, explicands: Tensor) -> None:
    """Ours takes all coalitions of seven superpixels; captum's value of one is not shared over its pixels."""
    pixels = torch.bincount(BANDS.flatten())[BANDS[0]]
    assert len(BANDS.unique()) == 7

    def segments(images: Tensor) -> Tensor:
        return BANDS.expand(len(images), -1, -1)

    theirs = [FromCaptum("KernelShap", n_samples=num, feature_mask=BANDS[None]) for num in (60, 600)]
    ours, few, many = explain(tiny_encoder, explicands[:1], Blur(), KernelShap(126, segments), *theirs, chunk_size=400)
    far, near = (float((ours - maps * CHANNEL / pixels).norm() / ours.norm()) for maps in (few, many))
    assert near < 0.04
    assert near < far / 2


def test_the_public_door_gives_captum_s_map_of_a_hand_written_cocoa_score() -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net = nn.Sequential(nn.Conv2d(3, 6, 3), nn.BatchNorm2d(6), nn.Softplus(), nn.AdaptiveAvgPool2d(2), nn.Flatten()).eval()
        images, corpus, foil = torch.rand(2, 3, 8, 8), torch.rand(4, 3, 8, 8), torch.rand(5, 3, 8, 8)
    mean, std = torch.tensor([0.4, 0.5, 0.6]).view(3, 1, 1), torch.tensor([0.2, 0.3, 0.2]).view(3, 1, 1)

    def score(pictures: Tensor) -> Tensor:
        h, c, f = (net((x - mean) / std) for x in (pictures, corpus, foil))
        to_corpus, to_foil = (nn.functional.cosine_similarity(h[:, None], refs[None], dim=2).mean(1) for refs in (c, f))
        return to_corpus - to_foil

    encoder = FrozenEncoder(net, mean=mean.flatten().tolist(), std=std.flatten().tolist())
    target = cocoa(encoder.encode(corpus), encoder.encode(foil))
    ours = Explainer(encoder, attributions={"ig": IntegratedGradients(num_steps=6)}, removal=Blur()).explain(images, target)
    theirs = CaptumIntegratedGradients(score).attribute(images, Blur()(images), n_steps=6, method="gausslegendre").sum(1)
    torch.testing.assert_close(ours.attributions["ig"][0], theirs.float(), atol=1e-6, rtol=1e-3)
    torch.testing.assert_close(ours.scores[0], score(images).detach())
