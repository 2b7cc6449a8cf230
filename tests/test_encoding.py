"""The frozen copy of an encoder: right numbers, and no trace on the original."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from cocoa_pl.encoding import FrozenEncoder
from cocoa_pl.errors import DataError

MEAN, STD = (0.4, 0.5, 0.6), (0.2, 0.3, 0.4)


def network() -> nn.Sequential:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(0.5), nn.Conv2d(4, 5, 3))


def pictures(num: int = 4) -> Tensor:
    return torch.rand(num, 3, 8, 8, generator=torch.Generator().manual_seed(1))


class Pair(nn.Module):
    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        return images, images


class Flat(nn.Module):
    def forward(self, images: Tensor) -> Tensor:
        return images.flatten(1)


class Scalar(nn.Module):
    def forward(self, images: Tensor) -> Tensor:
        return images.mean()


def test_maps_are_normalised_encoded_and_pooled() -> None:
    net = network()
    reps = FrozenEncoder(net, mean=MEAN, std=STD)(pictures())
    net.eval()
    expected = net((pictures() - torch.tensor(MEAN).view(3, 1, 1)) / torch.tensor(STD).view(3, 1, 1)).mean(dim=(2, 3))
    assert reps.shape == (4, 5)
    torch.testing.assert_close(reps, expected.detach())


def test_explaining_leaves_no_trace_on_the_original() -> None:
    net = network().train()
    net[0].weight.requires_grad_(False)
    net[1].eval()
    net[0].bias.grad = torch.full((4,), 7.0)
    state, flags = copy.deepcopy(net.state_dict()), [m.training for m in net.modules()]
    rng = torch.get_rng_state()
    encoder = FrozenEncoder(net)
    images = pictures().requires_grad_()
    encoder(images).sum().backward()
    encoder.module[0].weight.zero_()
    assert all(torch.equal(value, state[name]) for name, value in net.state_dict().items())
    assert [m.training for m in net.modules()] == flags
    assert [p.requires_grad for p in net[0].parameters()] == [False, True]
    assert torch.equal(net[0].bias.grad, torch.full((4,), 7.0))
    assert net[4].weight.grad is None
    assert torch.equal(torch.get_rng_state(), rng)


def test_the_copy_is_in_evaluation_mode_and_without_parameter_gradients() -> None:
    encoder = FrozenEncoder(network().train())
    assert not any(m.training for m in encoder.module.modules())
    assert not any(p.requires_grad for p in encoder.module.parameters())
    assert torch.equal(encoder(pictures()), encoder(pictures()))


def test_training_on_does_not_change_the_copy() -> None:
    net = network()
    encoder = FrozenEncoder(net)
    before = encoder(pictures())
    net(pictures())  # moves the batch-norm statistics
    torch.nn.init.zeros_(net[0].weight)
    assert torch.equal(encoder(pictures()), before)


@pytest.mark.parametrize("born_in_inference_mode", [False, True])
def test_a_copy_made_in_inference_mode_still_carries_gradients(born_in_inference_mode: bool) -> None:
    net = network()
    with torch.inference_mode():
        encoder = FrozenEncoder(network() if born_in_inference_mode else net)
    images = pictures().requires_grad_()
    (gradient,) = torch.autograd.grad(encoder(images).sum(), images)
    assert gradient.abs().sum() > 0


@pytest.mark.parametrize(("module", "found"), [(Pair(), "tuple"), (Scalar(), r"a tensor \(\)")])
def test_an_output_that_is_no_representation_is_refused(module: nn.Module, found: str) -> None:
    with pytest.raises(DataError, match=rf"the encoder returned {found}; it must return"):
        FrozenEncoder(module)(pictures())


def test_bytes_encode_as_floats_do() -> None:
    encoder = FrozenEncoder(network(), mean=MEAN, std=STD)
    bytes_ = (pictures(5) * 255).round().to(torch.uint8)
    assert torch.equal(encoder.encode(bytes_), encoder.encode(bytes_.float() / 255))


def test_encode_in_pieces_equals_at_once_counts_and_has_no_gradient() -> None:
    encoder = FrozenEncoder(network())
    images = pictures(7).requires_grad_()
    in_pieces, at_once = encoder.encode(images, chunk_size=3), encoder.encode(images)
    torch.testing.assert_close(in_pieces, at_once)
    assert not at_once.requires_grad
    assert encoder.num_forwards == 14


def test_a_module_without_parameters_is_an_encoder() -> None:
    images = pictures()
    assert torch.equal(FrozenEncoder(Flat())(images), images.flatten(1))


def test_bf16_gives_float32_near_the_exact_value() -> None:
    exact, rounded = FrozenEncoder(network())(pictures()), FrozenEncoder(network(), precision="bf16")(pictures())
    assert rounded.dtype == torch.float32
    assert not torch.equal(rounded, exact)
    torch.testing.assert_close(rounded, exact, atol=2e-2, rtol=5e-2)
