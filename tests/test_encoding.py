"""The frozen copy of an encoder: right numbers, and no trace on the original."""

from __future__ import annotations

import copy
import warnings
from typing import Any

import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from cocoa_pl.encoding import FrozenEncoder
from cocoa_pl.errors import ConfigError, DataError

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


class Tokens(nn.Module):
    def forward(self, images: Tensor) -> Tensor:
        return images.flatten(2).mT


def test_maps_and_tokens_are_averaged_with_a_notice_that_one_can_switch_off() -> None:
    images = pictures()
    for module, expected in ((nn.Identity(), images.mean((2, 3))), (Tokens(), images.mean((2, 3)))):
        encoder = FrozenEncoder(module)
        with pytest.warns(UserWarning, match=r"the encoder returns \(4, .*pool=True says that is meant"):
            torch.testing.assert_close(encoder(images), expected)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            encoder(images)  # once is enough
            FrozenEncoder(module, pool=True)(images)
        with pytest.raises(DataError, match=r"pool=False it must return representations"):
            FrozenEncoder(module, pool=False)(images)


def test_a_layer_in_the_middle() -> None:
    net = network()
    reps = FrozenEncoder(net, layer="2", pool=True)(pictures())
    torch.testing.assert_close(reps, net.eval()[:3](pictures()).mean((2, 3)).detach())
    ran = []
    net[4].register_forward_hook(lambda *_: ran.append(1))  # hooks are copied with the module
    encoder = FrozenEncoder(net, layer="2", pool=True)
    encoder(pictures())
    assert len(ran) == 1  # once, to see that the layer runs a single time
    encoder(pictures())
    assert len(ran) == 1
    images = pictures().requires_grad_()
    (gradient,) = torch.autograd.grad(FrozenEncoder(net, layer="2", pool=True)(images).sum(), images)
    assert gradient.abs().sum() > 0
    with pytest.raises(ConfigError, match=r"layer=7: no such layer; choose from: 0, 1"):
        FrozenEncoder(net, layer="7")
    twice = nn.Sequential(net, nn.Sequential(net[2], nn.Flatten()))
    with pytest.raises(DataError, match=r"layer=0.2: runs 2 times in a forward pass; it must run once"):
        FrozenEncoder(twice, layer="0.2")(pictures())
    plain = FrozenEncoder(net, layer="0", pool=True)(pictures())  # before the batch norm that would be folded into it
    torch.testing.assert_close(plain, net.eval()[0](pictures()).mean((2, 3)).detach())
    with pytest.raises(ConfigError, match="compile and layer"):
        FrozenEncoder(net, layer="2", compile=True)


def test_any_callable_is_an_encoder() -> None:
    encoder = FrozenEncoder(lambda images: images.flatten(1)[:, :5] ** 2, mean=MEAN, std=STD)
    expected = ((pictures() - torch.tensor(MEAN).view(3, 1, 1)) / torch.tensor(STD).view(3, 1, 1)).flatten(1)[:, :5] ** 2
    torch.testing.assert_close(encoder(pictures()), expected)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"precision": "fp16"}, "precision=fp16: unknown; choose from: 32, 64, bf16"),
        ({"mean": (0.5,) * 3, "std": (0.2, 0.0, 0.2)}, "one positive deviation"),
        ({"mean": (0.5,), "std": (0.2, 0.2)}, "one mean and one positive deviation for each channel"),
    ],
)
def test_options_out_of_range(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        FrozenEncoder(network(), **options)


def test_images_of_another_shape_are_refused() -> None:
    encoder = FrozenEncoder(network(), mean=MEAN, std=STD)
    for shape in ((3, 8, 8), (2, 4, 8, 8)):
        with pytest.raises(DataError, match=r"met an encoder of 3 channels; they must be \(B, C, H, W\)"):
            encoder(torch.rand(shape))
    with pytest.raises(DataError, match="no image to encode"):
        encoder.encode(torch.rand(0, 3, 8, 8))


def test_out_of_memory_halves_the_batch() -> None:
    class Small(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            if len(images) > 3:
                raise torch.OutOfMemoryError("no room")
            return images.flatten(1)

    images = pictures(11)
    with pytest.warns(UserWarning, match="out of memory with"):
        assert torch.equal(FrozenEncoder(Small()).encode(images, chunk_size=8), images.flatten(1))


@pytest.mark.slow
def test_a_compiled_encoder_gives_the_same() -> None:
    plain, compiled = FrozenEncoder(network(), pool=True), FrozenEncoder(network(), pool=True, compile=True)
    for num in (4, 3):
        torch.testing.assert_close(compiled(pictures(num)), plain(pictures(num)), atol=1e-5, rtol=1e-4)


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


def test_encode_takes_what_explain_takes_and_refuses_the_same() -> None:
    encoder, images = FrozenEncoder(network(), mean=MEAN, std=STD), pictures(3)
    bytes_ = (images * 255).round().to(torch.uint8)
    expected = encoder.encode(bytes_)
    arrays = bytes_.permute(0, 2, 3, 1).numpy()
    for given in (arrays, list(arrays), [Image.fromarray(array) for array in arrays]):
        torch.testing.assert_close(encoder.encode(given), expected)
    for wrong, message in ((images * 255, "must lie in"), (bytes_.long(), "torch.int64"), (images * float("nan"), "NaN"), ([], "no image")):
        with pytest.raises(DataError, match=message):
            encoder.encode(wrong)
