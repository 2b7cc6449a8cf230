"""An encoder prepared once for explaining: frozen, isolated from training, and counting what it does."""

from __future__ import annotations

import contextlib
import copy
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from cocoa_pl.errors import ConfigError, DataError, choices_hint
from cocoa_pl.folding import fold_batch_norm
from cocoa_pl.images import Images, as_images
from cocoa_pl.streaming import automatic_chunk_size, in_ranges
from cocoa_pl.text_encoding import FrozenTextEncoder

PRECISIONS = ("32", "bf16", "64")


class FrozenEncoder:
    """A private copy of an encoder, in evaluation mode and without parameter gradients: explaining it cannot touch training.

    Batch norms are folded into convolutions, and weights lie in channels-last order. A callable that is no ``nn.Module`` is used as it is.

    Args:
        module: maps normalised images (B, 3, H, W) to representations (B, D), or to maps (B, D, h, w) or tokens (B, T, D), which are
            averaged over h and w or T.
        mean: channel means in [0, 1] that are taken off images, one for each channel or one for all.
        std: channel standard deviations that images are divided by.
        precision: ``32``, ``bf16`` for autocast to bfloat16, or ``64`` for double inside the encoder.
        device: where to encode; default: where the module is.
        layer: explain the output of this layer (a dotted name) instead of the module's; layers after it are not run.
        pool: whether to average maps and tokens: True, False to refuse them, or None to average them with a notice.
        compile: run the module by ``torch.compile``.
        text: the text encoder whose representations lie in the same space, where there is one.

    Attributes:
        text: see above.
        num_forwards: images encoded so far.
        on_forward: called with the number of images of every pass, for a progress bar.

    Raises:
        ConfigError: no such layer or precision.
    """

    def __init__(
        self, module: Callable[[Tensor], Any], *, mean: Sequence[float] = (0,), std: Sequence[float] = (1,), precision: str = "32",
        device: torch.device | str | None = None, layer: str | None = None, pool: bool | None = None, compile: bool = False,
        text: FrozenTextEncoder | None = None,
    ) -> None:  # fmt: skip
        if precision not in PRECISIONS:
            raise ConfigError(f"precision={precision}: unknown; {choices_hint(precision, PRECISIONS)}")
        if any(value <= 0 for value in std) or len(mean) != len(std):
            raise ConfigError(f"mean={tuple(mean)}, std={tuple(std)}: must be one mean and one positive deviation for each channel")
        if compile and layer is not None:
            raise ConfigError("compile and layer do not go together: a compiled network cannot be left in the middle")
        first = next(module.parameters(), None) if isinstance(module, nn.Module) else None
        self.device = torch.device(device) if device is not None else torch.device("cpu") if first is None else first.device
        self._dtype = torch.float64 if precision == "64" else torch.float32
        with torch.inference_mode(False):  # a copy made in inference mode could not carry gradients
            self.module = _prepared(module, self.device, self._dtype, keep=layer, half=precision == "bf16")
            deviation = torch.tensor(std, dtype=self._dtype, device=self.device).view(-1, 1, 1)
            self._scale = 1 / deviation
            self._shift = -torch.tensor(mean, dtype=self._dtype, device=self.device).view(-1, 1, 1) / deviation
        self._layer = _LayerOutput(self.module, layer) if layer is not None else None
        self._run: Callable[[Tensor], Any] = torch.compile(self.module, dynamic=True) if compile else self.module
        self._autocast, self._pool, self._noticed = precision == "bf16", pool, False
        self.text = text
        self.num_forwards = 0
        self.on_forward: Callable[[int], object] | None = None

    def __call__(self, images: Tensor) -> Tensor:
        """Images (B, C, H, W) in [0, 1] to float32 representations (B, D); differentiable with respect to the images.

        Raises:
            DataError: another number of channels, texts, or an output that is no representation.
        """
        _refuse_texts(images)
        if images.ndim != 4 or (len(self._scale) > 1 and images.shape[1] not in (1, len(self._scale))):
            raise DataError(f"images {tuple(images.shape)} met an encoder of {len(self._scale)} channels; they must be (B, C, H, W)")
        self.num_forwards += len(images)
        if self.on_forward is not None:
            self.on_forward(len(images))
        inputs = torch.addcmul(self._shift, images.to(self.device, self._dtype), self._scale)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self._autocast):
            output = self._run(inputs) if self._layer is None else self._layer(inputs)
        return self._pooled(output, len(images)).float()

    @torch.no_grad()
    def encode(self, images: Images, *, chunk_size: int | None = None) -> Tensor:
        """Images of any kind (``images.as_images``) to representations (n, D), without gradients, at most ``chunk_size`` a pass.

        A tensor, an array or a list is converted a pass at a time, so that bytes stay bytes until they are encoded.

        Raises:
            DataError: no image, texts, or values outside [0, 1].
        """
        _refuse_texts(images)
        if not isinstance(images, Tensor | np.ndarray | list | tuple) or (not isinstance(images, list | tuple) and images.ndim != 4):
            images = as_images(images)
        if len(images) == 0:
            raise DataError("no image to encode: the corpus, the foil or the explicands are empty")
        whole, first = images, as_images(images[0])
        size = chunk_size or automatic_chunk_size(first.shape[-2], first.shape[-1], self.device)
        parts = in_ranges(len(whole), size, lambda start, end: self(as_images(whole[start:end]).to(self.device)))
        return torch.cat([reps for _, _, reps in parts])

    def _pooled(self, output: Any, num: int) -> Tensor:
        if not isinstance(output, Tensor) or output.ndim not in (2, 3, 4):
            kind = f"a tensor {tuple(output.shape)}" if isinstance(output, Tensor) else type(output).__name__
            raise DataError(f"the encoder returned {kind}; it must return representations (B, D), maps (B, D, h, w) or tokens (B, T, D)")
        if len(output) != num:
            raise DataError(f"the encoder returned {len(output)} representations for {num} images")
        if output.ndim == 2:
            return output
        if self._pool is False:
            raise DataError(f"the encoder returned {tuple(output.shape)}; with pool=False it must return representations (B, D)")
        if self._pool is None and not self._noticed:
            self._noticed = True
            warnings.warn(
                f"the encoder returns {tuple(output.shape)}, averaged to {len(output)} x D; pool=True says that is meant", stacklevel=4
            )
        return output.float().mean(dim=(2, 3) if output.ndim == 4 else 1)


