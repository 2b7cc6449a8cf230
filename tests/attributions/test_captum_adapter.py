"""The bridge to captum in both directions: equal to captum alone, no row in another's place, no trace in global state."""

from __future__ import annotations

import sys
from collections.abc import Callable

import numpy as np
import pytest
import torch
from captum.attr import (
    FeatureAblation,
    GradientShap,
    IntegratedGradients,
    KernelShap,
    LayerGradCam,
    NoiseTunnel,
    Occlusion,
    Saliency,
    ShapleyValueSampling,
)
from torch import Tensor

from cocoa_pl.attributions import FromCaptum, forward_func, quantus_arrays
from cocoa_pl.encoding import FrozenEncoder
from cocoa_pl.errors import ConfigError, DataError
from cocoa_pl.removal import Blur
from cocoa_pl.targets import DirectionTarget
from cocoa_pl.types import Attribution, Scorer

CELLS = (torch.arange(9)[:, None] // 3 * 4 + torch.arange(11)[None] // 3)[None, None]  # superpixels of 3 x 3
RANDOM = {
    "kernel_shap": FromCaptum(KernelShap, n_samples=20, feature_mask=CELLS),
    "shapley": FromCaptum(ShapleyValueSampling, n_samples=2, feature_mask=CELLS),
    "gradient_shap": FromCaptum(GradientShap, n_samples=4, stdevs=0.2),
    "noise_tunnel": FromCaptum(NoiseTunnel, over=IntegratedGradients, n_steps=2, nt_samples=4, stdevs=0.2),
}


WINDOWS = {"sliding_window_shapes": (3, 4, 4), "strides": (3, 2, 2)}
FLAT = {"multiply_by_inputs": False}
ALONE = {  # the adapter, and captum on one image and its baseline
    "perturbation": (FromCaptum(Occlusion, **WINDOWS), lambda score, x, b: Occlusion(score).attribute(x, baselines=b, **WINDOWS)),
    "option of the class": (
        FromCaptum("IntegratedGradients", n_steps=3, **FLAT),
        lambda score, x, b: IntegratedGradients(score, **FLAT).attribute(x, b, n_steps=3),
    ),
    "own baseline": (
        FromCaptum(IntegratedGradients, n_steps=3, baselines=0.5),
        lambda score, x, b: IntegratedGradients(score).attribute(x, 0.5, n_steps=3),
    ),
}


@pytest.mark.parametrize(("ours", "alone"), ALONE.values(), ids=ALONE.keys())
def test_equals_captum_alone(
    encoder: FrozenEncoder, explicands: Tensor, targets: DirectionTarget, ours: Attribution, alone: Callable[..., Tensor]
) -> None:
    baseline = Blur()(explicands)
    maps = ours(Scorer(encoder, targets), explicands, baseline, chunk_size=6)
    for k, n in ((0, 2), (1, 1), (3, 0)):

        def score(images: Tensor, k: int = k, n: int = n) -> Tensor:
            return targets(encoder(images), torch.full((len(images),), n))[:, k]

        theirs = alone(score, explicands[n : n + 1], baseline[n : n + 1]).sum(dim=(0, 1))
        torch.testing.assert_close(maps[k, n], theirs.float(), atol=1e-6, rtol=1e-4)


def test_a_tunnel_without_noise_is_the_method_itself_over_a_layer_too(
    encoder: FrozenEncoder, explicands: Tensor, targets: DirectionTarget
) -> None:
    given = Scorer(encoder, targets), explicands, Blur()(explicands)
    for name, options in (("LayerGradCam", {"layer": "2"}), ("IntegratedGradients", {"n_steps": 3})):
        tunnel = FromCaptum("NoiseTunnel", over=name, nt_samples=3, stdevs=0.0, **options)
        torch.testing.assert_close(tunnel(*given), FromCaptum(name, **options)(*given), atol=1e-6, rtol=1e-4)


@pytest.mark.parametrize("method", RANDOM.values(), ids=RANDOM.keys())
def test_draws_are_a_function_of_the_seed_and_global_state_is_put_back(
    encoder: FrozenEncoder, explicands: Tensor, targets: DirectionTarget, method: Attribution
) -> None:
    baseline = torch.zeros_like(explicands)
    torch_state, numpy_state = torch.get_rng_state(), np.random.get_state()  # noqa: NPY002
    scorer = Scorer(encoder, DirectionTarget(targets.directions[:2], names=["a", "b"]))
    maps = method(scorer, explicands, baseline, seed=2, chunk_size=8)
    assert torch.equal(torch.get_rng_state(), torch_state)
    assert np.array_equal(np.random.get_state()[1], numpy_state[1])  # noqa: NPY002
    with torch.inference_mode():
        torch.testing.assert_close(method(scorer, explicands.clone(), baseline, seed=2, chunk_size=50), maps, atol=1e-6, rtol=1e-4)
    assert not torch.allclose(method(scorer, explicands, baseline, seed=3, chunk_size=8), maps)
    for n in (0, 2):  # law 3, and law 4 with it
        own = Scorer(encoder, DirectionTarget(targets.directions[1:2, n : n + 1], names=["b"]))
        alone = method(own, explicands[n : n + 1], baseline[n : n + 1], seed=2, chunk_size=8)
        torch.testing.assert_close(alone[0, 0], maps[1, n], atol=1e-6, rtol=1e-4)


@pytest.mark.parametrize("method", RANDOM.values(), ids=RANDOM.keys())
def test_passes_have_the_chunk_size(method: Attribution, explicands: Tensor) -> None:
    sizes = []

    def score(images: Tensor, rows: Tensor) -> Tensor:
        sizes.append(len(images))
        return images.square().sum((1, 2, 3))[:, None]

    method(score, explicands, torch.zeros_like(explicands), seed=0, chunk_size=3)
    assert max(sizes) == 3


def test_a_removal_without_an_image_is_refused_unless_a_baseline_is_given(explicands: Tensor) -> None:
    def score(images: Tensor, rows: Tensor) -> Tensor:
        return images.square().sum((1, 2, 3))[:, None]

    def fill(images: Tensor, keep: Tensor) -> Tensor:
        return images

    with pytest.raises(DataError, match="FeatureAblation needs a baseline image"):
        FromCaptum(FeatureAblation, feature_mask=CELLS)(score, explicands, fill)
    assert FromCaptum(FeatureAblation, feature_mask=CELLS, baselines=0.5)(score, explicands, fill).shape == (1, 3, 9, 11)
    assert FromCaptum(Saliency)(score, explicands, fill).shape == (1, 3, 9, 11)


@pytest.mark.parametrize("method", [*RANDOM.values(), FromCaptum(FeatureAblation, feature_mask=CELLS), FromCaptum(LayerGradCam, layer="2"),
                                    FromCaptum("LayerIntegratedGradients", n_steps=3)])  # fmt: skip
def test_the_cost_is_known_beforehand(encoder: FrozenEncoder, explicands: Tensor, targets: DirectionTarget, method: Attribution) -> None:
    scorer, encoder.num_forwards = Scorer(encoder, DirectionTarget(targets.directions[:1], names=["a"])), 0
    method(scorer, explicands, torch.zeros_like(explicands), seed=0, chunk_size=256)
    assert encoder.num_forwards == method.num_forwards(3, 9, 11)


def test_the_cost_of_a_size_is_counted_once(monkeypatch: pytest.MonkeyPatch) -> None:
    runs = []
    monkeypatch.setattr(Saliency, "attribute", lambda self, images, **options: runs.append(self.forward_func(images)) or images)
    method = FromCaptum(Saliency)
    assert [method.num_forwards(num, *size) for num in (1, 5) for size in ((4, 4), (4, 6))] == [1, 1, 5, 5]
    assert len(runs) == 2


def test_settings_can_hold_it() -> None:
    """The same words in every process, and none too many."""
    method = FromCaptum("KernelShap", n_samples=20, feature_mask=CELLS, baselines=0.5)
    assert repr(method) == "FromCaptum(KernelShap, n_samples=20, feature_mask=Tensor(1, 1, 9, 11), baselines=0.5)"
    tunnel = FromCaptum(NoiseTunnel, over="LayerGradCam", layer="2", nt_type="vargrad", stdevs=(0.1, 0.2))
    assert repr(tunnel) == "FromCaptum(NoiseTunnel, over=LayerGradCam, layer='2', nt_type='vargrad', stdevs=(0.1, 0.2))"
    drawn = FromCaptum("Lime", perturb_func=torch.rand, similarity_func=object())
    assert repr(drawn) == "FromCaptum(Lime, perturb_func=rand, similarity_func=object)"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: FromCaptum("Saliencey"), "captum has no method 'Saliencey'.*did you mean 'Saliency'"),
        (lambda: FromCaptum("DeepLift"), "captum's DeepLift is made of model, .*: only methods made of a forward_func"),
        (lambda: FromCaptum(NoiseTunnel), "over=None: captum's NoiseTunnel works over another method: name it, as in over='Saliency'"),
        (lambda: FromCaptum(NoiseTunnel, over="DeepLift"), "captum's DeepLift is made of model, .*: only methods made of a forward_func"),
        (lambda: FromCaptum(Saliency, over="Saliency"), "over=Saliency: captum's Saliency works over no other method"),
        (lambda: FromCaptum(NoiseTunnel, over=Saliency, nt_sample=3), "captum's NoiseTunnel takes no option 'nt_sample'.*'nt_samples'"),
        (lambda: FromCaptum(FeatureAblation, kwargs=3), "captum's FeatureAblation takes no option 'kwargs' here"),
        (lambda: FromCaptum(Saliency, layer="2"), "layer=2: captum's Saliency explains inputs"),
        (lambda: FromCaptum(Saliency, ab=False), "captum's Saliency takes no option 'ab' here; choose from: abs"),
        (lambda: FromCaptum(Saliency, target=3), "captum's Saliency takes no option 'target' here"),
        (lambda: forward_func(torch.flatten, DirectionTarget(torch.ones(1, 2), names=["only"]), k=1), "k=1: the target has 1 scores, only"),
    ],
)
def test_what_cannot_be_adapted_is_refused(make: object, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make()


def test_without_captum_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "captum.attr", None)
    with pytest.raises(ConfigError, match="captum's Saliency needs captum, which is not installed: pip install captum"):
        FromCaptum("Saliency")


