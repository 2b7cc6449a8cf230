"""What every method by gradients keeps: batches, chunks, targets, modes of autograd, its cost, and no trace in the encoder."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from cocoa_pl.attributions import (
    GradCam,
    Gradient,
    GradientShap,
    GradientXInput,
    IntegratedGradients,
    LayerIntegratedGradients,
    SmoothGrad,
)
from cocoa_pl.encoding import FrozenEncoder
from cocoa_pl.removal import Blur
from cocoa_pl.targets import DirectionTarget, label_free
from cocoa_pl.types import Attribution, Scorer

POOL = torch.rand(3, 3, 9, 11, generator=torch.Generator().manual_seed(8))
METHODS: dict[str, Attribution] = {
    "gradient": Gradient(),
    "gradient_x_input": GradientXInput(),
    "smoothgrad": SmoothGrad(num_samples=4),
    "smoothgrad of ig": SmoothGrad(num_samples=3, method=IntegratedGradients(num_steps=2)),
    "smoothgrad of grad_cam": SmoothGrad(num_samples=3, method=GradCam(layer="2")),
    "integrated_gradients": IntegratedGradients(num_steps=3),
    "gradient_shap": GradientShap(num_samples=4),
    "expected gradients": GradientShap(num_samples=4, noise=0, stratified=True, pool=POOL),
    "grad_cam": GradCam(),
    "grad_cam of a layer": GradCam(layer="0"),
    "layer_integrated_gradients": LayerIntegratedGradients(num_steps=3),
    "layer_integrated_gradients of a layer": LayerIntegratedGradients(num_steps=4, layer="0"),
}
every_method = pytest.mark.parametrize("method", METHODS.values(), ids=METHODS.keys())


@every_method
@pytest.mark.parametrize("chunk_size", [1, 5, 64])
def test_a_batch_in_chunks_equals_single_runs_and_one_target_alone(
    encoder: FrozenEncoder, explicands: Tensor, targets: DirectionTarget, method: Attribution, chunk_size: int
) -> None:
    baseline = Blur()(explicands)
    maps = method(Scorer(encoder, targets), explicands, baseline, seed=3, chunk_size=chunk_size)
    assert maps.shape == (4, 3, 9, 11)
    assert maps.dtype == torch.float32
    assert not maps.requires_grad
    for n in range(3):
        alone = targets.directions[:, n : n + 1] if targets.directions.ndim == 3 else targets.directions
        own = Scorer(encoder, DirectionTarget(alone[1:2], names=["one"]))
        single = method(own, explicands[n : n + 1], baseline[n : n + 1], seed=3, chunk_size=100)
        torch.testing.assert_close(maps[1, n], single[0, 0], atol=1e-6, rtol=1e-4)
        assert single.abs().max() > 1e-5


@every_method
def test_passes_have_the_chunk_size_and_their_number_is_known(
    encoder: FrozenEncoder, explicands: Tensor, targets: DirectionTarget, method: Attribution
) -> None:
    sizes = []

    class Counting(FrozenEncoder):
        def __call__(self, images: Tensor) -> Tensor:
            sizes.append(len(images))
            return super().__call__(images)

    method(Scorer(Counting(encoder.module), targets), explicands, torch.zeros_like(explicands), seed=0, chunk_size=4)
    assert max(sizes) <= 4
    assert sum(sizes) == method.num_forwards(3, 9, 11)


@every_method
@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_every_mode_of_autograd_gives_the_same_map_and_leaves_no_trace(
    encoder: FrozenEncoder, explicands: Tensor, targets: DirectionTarget, method: Attribution, mode: type
) -> None:
    expected = method(Scorer(encoder, targets), explicands, torch.zeros_like(explicands), seed=1, chunk_size=8)
    state = torch.get_rng_state()
    with mode():
        images = explicands.clone()  # an inference tensor, in inference mode
        maps = method(Scorer(encoder, targets), images, torch.zeros_like(images), seed=1, chunk_size=8)
    assert torch.equal(maps, expected)
    assert torch.equal(torch.get_rng_state(), state)
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in encoder.module.modules())
    assert all(parameter.grad is None for parameter in encoder.module.parameters())


@every_method
def test_hooks_go_even_when_the_score_fails(encoder: FrozenEncoder, explicands: Tensor, method: Attribution) -> None:
    def broken(reps: Tensor, rows: Tensor) -> Tensor:
        raise RuntimeError("no score today")

    with pytest.raises(RuntimeError, match="no score today"):
        method(Scorer(encoder, broken), explicands, torch.zeros_like(explicands), seed=0, chunk_size=8)
    assert not any(module._forward_hooks for module in encoder.module.modules())


@every_method
def test_images_that_want_gradients_get_none(encoder: FrozenEncoder, explicands: Tensor, method: Attribution) -> None:
    images, baseline = explicands.clone().requires_grad_(), torch.zeros_like(explicands).requires_grad_()
    encoder.module.requires_grad_()
    maps = method(Scorer(encoder, label_free(torch.ones(3, 5))), images, baseline, seed=0, chunk_size=8)
    assert not maps.requires_grad
    assert (images.grad, baseline.grad) == (None, None)
    assert all(parameter.grad is None for parameter in encoder.module.parameters())


@every_method
def test_a_constant_score_gives_a_zero_map(encoder: FrozenEncoder, explicands: Tensor, method: Attribution) -> None:
    constant = Scorer(encoder, lambda reps, rows: reps[:, :2] * 0 + torch.tensor([3.7, -100.3]))
    maps = method(constant, explicands, torch.zeros_like(explicands), seed=0, chunk_size=8)
    assert maps.shape == (2, 3, 9, 11)
    assert not maps.any()
