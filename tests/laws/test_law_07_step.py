"""Law 7, one step of training: two processes have the loss, gradient and batch-norm statistics of one."""

from __future__ import annotations

import os
import socket

import pytest
import torch
import torch.distributed
import torch.multiprocessing
from timm.layers.norm_act import BatchNormAct2d
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from cocoa_pl.augmentations.device import DeviceViews
from cocoa_pl.callbacks.team import take_from_first, team_of_processes
from cocoa_pl.data.words import WordTokenizer
from cocoa_pl.models.backbones import SmallResNet
from cocoa_pl.models.image_text import ImageText
from cocoa_pl.models.module import EncoderModule
from cocoa_pl.models.optim import OptimSpec, constant, sgd
from cocoa_pl.models.simclr import SimCLR
from cocoa_pl.models.simsiam import SimSiam
from cocoa_pl.models.supervised import Supervised
from cocoa_pl.models.sync_batchnorm import ShareStatistics
from cocoa_pl.models.text_tower import TextTower
from cocoa_pl.types import Batch

_IMAGES = 8  # of a step, over all processes


def _simclr(optim: OptimSpec) -> EncoderModule:
    return SimCLR(SmallResNet(width=8), rep_dim=64, optim=optim, mean=(0.4, 0.5, 0.6), std=(0.2, 0.3, 0.2), projection_dim=16)


def _image_text(optim: OptimSpec) -> EncoderModule:
    tower = TextTower(num_tokens=12, context_length=6, width=16, num_layers=2, num_heads=2, out_dim=16)
    return ImageText(
        SmallResNet(width=8), rep_dim=64, text_tower=tower, tokenizer=WordTokenizer("abcdefghi", context_length=6), projection_dim=16,
        optim=optim, mean=(0.4, 0.5, 0.6), std=(0.2, 0.3, 0.2),
    )  # fmt: skip


def _simsiam(optim: OptimSpec) -> EncoderModule:
    return SimSiam(SmallResNet(width=8), rep_dim=64, optim=optim, mean=(0.4, 0.5, 0.6), std=(0.2, 0.3, 0.2), projection_dim=16)


def _supervised(optim: OptimSpec) -> EncoderModule:
    return Supervised(SmallResNet(width=8), rep_dim=64, num_classes=3, optim=optim, mean=(0.4, 0.5, 0.6), std=(0.2, 0.3, 0.2))


_KINDS = {"simclr": _simclr, "simsiam": _simsiam, "supervised": _supervised, "image_text": _image_text}


class _Step(nn.Module):
    """A training step as a forward pass, which is what DistributedDataParallel wraps."""

    def __init__(self, kind: str, dtype: torch.dtype) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.module = _KINDS[kind](OptimSpec(sgd, constant, lr=0.1, weight_decay=0.0, warmup_epochs=0.0)).to(dtype)
        self.module.log = lambda *args, **kwargs: None  # type: ignore[method-assign]  # which needs a trainer

    def forward(self, batch: Batch) -> Tensor:
        return self.module.training_step(batch, 0)


def _batch(rank: int, world_size: int) -> Batch:
    """A process's part of the batch, with views made from its images' ids."""
    images = torch.randint(0, 256, (_IMAGES, 3, 32, 32), generator=torch.Generator().manual_seed(1), dtype=torch.uint8)
    ids = torch.arange(_IMAGES)[rank * _IMAGES // world_size : (rank + 1) * _IMAGES // world_size]
    views = tuple(DeviceViews(size=32, flip=0.5)(images[ids], ids, epoch=3, seed=0, view=view) for view in (0, 1))
    tokens = torch.randint(0, 12, (_IMAGES, 6), generator=torch.Generator().manual_seed(2)).where(torch.arange(6) < 4, 0)
    tokens[:, 0] = torch.arange(_IMAGES) + 1
    labels = torch.tensor([0, 2, 1, 0, -1, 1, -1, -1])  # the first of two processes has more of them
    return Batch(ids, labels[ids], images[ids], views, 3, tokens[ids])


def _after_a_step(kind: str, dtype: torch.dtype, rank: int = 0, world_size: int = 1) -> dict[str, Tensor]:
    """Loss, gradients and running statistics."""
    step = _Step(kind, dtype)
    wrapped: nn.Module = step
    if world_size > 1:
        ShareStatistics().apply(step)
        wrapped = DistributedDataParallel(step)
    loss = wrapped(_batch(rank, world_size))
    loss.backward()
    if world_size > 1:
        torch.distributed.all_reduce(loss := loss.detach())
        ShareStatistics().revert(step)
    assert all(type(part).__name__ != "SyncBatchNorm2d" for part in step.modules())
    gradients = {f"gradient of {name}": part.grad for name, part in step.named_parameters() if part.grad is not None}
    return {"loss": loss.detach() / world_size, **gradients, **{name: part for name, part in step.named_buffers() if "running" in name}}


def _norm_of(images: Tensor) -> tuple[Tensor, ...]:
    """Output, gradients and statistics of a layer, timm's with its activation, whose loss weighs each image differently."""
    norm = BatchNormAct2d(3, momentum=None, act_layer=nn.Tanh, inplace=False).to(images.dtype)
    ShareStatistics().apply(norm)
    leaf = images.clone().requires_grad_()
    output = norm(leaf)
    (output * (images - 1000).square()).sum().backward()
    assert leaf.grad is not None
    assert norm.weight.grad is not None
    return output.detach(), leaf.grad, norm.weight.grad, norm.running_mean, norm.running_var, norm.num_batches_tracked


def _far_from_zero() -> Tensor:
    """Images whose mean is a thousand deviations from zero: squares alone would lose all digits of the variance."""
    return torch.randn(5, 3, 4, 4, generator=torch.Generator().manual_seed(2)) + 1000


def _met(rank: int) -> dict[str, Tensor]:
    """What a process takes from the first, and what all have together."""
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)).to(memory_format=torch.channels_last)
    for values in (*module.parameters(), *module.buffers()):
        values.data.fill_(rank + 1)
    team = team_of_processes(torch.device("cpu"))
    take_from_first(module, team)
    return {
        "first": torch.cat([values.flatten().float() for values in (*module.parameters(), *module.buffers())]),
        "sum": team.total({"x": torch.tensor([rank + 1.0])})["x"],
        "ranks": torch.cat([part["rank"] for part in team.meet({"rank": torch.tensor([rank])})]),
    }