def test_several_outputs_are_refused(explicands: Tensor) -> None:
    method = FromCaptum(IntegratedGradients, n_steps=2, return_convergence_delta=True)
    with pytest.raises(DataError, match="captum's IntegratedGradients returned tuple: wanted one tensor"):
        method(lambda x, rows: x.mean((1, 2, 3))[:, None], explicands, torch.zeros_like(explicands))


# our scores in captum's hands


@pytest.mark.parametrize(
    "attribute",
    [
        lambda f, x, rows: Saliency(f).attribute(x, additional_forward_args=rows, abs=False),
        lambda f, x, rows: IntegratedGradients(f).attribute(x, additional_forward_args=rows, n_steps=5),
        lambda f, x, rows: IntegratedGradients(f).attribute(x, additional_forward_args=rows, n_steps=5, internal_batch_size=6),
        lambda f, x, rows: FeatureAblation(f).attribute(x, additional_forward_args=rows, feature_mask=CELLS, perturbations_per_eval=5),
        lambda f, x, rows: Occlusion(f).attribute(x, (3, 3, 3), (3, 3, 3), additional_forward_args=rows, perturbations_per_eval=4),
    ],
    ids=["saliency", "ig", "ig in batches", "ablation", "occlusion"],
)
def test_a_batch_in_captum_equals_single_runs(
    encoder: FrozenEncoder, explicands: Tensor, targets: DirectionTarget, attribute: object
) -> None:
    score = forward_func(encoder, targets, k=1)  # contrastive label-free: another reference for each explicand
    together = attribute(score, explicands.clone().requires_grad_(), torch.arange(3))
    for n in range(3):
        alone = attribute(score, explicands[n : n + 1].clone().requires_grad_(), torch.tensor([n]))
        torch.testing.assert_close(together[n], alone[0], atol=1e-6, rtol=1e-4)


