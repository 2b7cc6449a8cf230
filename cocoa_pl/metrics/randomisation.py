"""Networks with weights that have forgotten what they learnt: does the map change with them? (Adebayo et al., NeurIPS 2018).

A parameter is redrawn from a normal distribution with its own mean and standard deviation, truncated to its own least and greatest value,
as the COCOA paper does (Lin et al., ICLR 2023). So the scale of every layer stays and only what was learnt is lost. Buffers, such as
the statistics of a batch norm, stay, and so does a parameter of one value only.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator

import torch
from torch import nn

from cocoa_pl.rng import generator


def randomised(module: nn.Module, seed: int) -> nn.Module:
    """A copy in which every parameter is redrawn, a function of (seed, name of the parameter); the module stays untouched.

    Example:
        >>> net = nn.Linear(4, 3)
        >>> other = randomised(net, seed=0)
        >>> bool((other.weight != net.weight).all()), bool((other.weight.abs() <= net.weight.abs().max()).all())
        (True, True)
    """
    made = _copy(module)
    for name, parameter in made.named_parameters():
        _redraw(parameter, seed, name)
    return made


def cascade(module: nn.Module, seed: int) -> Iterator[tuple[str, nn.Module]]:
    """Copies that lose one layer more at a time, from the top down: the cascading randomisation of Adebayo et al.

    A layer is a submodule with parameters of its own; the order is that of registration, last first. The last copy equals
    :func:`randomised`. A parameter that layers share is lost with the first of them.

    Yields:
        The name of the layer lost last, and a copy without it and all layers above it.

    Example:
        >>> net = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))
        >>> [name for name, _ in cascade(net, seed=0)]
        ['2', '0']
    """
    layers = [name for name, layer in module.named_modules() if next(layer.parameters(recurse=False), None) is not None]
    lost: set[str] = set()
    for layer in reversed(layers):
        module = _copy(module)
        names = {parameter: name for name, parameter in module.named_parameters()}
        for parameter in module.get_submodule(layer).parameters(recurse=False):
            if names[parameter] not in lost:
                _redraw(parameter, seed, names[parameter])
                lost.add(names[parameter])
        yield layer, module


def _copy(module: nn.Module) -> nn.Module:
    with torch.inference_mode(False):  # a copy made in inference mode could not carry gradients
        return copy.deepcopy(module)


def _redraw(parameter: nn.Parameter, seed: int, name: str) -> None:
    """Draw by the inverse of the distribution function, in float64 on the CPU: the same values on every device."""
    values = parameter.detach().cpu().double()
    low, high = values.min(), values.max()
    if not bool(low < high):
        return
    mean, deviation = values.mean(), values.std(correction=0)
    first, last = (torch.special.ndtr((end - mean) / deviation) for end in (low, high))
    uniform = torch.rand(values.shape, dtype=torch.float64, generator=generator(seed, "randomised", name))
    drawn = mean + deviation * torch.special.ndtri(first + uniform * (last - first))
    with torch.inference_mode(False), torch.no_grad():
        parameter.copy_(drawn.clamp(low, high))