def _one_of_two(rank: int, port: int, out: str) -> None:
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo", rank=rank, world_size=2)
    uneven = _far_from_zero()[:2] if rank == 0 else _far_from_zero()[2:]
    found = {f"{kind} {dtype}": _after_a_step(kind, dtype, rank, 2) for kind in _KINDS for dtype in (torch.float64, torch.float32)}
    torch.save((found, _norm_of(uneven), _met(rank)), f"{out}/{rank}.pt")
    torch.distributed.destroy_process_group()


@pytest.fixture(scope="module")
def steps_of_two(
    tmp_path_factory: pytest.TempPathFactory,
) -> list[tuple[dict[str, dict[str, Tensor]], tuple[Tensor, ...], dict[str, Tensor]]]:
    """What each of two processes found."""
    folder = tmp_path_factory.mktemp("ranks")
    torch.multiprocessing.spawn(_one_of_two, args=(_free_port(), str(folder)), nprocs=2)
    return [torch.load(folder / f"{rank}.pt", weights_only=True) for rank in range(2)]


@pytest.mark.slow
def test_all_explain_the_encoder_of_the_first_process(steps_of_two: list[tuple[object, object, dict[str, Tensor]]]) -> None:
    """DDP lets running statistics differ until the next forward pass."""
    for _, _, met in steps_of_two:
        assert met["first"].unique().tolist() == [1.0]
        assert met["sum"].tolist() == [3.0]
        assert met["ranks"].tolist() == [0, 1]


@pytest.mark.slow
@pytest.mark.parametrize("kind", _KINDS)
def test_a_training_step(kind: str, steps_of_two: list[tuple[dict[str, dict[str, Tensor]], object, object]]) -> None:
    exact, single = _after_a_step(kind, torch.float64), _after_a_step(kind, torch.float32)
    # of gradients in single precision about 1e-5, in one process or two; the largest, as a part of few numbers may have little by chance
    of_gradients, of_others = (
        max(_error(single[name], value) for name, value in exact.items() if name.startswith("gradient") == which) for which in (True, False)
    )
    for found, _, _ in steps_of_two:
        double, plain = found[f"{kind} torch.float64"], found[f"{kind} torch.float32"]
        assert double.keys() == plain.keys() == exact.keys()
        for name, value in exact.items():
            assert _error(double[name], value) <= 1e-9, name
            rounding = of_gradients if name.startswith("gradient") else of_others
            assert _error(plain[name], value) <= max(1e-6, 2 * rounding), name


def _error(found: Tensor, true: Tensor) -> float:
    """Relative distance; of what is 0, like the mean of numbers that a batch norm has centred, the distance."""
    size = float(true.norm())
    return float((found.double() - true).norm()) / (size if size > 1e-12 else 1.0)


@pytest.mark.slow
def test_statistics_of_uneven_batches_far_from_zero(steps_of_two: list[tuple[object, tuple[Tensor, ...], object]]) -> None:
    output, gradient, of_weight, *statistics = _norm_of(_far_from_zero().double())
    parts = [part for _, part, _ in steps_of_two]
    found = torch.cat([part[0] for part in parts]), torch.cat([part[1] for part in parts]), parts[0][2] + parts[1][2]
    for value, true in zip(found, (output, gradient, of_weight), strict=True):
        assert _error(value, true) <= 1e-3  # of the mean, 1000, single precision knows four digits behind the point
    for part in parts:
        for value, true in zip(part[3:], statistics, strict=True):
            assert _error(value, true.double()) <= 1e-5


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
