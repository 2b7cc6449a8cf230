"""What is spatial inside an encoder: layer outputs as maps, tokens on their grid, and the last layer that has either."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from functools import partial

import torch
from torch import Tensor, nn

from cocoa_pl.errors import DataError
from cocoa_pl.rng import counter_uniform
from cocoa_pl.types import Encoder

_MOST_EXTRA_TOKENS = 8  # class and register tokens before the grid; where more are left over, the tokens are something else


def spatial_maps(output: Tensor, height: int, width: int) -> Tensor:
    """A layer's output as maps (B, c, h, w): itself, with channels brought to the front, or tokens laid out on their grid.

    The grid of tokens has the proportions of the image; class and register tokens, which come before it, are left out.

    Args:
        output: maps (B, c, h, w) or (B, h, w, c), or tokens (B, T, D).
        height: of the image.
        width: of the image.

    Raises:
        DataError: nothing spatial.

    Example:
        >>> spatial_maps(torch.zeros(2, 1 + 16, 8), 32, 32).shape, spatial_maps(torch.zeros(2, 4, 4, 96), 32, 32).shape
        (torch.Size([2, 8, 4, 4]), torch.Size([2, 96, 4, 4]))
    """
    if output.ndim == 4:
        first, last = output.shape[2:], output.shape[1:3]
        maps = output.permute(0, 3, 1, 2) if _fits(last, height, width) and not _fits(first, height, width) else output
        if maps.shape[2] * maps.shape[3] > 1:
            return maps
    elif output.ndim == 3:
        grid = _grid(output.shape[1], height, width)
        if grid is not None:
            return output[:, -grid[0] * grid[1] :].mT.reshape(len(output), -1, *grid)
        raise DataError(
            f"{output.shape[1]} tokens are no grid of square patches of a {height} x {width} image, after at most {_MOST_EXTRA_TOKENS} "
            "class and register tokens"
        )
    raise DataError(f"the layer returns {tuple(output.shape)}: wanted maps (B, c, h, w) larger than one pixel, or tokens (B, T, D)")


def enlarged(maps: Tensor, height: int, width: int) -> Tensor:
    """Maps (K, N, h, w) at the size of the image, bilinearly."""
    return nn.functional.interpolate(maps, size=(height, width), mode="bilinear", align_corners=False)


def last_spatial_layer(encoder: Encoder, modules: Mapping[str, nn.Module], shape: torch.Size, device: torch.device) -> str:
    """The last layer with a spatial output at whose positions the representations have a gradient.

    A transformer that reads its class token has none at the other tokens of its last layers. Where no layer has any, as in a dead encoder,
    the last spatial one will do. One random picture, always the same, is sent through the encoder to see.

    Args:
        encoder: images to representations.
        modules: its layers by name.
        shape: (C, H, W) of an image.
        device: of the image.

    Raises:
        DataError: no layer is spatial.
    """
    ran: list[tuple[str, Tensor]] = []

    def note(name: str, module: nn.Module, inputs: object, output: object) -> None:
        if isinstance(output, Tensor):
            ran.append((name, output))

    handles = [module.register_forward_hook(partial(note, name), prepend=True) for name, module in modules.items()]
    try:
        with torch.inference_mode(False), torch.enable_grad():
            reps = encoder(_uniform(0, shape.numel(), device).view(1, *shape).requires_grad_())
            asked = (reps * (_uniform(1, reps.shape[1], reps.device) - 0.5)).sum()
    finally:
        for handle in handles:
            handle.remove()
    height, width = shape[1:]
    seen = _spatial_ones(ran, height, width)
    if not seen:
        raise DataError("the encoder has no layer whose output is a map or a grid of tokens and carries a gradient: name one by layer=")
    gradients = torch.autograd.grad(asked, list(seen.values()), allow_unused=True)
    reached = [
        name for name, grad in zip(seen, gradients, strict=True) if grad is not None and bool(spatial_maps(grad, height, width).any())
    ]  # fmt: skip
    return (reached or list(seen))[-1]


def _spatial_ones(ran: list[tuple[str, Tensor]], height: int, width: int) -> dict[str, Tensor]:
    """Layers run once whose output is a map of the image's proportions, or tokens of the last shape that occurs more than once.

    The inside of attention is left out: joint queries, keys and values (B, T, 3 D), heads (B, heads, T, d), weights (B, heads, T, T).
    """
    times = Counter(name for name, _ in ran)
    once = {name: output for name, output in ran if times[name] == 1 and output.requires_grad and len(output) == 1}
    tokens = [output.shape[1:] for output in once.values() if output.ndim == 3 and _grid(output.shape[1], height, width)]
    lengths, wanted = {length for length, _ in tokens}, ([shape for shape in tokens if tokens.count(shape) > 1] or tokens)[-1:]

    def is_spatial(output: Tensor) -> bool:
        if output.ndim == 3:
            return output.shape[1:] in wanted
        sizes = [output.shape[2:], output.shape[1:3]] if output.ndim == 4 else []
        return any(min(size) > 1 and not lengths & {*size} and _fits(size, height, width) for size in sizes)

    return {name: output for name, output in once.items() if is_spatial(output)}


def _fits(size: torch.Size, height: int, width: int) -> bool:
    """Whether maps of this size have the image's proportions, up to one cell."""
    return abs(size[0] * width - size[1] * height) < max(height, width)


def _grid(num_tokens: int, height: int, width: int) -> tuple[int, int] | None:
    """Rows and columns of square patches that leave the fewest tokens over; patches that divide the image go first; None if too many."""
    patches = range(1, min(height, width) // 2 + 1)
    exact = [patch for patch in patches if height % patch == width % patch == 0]
    for sizes in (exact, patches):
        grids = [(height // patch, width // patch) for patch in sizes]
        left, grid = min(((num_tokens - h * w, (h, w)) for h, w in grids if h * w <= num_tokens), default=(num_tokens, (0, 0)))
        if grid != (0, 0) and left <= _MOST_EXTRA_TOKENS:
            return grid
    return None


def _uniform(key: int, num: int, device: torch.device) -> Tensor:
    return counter_uniform(key, torch.zeros(1, dtype=torch.int64, device=device), num=num)[0]
