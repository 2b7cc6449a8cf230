"""What is spatial inside an encoder: layer outputs as maps, tokens on their grid, and the last layer that has either."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
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


def is_sequence_first(output: Tensor) -> bool:
    """Whether what a layer returns for one picture are tokens (T, B, D), as in transformers that run with the sequence in front.

    Example:
        >>> is_sequence_first(torch.zeros(17, 1, 8)), is_sequence_first(torch.zeros(1, 17, 8)), is_sequence_first(torch.zeros(1, 8, 4, 4))
        (True, False, False)
    """
    return output.ndim == 3 and len(output) > 1 == output.shape[1]


@dataclass(frozen=True)
class _Ran:
    """A layer that ran: its name, what it read and what it returned for one picture."""

    name: str
    read: object
    output: Tensor

    @property
    def batch_first(self) -> Tensor:
        return self.output.transpose(0, 1) if is_sequence_first(self.output) else self.output

    @property
    def reads(self) -> tuple[str, int]:
        """The same for layers of one parent that read the same tensor, which is alive as long as this record."""
        return self.name.rpartition(".")[0], id(self.read)


def spatial_layer(
    encoder: Encoder, modules: Mapping[str, nn.Module], shape: torch.Size, device: torch.device, *, first_of_tokens: bool = False
) -> tuple[str, bool]:  # fmt: skip
    """The last layer with a spatial output at more than one of whose positions the representations have a gradient.

    A transformer that reads its class token, or one query of its pooling, has none at the other tokens of its last layers. Where no layer
    has any, as in a dead encoder, the last spatial one will do. One random picture, always the same, is sent through the encoder to see.

    Args:
        encoder: images to representations.
        modules: its layers by name.
        shape: (C, H, W) of an image.
        device: of the image.
        first_of_tokens: where that layer returns tokens, take the first one that returns as many.

    Returns:
        Its name, and whether it returns tokens (T, B, D).

    Raises:
        DataError: no layer is spatial.
    """
    ran: list[_Ran] = []

    def note(name: str, module: nn.Module, inputs: tuple[object, ...], output: object) -> None:
        if isinstance(output, Tensor) and not (inputs and output is inputs[0]):  # an identity is no layer
            ran.append(_Ran(name, inputs[0] if inputs else module, output))

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
    gradients = torch.autograd.grad(asked, [one.output for one in seen], allow_unused=True)

    def is_reached(gradient: Tensor | None, turned: bool) -> bool:
        if gradient is None:
            return False
        maps = spatial_maps(gradient.transpose(0, 1) if turned else gradient, height, width)
        return int(maps.any(dim=1).sum()) > 1

    turned = [is_sequence_first(one.output) for one in seen]
    reached = [k for k, gradient in enumerate(gradients) if is_reached(gradient, turned[k])]
    chosen = reached[-1] if reached else len(seen) - 1
    if first_of_tokens and seen[chosen].output.ndim == 3:
        shape_of = [one.batch_first.shape for one in seen]
        chosen = next(k for k in reached or range(len(seen)) if shape_of[k] == shape_of[chosen])
    return seen[chosen].name, turned[chosen]


def _spatial_ones(ran: list[_Ran], height: int, width: int) -> list[_Ran]:
    """Layers run once whose output is a map of the image's proportions, or tokens: of each number the last shape to occur twice.

    The inside of attention is left out: joint queries, keys and values (B, T, 3 D), or apart, three layers of one parent that read the same
    tokens; heads (B, heads, T, d), weights (B, heads, T, T).
    """
    times, readers = Counter(one.name for one in ran), Counter(one.reads for one in ran)
    once = [one for one in ran if times[one.name] == 1 and one.output.requires_grad and len(one.batch_first) == 1]
    shapes: dict[int, list[torch.Size]] = {}  # of tokens, by their number
    for one in once:
        if one.output.ndim == 3 and _grid(one.batch_first.shape[1], height, width):
            shapes.setdefault(one.batch_first.shape[1], []).append(one.batch_first.shape)
    wanted = {([shape for shape in same if same.count(shape) > 1] or same)[-1] for same in shapes.values()}

    def is_spatial(one: _Ran) -> bool:
        output = one.batch_first
        if output.ndim == 3:
            return output.shape in wanted and readers[one.reads] == 1
        sizes = [output.shape[2:], output.shape[1:3]] if output.ndim == 4 else []
        return any(min(size) > 1 and not shapes.keys() & {*size} and _fits(size, height, width) for size in sizes)

    return [one for one in once if is_spatial(one)]


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
