"""Captum's methods as attributions, and our scores as functions for captum.

Captum is an optional dependency, imported where a method of its own is asked for by name.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from cocoa_pl.attributions.gradients import plain
from cocoa_pl.attributions.layers import Layer
from cocoa_pl.attributions.spatial import enlarged, spatial_maps
from cocoa_pl.errors import ConfigError, DataError, choices_hint
from cocoa_pl.optional import require
from cocoa_pl.streaming import baseline_image
from cocoa_pl.types import Baseline, Encoder, ScoreFn, Target

_BATCH_OPTIONS = ("internal_batch_size", "perturbations_per_eval", "nt_samples_batch_size")
"""What captum calls the number of images in one pass."""
_OURS = {"self", "forward_func", "attribution_method", "layer", "inputs", "target", "additional_forward_args"}
"""What captum takes and the adapter sets."""


class FromCaptum:
    """Any method of captum that explains a function, over inputs or over a layer, as an attribution.

    Explicands are explained one by one: captum repeats a batch in an order that differs from method to method, and where a target has a
    reference for each explicand another order is another score, without an error. Every target takes a run of its own. All runs start
    from the same random state, so that a batch equals single runs; torch's and numpy's global states are left as they were.

    Channels are summed, and the maps of a layer are enlarged to the image. Methods made of a module (DeepLift, LRP, guided backpropagation)
    explain its outputs, which are no score of a target, and are refused.

    Args:
        method: a class of ``captum.attr``, or its name.
        over: for ``NoiseTunnel``, the method whose maps of noisy copies are averaged, likewise.
        layer: dotted name of the layer, for methods over a layer; None for the last spatial one.
        options: what captum's class and its ``attribute`` take, of both methods with ``over``. Where they are not given, ``baselines`` is
            the removal's and passes have ``chunk_size`` images.

    Raises:
        ConfigError: captum is not installed, has no such method or option, or the method does not explain a function.

    Example:
        >>> weight = torch.tensor([1.0, -2.0])
        >>> score = lambda images, rows: (images.flatten(1) @ weight)[:, None]
        >>> x = torch.tensor([0.5, 1.0]).view(1, 1, 1, 2)
        >>> FromCaptum("FeatureAblation")(score, x, torch.zeros_like(x)).flatten().tolist()
        [0.5, -2.0]
        >>> tunnel = FromCaptum("NoiseTunnel", over="IntegratedGradients", multiply_by_inputs=False, nt_samples=4)
        >>> tunnel(score, x, torch.zeros_like(x)).flatten().tolist()
        [1.0, -2.0]
        >>> tunnel
        FromCaptum(NoiseTunnel, over=IntegratedGradients, multiply_by_inputs=False, nt_samples=4)
    """

    def __init__(
        self, method: type[Any] | str, /, *, over: type[Any] | str | None = None, layer: str | None = None, **options: Any
    ) -> None:
        outer = _by_name(method) if isinstance(method, str) else method
        inner = _by_name(over) if isinstance(over, str) else over
        is_tunnel = "attribution_method" in _parameters(outer)
        if is_tunnel != (inner is not None):
            fault = "works over another method: name it, as in over='Saliency'" if is_tunnel else "works over no other method"
            raise ConfigError(f"over={over}: captum's {outer.__name__} {fault}")
        self._method, self._tunnel = inner or outer, outer if is_tunnel else None
        self._name, made_of = self._method.__name__, _parameters(self._method)
        if made_of[:1] != ["forward_func"]:
            raise ConfigError(f"captum's {self._name} is made of {', '.join(made_of)}: only methods made of a forward_func can be used")
        self._over_layer = "layer" in made_of
        if layer is not None and not self._over_layer:
            raise ConfigError(f"layer={layer}: captum's {self._name} explains inputs and takes no layer")
        self._takes = {*_parameters(self._method.attribute), *(_parameters(outer.attribute) if is_tunnel else [])} - _OURS
        known = self._takes | {*made_of} - _OURS
        for option in options:
            if option not in known:
                raise ConfigError(f"captum's {outer.__name__} takes no option '{option}' here; {choices_hint(option, known)}")
        self._layer, self._given = layer, options
        self._made_with = {name: value for name, value in options.items() if name in made_of}
        self._options = {name: value for name, value in options.items() if name not in made_of}
        self._needs_baseline = "baselines" in self._takes - set(options)
        self._counted: dict[tuple[int, int], int] = {}

    def __repr__(self) -> str:
        named = {"over": self._tunnel and self._method, "layer": self._layer}
        shown = {name: value for name, value in named.items() if value is not None} | self._given
        options = (f", {name}={_shown(value)}" for name, value in shown.items())
        return f"FromCaptum({(self._tunnel or self._method).__name__}{''.join(options)})"

    def num_forwards(self, num: int, height: int, width: int) -> int:
        """Images for one target: every further target takes as many again.

        They are counted by a dry run of captum on a black picture of three channels, once for each size of image.
        """
        if (height, width) not in self._counted:
            self._counted[height, width] = self._count(height, width)
        return num * self._counted[height, width] + (self._over_layer and self._layer is None)

    def _count(self, height: int, width: int) -> int:
        count, network = 0, nn.Identity()

        def score_fn(images: Tensor, rows: Tensor) -> Tensor:
            nonlocal count
            count += len(images)
            scores: Tensor = network(images).sum(dim=(1, 2, 3))
            return scores[:, None]

        device = next((value.device for value in self._options.values() if isinstance(value, Tensor)), torch.device("cpu"))
        black = torch.zeros(1, 3, height, width, device=device)
        self._explain(score_fn, network if self._over_layer else None, black, black, n=0, seed=0, chunk_size=256)
        return count

    def __call__(self, score_fn: ScoreFn, explicands: Tensor, baseline: Baseline, *, seed: int = 0, chunk_size: int = 256) -> Tensor:
        """Explicands and baseline (N, C, H, W) to attributions (K, N, H, W).

        Raises:
            DataError: the method needs a baseline and the removal has no image, or a layer, with the batch in front, and there is none.
            ConfigError: no such layer.
        """
        found = Layer.find(score_fn, explicands, self._layer, method=self._name) if self._over_layer else None
        if found is not None and found.sequence_first:
            raise DataError(f"captum's {self._name}: layer={found.name} returns tokens (T, B, D), and captum looks for the batch in front")
        layer = None if found is None else found.module
        start = baseline_image(baseline, method=self._name) if self._needs_baseline else explicands
        maps = [
            self._explain(score_fn, layer, explicands[n : n + 1], start[n : n + 1], n=n, seed=seed, chunk_size=chunk_size)
            for n in range(len(explicands))
        ]
        return torch.cat(maps, dim=1)

    def _explain(
        self, score_fn: ScoreFn, layer: nn.Module | None, image: Tensor, start: Tensor, *, n: int, seed: int, chunk_size: int
    ) -> Tensor:  # fmt: skip
        """Maps (K, 1, H, W) of explicand number n, one run a target."""
        k, num_targets = 0, 1

        def score(images: Tensor) -> Tensor:
            nonlocal num_targets
            # captum would see a layer in the last part only
            parts = torch.split(images, chunk_size) if layer is None else [images]
            scores = torch.cat([score_fn(part, torch.full((len(part),), n, device=part.device)) for part in parts])
            num_targets = scores.shape[1]
            return scores[:, k]

        options = {name: chunk_size for name in _BATCH_OPTIONS if name in self._takes} | self._options
        maps = []
        with torch.inference_mode(False), torch.enable_grad():
            if self._needs_baseline:
                options["baselines"] = plain(start)
            method = self._method(*([score] if layer is None else [score, layer]), **self._made_with)
            if self._tunnel is not None:
                method = self._tunnel(method)
            while k < num_targets:
                with _seeded(seed, image.device):
                    output = method.attribute(plain(image).requires_grad_(), **options)
                maps.append(self._map(output, *image.shape[2:]))
                k += 1
        return torch.stack(maps)

    def _map(self, output: Any, height: int, width: int) -> Tensor:
        """What captum returned for one image as a map (1, H, W)."""
        if isinstance(output, tuple) and len(output) == 1:
            output = output[0]
        if not isinstance(output, Tensor):
            raise DataError(f"captum's {self._name} returned {type(output).__name__}: wanted one tensor")
        over_layer = self._over_layer
        maps = (spatial_maps(output, height, width) if over_layer else output).detach().float().sum(dim=1, keepdim=True)
        return (enlarged(maps, height, width) if over_layer else maps)[:, 0]


def forward_func(encoder: Encoder, target: Target, *, k: int = 0) -> Callable[[Tensor, Tensor], Tensor]:
    """Score number ``k`` of a target as the function that captum's methods are made of.

    Hand captum the rows as ``additional_forward_args``: it repeats them as it repeats the images, so that each meets its own reference.

    Args:
        encoder: images to representations.
        target: K scalars.
        k: which of them.

    Returns:
        Images (B, C, H, W) and rows (B,) to scores (B,).

    Example:
        >>> from captum.attr import Saliency
        >>> from cocoa_pl.targets import DirectionTarget
        >>> score = forward_func(lambda images: images.flatten(1), DirectionTarget(torch.ones(1, 4), names=["sum"]))
        >>> images = torch.ones(2, 1, 2, 2, requires_grad=True)
        >>> Saliency(score).attribute(images, additional_forward_args=torch.arange(2)).shape
        torch.Size([2, 1, 2, 2])
    """
    if not 0 <= k < len(target.names):
        raise ConfigError(f"k={k}: the target has {len(target.names)} scores, {', '.join(target.names)}")

    def score(images: Tensor, rows: Tensor) -> Tensor:
        return target(encoder(images), rows)[:, k]

    return score


def _by_name(name: str) -> type[Any]:
    methods = require("captum.attr", package="captum", what=f"captum's {name} needs")
    known = [key for key, value in vars(methods).items() if inspect.isclass(value) and hasattr(value, "attribute")]
    if name not in known:
        raise ConfigError(f"captum has no method '{name}'; {choices_hint(name, known)}")
    method: type[Any] = getattr(methods, name)
    return method


def _parameters(function: Callable[..., Any]) -> list[str]:
    """Names of what a class or a function takes, without ``self`` and whatever is handed on."""
    given = inspect.signature(function).parameters.values()
    return [one.name for one in given if one.name != "self" and one.kind is not one.VAR_KEYWORD]


def _shown(value: Any) -> str:
    """An option in a few characters, the same in every process: no values of tensors, no memory addresses."""
    if isinstance(value, Tensor | np.ndarray):
        return f"{type(value).__name__}{tuple(value.shape)}"
    if isinstance(value, tuple | list):
        return f"({', '.join(map(_shown, value))})"
    if value is None or isinstance(value, str | int | float):
        return repr(value)
    return str(getattr(value, "__name__", type(value).__name__))


@contextmanager
def _seeded(seed: int, device: torch.device) -> Iterator[None]:
    """The global random states that captum draws from, set for a while and put back."""
    on_gpu = [device] if device.type == "cuda" else []
    numpy_state = np.random.get_state()  # noqa: NPY002
    with torch.random.fork_rng(devices=on_gpu):
        torch.default_generator.manual_seed(seed)
        for gpu in on_gpu:
            with torch.cuda.device(gpu):
                torch.cuda.manual_seed(seed)
        np.random.seed(seed % 2**32)  # noqa: NPY002
        try:
            yield
        finally:
            np.random.set_state(numpy_state)  # noqa: NPY002