def _prepared(module: Callable[[Tensor], Any], device: torch.device, dtype: torch.dtype, *, keep: str | None, half: bool) -> Any:
    if not isinstance(module, nn.Module):
        return module
    copied = copy.deepcopy(module).to(device, dtype).eval()  # before batch norms are folded, so that folding rounds as encoding does
    fold_batch_norm(copied, keep=keep)
    copied = copied.to(memory_format=torch.channels_last).eval().requires_grad_(False)
    for part in copied.modules() if half else ():
        if isinstance(part, nn.Conv2d | nn.Linear):
            part.to(torch.bfloat16)  # once, for autocast would round frozen weights again in every pass
    return copied


def _refuse_texts(images: Any) -> None:
    if isinstance(images, str) or (isinstance(images, list | tuple) and any(isinstance(image, str) for image in images)):
        raise DataError("texts met an image encoder, which takes images; texts are for the text encoder, its text.encode")


class _LayerOutput:
    """The output of one layer; once it is known to run a single time in a pass, the layers after it are not run."""

    class _Reached(Exception):
        """The layer's output is there: nothing else is wanted of this pass."""

    def __init__(self, module: Any, layer: str) -> None:
        known = [name for name, _ in module.named_modules() if name] if isinstance(module, nn.Module) else []
        if layer not in known:
            raise ConfigError(f"layer={layer}: no such layer; {choices_hint(layer, known)}")
        self._module, self._layer, self._known_to_run_once, self._outputs = module, layer, False, list[Any]()
        module.get_submodule(layer).register_forward_hook(self._take)

    def _take(self, module: nn.Module, inputs: Any, output: Any) -> None:
        self._outputs.append(output)
        if self._known_to_run_once:
            raise self._Reached

    def __call__(self, images: Tensor) -> Any:
        self._outputs.clear()
        with contextlib.suppress(self._Reached):
            self._module(images)
        if len(self._outputs) != 1:
            raise DataError(f"layer={self._layer}: runs {len(self._outputs)} times in a forward pass; it must run once to have one output")
        self._known_to_run_once = True
        return self._outputs.pop()
