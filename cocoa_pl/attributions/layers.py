"""One layer of an encoder: its output, and the gradients of scores with respect to it. No hook outlives the pass that needs it."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor, nn

from cocoa_pl.attributions.gradients import plain, pull_back
from cocoa_pl.attributions.spatial import is_sequence_first, spatial_layer
from cocoa_pl.errors import ConfigError, DataError
from cocoa_pl.types import ScoreFn, Scorer


@dataclass(frozen=True)
class Layer:
    """A layer that is run once in a forward pass and returns one tensor.

    Attributes:
        scorer: encoder and target.
        module: the layer.
        name: its dotted name in the encoder.
        sequence_first: whether it returns tokens (T, B, D), None to tell by their shape. What this class takes and gives is (B, T, D).
    """

    scorer: Scorer
    module: nn.Module
    name: str
    sequence_first: bool | None = None

    @staticmethod
    def find(score_fn: ScoreFn, explicands: Tensor, name: str | None, *, method: str, first_of_tokens: bool = False) -> Layer:
        """The layer of this name or, for None, the last spatial one that the representations of explicands (N, C, H, W) depend on.

        Of a transformer that is the last layer of tokens, or the first.

        Raises:
            DataError: the score does not show its encoder, or the encoder has no spatial layer.
            ConfigError: no such layer.
        """
        encoder = score_fn.encoder if isinstance(score_fn, Scorer) else None
        network = encoder if isinstance(encoder, nn.Module) else getattr(encoder, "module", None)
        if not isinstance(score_fn, Scorer) or not isinstance(network, nn.Module):
            got = type(score_fn if encoder is None else encoder).__name__
            raise DataError(f"{method} looks inside the encoder: it needs a Scorer whose encoder has an nn.Module as .module, got {got}")
        modules = dict(network.named_modules())
        if name is None:
            name, sequence_first = spatial_layer(
                score_fn.encoder, modules, explicands.shape[1:], explicands.device, first_of_tokens=first_of_tokens
            )
            return Layer(score_fn, modules[name], name, sequence_first)
        if name not in modules:
            near = difflib.get_close_matches(name, [known for known in modules if known], n=5, cutoff=0.3)
            raise ConfigError(f"layer={name}: the encoder has no such layer; the nearest are: {', '.join(near) or 'none'}")
        return Layer(score_fn, modules[name], name)

    def output(self, images: Tensor) -> Tensor:
        """What the layer returns for images (B, C, H, W), without gradients: maps (B, c, h, w) or tokens (B, T, D).

        Raises:
            DataError: the layer does not return one tensor, once in a pass.
        """
        output = self._returned(images)
        return output.transpose(0, 1) if self._is_turned(output, images) else output

    def gradients(
        self, images: Tensor, rows: Tensor, share: Callable[[Tensor, Tensor], Tensor], *, swap: Tensor | None = None
    ) -> Tensor:  # fmt: skip
        """``share(output, gradient)`` for each of K scores: one forward pass, K vector-Jacobian products from the scores to the layer.

        Args:
            images: (B, C, H, W).
            rows: (B,), the explicand each image stems from.
            share: output and gradient of one score, both (B, ...), to what is kept of them.
            swap: (B, ...), what goes on through the encoder in place of the layer's output.

        Raises:
            DataError: the layer does not return one tensor, once in a pass, or the scores carry no gradient.
        """
        caught: list[object] = []
        # before the pass: its hook cannot send a picture through the encoder
        own = self._looked_at(images) if swap is not None and swap.ndim == 3 and len(swap) == swap.shape[1] else self

        def cut(module: nn.Module, inputs: object, output: object) -> object:
            if not isinstance(output, Tensor):
                caught.append(output)
                return None
            if swap is not None:
                output = (swap.transpose(0, 1).contiguous() if own._is_turned(output, images) else swap).to(output.dtype)
            leaf = plain(output).requires_grad_()
            caught.append(leaf)
            return leaf.clone()  # what follows may work in place

        with torch.inference_mode(False), torch.enable_grad():
            with self.module.register_forward_hook(cut, prepend=True):
                scores = self.scorer(plain(images), plain(rows))
            leaf = self._only(caught)
            output = leaf.detach()
            if own._is_turned(output, images):
                return pull_back(scores, leaf, lambda gradient: share(output.transpose(0, 1), gradient.transpose(0, 1)))
            return pull_back(scores, leaf, partial(share, output))

    def _returned(self, images: Tensor) -> Tensor:
        caught: list[object] = []

        def catch(module: nn.Module, inputs: object, output: object) -> object:
            caught.append(output)
            return output.clone() if isinstance(output, Tensor) else None  # what follows may work in place

        with torch.no_grad(), self.module.register_forward_hook(catch, prepend=True):
            self.scorer.encoder(images)
        return self._only(caught)

    def _is_turned(self, output: Tensor, images: Tensor) -> bool:
        """Whether this output for images (B, C, H, W) are tokens (T, B, D)."""
        if self.sequence_first is not None or output.ndim != 3:
            return bool(self.sequence_first)
        if len(output) == output.shape[1]:
            return bool(self._looked_at(images).sequence_first)
        return len(output) != len(images) == output.shape[1]

    def _looked_at(self, images: Tensor) -> Layer:
        """The layer with ``sequence_first`` known: one image goes through; of as many tokens as images the shape tells nothing."""
        if self.sequence_first is not None:
            return self
        return replace(self, sequence_first=is_sequence_first(self._returned(images[:1])))

    def _only(self, caught: list[object]) -> Tensor:
        if len(caught) != 1:
            hint = "the block around it, say" if caught else "and a compiled encoder shows none"
            raise DataError(f"layer={self.name} is run {len(caught)} times in a pass: name one that is run once, {hint}")
        if not isinstance(caught[0], Tensor):
            raise DataError(f"layer={self.name} returns {type(caught[0]).__name__}: name one that returns a tensor")
        return caught[0]
