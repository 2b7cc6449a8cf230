"""A foreign encoder tried on noise before anything is built upon it."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn

from cocoa_pl.errors import CheckpointError
from cocoa_pl.models.sources.opened import Preparation, one_line
from cocoa_pl.models.sources.wrappers import AsItIs


def check_runs(network: nn.Module, *, what: str, preparation: Preparation) -> None:
    """See that a network of a known architecture takes images of this size.

    Raises:
        CheckpointError: it does not.
    """
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        _output(network, noise(1, preparation.image_size, seed=0), what)


def check_foreign(network: nn.Module, *, what: str, preparation: Preparation) -> nn.Module:
    """See that a network whose code is not known returns representations, and the same for an image in every pass and company.

    Returns:
        The network, behind ``AsItIs`` if it cannot run in channels-last order.

    Raises:
        CheckpointError: it raises, returns something else, or an image's representation depends on chance or on other images.
    """
    images, others = (noise(2, preparation.image_size, seed=seed) for seed in (0, 1))
    with torch.no_grad(), torch.random.fork_rng(devices=[]):  # one fork for both passes: in two, dropout would drop the same
        first, second = (_output(network, batch, what) for batch in (images, torch.cat([images[:1], others[:1]])))
    if not torch.allclose(first[0], second[0], rtol=1e-3, atol=1e-4 * float(first.nan_to_num(0, 0, 0).abs().max()), equal_nan=True):
        raise CheckpointError(
            f"{what}: one image gets other representations from pass to pass or beside other images; "
            "is dropout or a batch norm in training mode? save it after .eval()"
        )
    if isinstance(network, AsItIs):
        return network
    try:
        copied = copy.deepcopy(network)
    except Exception as error:  # whatever a foreign object does when it is copied
        raise CheckpointError(f"{what}: cannot be copied, which keeps explanations from touching it ({one_line(error)})") from error
    try:
        with torch.no_grad():
            copied.to(memory_format=torch.channels_last)(images)
    except RuntimeError:  # .view() of convolution outputs is the usual reason
        return AsItIs(network, keep_mode=False)
    return network


def noise(num: int, side: int, *, seed: int) -> Tensor:
    """Images (num, 3, side, side) of normal noise, as normalised images are."""
    return torch.randn(num, 3, side, side, generator=torch.Generator().manual_seed(seed))


def _output(network: nn.Module, images: Tensor, what: str) -> Tensor:
    try:
        output: Any = network(images)
    except Exception as error:  # whatever foreign code raises
        raise CheckpointError(f"{what}: does not take images {tuple(images.shape)} ({one_line(error)})") from error
    if not isinstance(output, Tensor) or output.ndim not in (2, 3, 4) or len(output) != len(images) or not output.numel():
        got = f"a {output.dtype} tensor {tuple(output.shape)}" if isinstance(output, Tensor) else type(output).__name__
        raise CheckpointError(
            f"{what}: returned {got} for {len(images)} images; it must return representations (B, D), maps (B, D, h, w) or tokens (B, T, D)"
        )
    return output