@pytest.mark.parametrize("method", ["noise_tunnel", "gradient_shap"])
def test_captum_s_random_copies_meet_their_own_row(
    encoder: FrozenEncoder, explicands: Tensor, targets: DirectionTarget, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    monkeypatch.setattr(np.random, "uniform", lambda low, high, size: np.full(size, 0.8))  # copies stay near their explicand
    asked = []

    def score(images: Tensor, rows: Tensor) -> Tensor:
        asked.append((torch.cdist(images.detach().flatten(1), explicands.flatten(1)).argmin(dim=1), rows))
        return forward_func(encoder, targets, k=1)(images, rows)

    images, rows = explicands.clone().requires_grad_(), torch.arange(3)
    with torch.random.fork_rng(devices=[]):
        if method == "noise_tunnel":
            NoiseTunnel(Saliency(score)).attribute(images, nt_samples=4, stdevs=0.01, additional_forward_args=rows)
        else:
            GradientShap(score).attribute(images, baselines=explicands.mean(0, keepdim=True), n_samples=4, additional_forward_args=rows)
    assert sum(len(rows) for _, rows in asked) == 12
    assert all(torch.equal(nearest, rows) for nearest, rows in asked)


# arrays for Quantus


def test_quantus_arrays_hold_the_same_numbers(explicands: Tensor) -> None:
    maps, labels = torch.randn(3, 9, 11, requires_grad=True), torch.tensor([4, 0, 9])
    x_batch, y_batch, a_batch = quantus_arrays(explicands, maps, labels)
    assert (x_batch.shape, y_batch.shape, a_batch.shape) == ((3, 3, 9, 11), (3,), (3, 1, 9, 11))
    assert (x_batch.dtype, y_batch.dtype, a_batch.dtype) == (np.float32, np.int64, np.float32)
    assert np.array_equal(a_batch[:, 0], maps.detach().numpy())
    assert np.array_equal(x_batch, explicands.numpy())
    assert y_batch.tolist() == [4, 0, 9]


@pytest.mark.parametrize(("maps", "labels"), [((2, 9, 11), 3), ((4, 3, 9, 11), 3), ((3, 9, 10), 3), ((3, 9, 11), 2)])
def test_arrays_of_other_shapes_are_refused(explicands: Tensor, maps: tuple[int, ...], labels: int) -> None:
    with pytest.raises(DataError, match="must be"):
        quantus_arrays(explicands, torch.zeros(maps), torch.zeros(labels))
