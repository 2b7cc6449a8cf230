"""The one place where encoder, target, attribution and removal meet."""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import torch
from torch import Tensor
from tqdm.auto import tqdm

from cocoa_pl.encoding import FrozenEncoder
from cocoa_pl.errors import ConfigError, DataError, choices_hint
from cocoa_pl.explanation import Explanation
from cocoa_pl.images import Images, as_images
from cocoa_pl.registry import ATTRIBUTIONS, CONTROLS, REMOVALS
from cocoa_pl.streaming import automatic_chunk_size, in_chunks, is_out_of_memory
from cocoa_pl.targets import percentile_interval, stack
from cocoa_pl.types import Attribution, Removal, Scorer, Target, attributed


class Explainer:
    """Explains the scores that targets give to an encoder's representations.

    Args:
        encoder: images to representations; anything but a :class:`FrozenEncoder` becomes one without normalisation.
        attributions: name to method, or names of ``registry.ATTRIBUTIONS`` and ``registry.CONTROLS`` for methods with their defaults.
        removal: what absent pixels show, or a name of ``registry.REMOVALS``.
        chunk_size: images in one pass through the encoder, for all methods; halved when memory runs out. Default: by the images' size.
        progress: show a progress bar over the images encoded.

    Example:
        >>> from torch import nn
        >>> from cocoa_pl.targets import cocoa
        >>> encoder = FrozenEncoder(nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU()), pool=True)
        >>> images = torch.rand(6, 3, 16, 16)
        >>> target = cocoa(encoder.encode(images[:2]), encoder.encode(images[2:]))
        >>> explainer = Explainer(encoder, attributions=["integrated_gradients", "rise"], removal="black")
        >>> explainer.explain(images[:2], target).attributions["rise"].shape
        torch.Size([1, 2, 16, 16])
    """

    def __init__(
        self, encoder: FrozenEncoder | Callable[[Tensor], Any], *, attributions: Mapping[str, Attribution] | Sequence[str],
        removal: Removal | str = "blur", chunk_size: int | None = None, progress: bool = False,
    ) -> None:  # fmt: skip
        if isinstance(attributions, str):
            raise ConfigError(f"attributions={attributions!r}: must be a list of names or a mapping from names to methods")
        if chunk_size is not None and chunk_size < 1:
            raise ConfigError(f"chunk_size={chunk_size}: must be at least 1")
        self.encoder = encoder if isinstance(encoder, FrozenEncoder) else FrozenEncoder(encoder)
        self.chunk_size, self.progress = chunk_size, progress
        self.attributions: dict[str, Attribution] = (
            dict(attributions) if isinstance(attributions, Mapping) else {name: load_attribution(name)() for name in attributions}
        )
        self.removal: Removal = load_removal(removal) if isinstance(removal, str) else removal

    def score_fn(self, target: Target) -> Scorer:
        """Encoder and target as one function: images (B, C, H, W), rows (B,) to scores (B, K)."""
        return Scorer(self.encoder, target)

    def num_forwards(self, num: int, height: int, width: int) -> int:
        """Images that will go through the encoder to explain ``num`` explicands, at most; adapters of other libraries count one target."""
        return num + sum(method.num_forwards(num, height, width) for method in self.attributions.values())

    def explain(
        self, explicands: Images, target: Target, *, seed: int = 0, replicates: Mapping[str, Target] | None = None, level: float = 0.95
    ) -> Explanation:  # fmt: skip
        """Attributions of every target by every method.

        Args:
            explicands: (N, C, H, W) in [0, 1], or anything that ``images.as_images`` takes.
            target: K scalars; with a reference for each explicand, row n belongs to explicand n.
            seed: masks and noise are a function of it.
            replicates: name of a target to replicates of it (``targets.bootstrap``), for intervals of its scores and maps from the same
                encodings; a target that is not named has intervals of NaN. A replicate costs perturbation methods a column of a matrix
                product and gradient methods a backward pass.
            level: of the intervals.

        Raises:
            DataError: images of a wrong shape or range, a target that does not fit them, or an encoder that cannot take them.
            ConfigError: replicates of a target that there is not.
        """
        began, before = time.perf_counter(), self.encoder.num_forwards
        images, seed = as_images(explicands).detach().to(self.encoder.device), int(seed)
        drawn = dict(replicates or {})
        if unknown := sorted(drawn.keys() - set(target.names)):
            raise ConfigError(f"replicates of {unknown[0]}: no such target; {choices_hint(unknown[0], target.names)}")
        together = stack([target, *drawn.values()]) if drawn else target
        if (held := getattr(together, "num_rows", None)) not in (None, len(images)):
            raise DataError(f"{len(images)} explicands met a target with references of {held}; make it from these explicands")
        scorer, baseline = self.score_fn(together), self.removal(images)
        chunk_size = self.chunk_size or automatic_chunk_size(images.shape[-2], images.shape[-1], images.device)
        # a caller's mixed precision must not round what is done outside the encoder, which decides for itself
        with self._progress(images), torch.autocast(images.device.type, enabled=False):
            scores = self._scores(scorer, images, chunk_size)
            done = {
                name: attributed(method, scorer, images, baseline, seed=seed, chunk_size=chunk_size)
                for name, method in self.attributions.items()
            }
        own, spans = len(target.names), _spans(target, drawn)
        return Explanation(
            attributions={name: one.maps[:own].clone() for name, one in done.items()},
            scores=scores[:own].clone(),
            targets=tuple(target.names),
            explicands=images,
            baseline=baseline,
            seed=seed,
            standard_errors={name: one.standard_error[:own].clone() for name, one in done.items() if one.standard_error is not None},
            reliability={name: one.reliability[:own].clone() for name, one in done.items() if one.reliability is not None},
            num_samples={name: one.num_samples for name, one in done.items() if one.num_samples is not None},
            draws={name: one.draw[:own].clone() for name, one in done.items() if one.draw is not None},
            dims={name: one.dims for name, one in done.items() if one.dims is not None},
            intervals={name: _intervals(one.maps, spans, level) for name, one in done.items() if drawn},
            score_intervals=_intervals(scores, spans, level) if drawn else None,
            settings={
                "methods": {name: repr(method) for name, method in self.attributions.items()},
                "removal": repr(self.removal),
                "chunk_size": chunk_size,
                "num_forwards": self.encoder.num_forwards - before,
                "seconds": time.perf_counter() - began,
                "level": level if drawn else None,
                "versions": _versions(),
            },
        )

    @torch.no_grad()
    def _scores(self, scorer: Scorer, images: Tensor, chunk_size: int) -> Tensor:
        """Scores (K, N) of the explicands: the first pass, in which whatever does not fit comes to light.

        Raises:
            DataError: the encoder cannot take the images, the target is on another device, or a score is not finite.
        """
        try:
            parts = [part for _, part in in_chunks(len(images), chunk_size, lambda rows: scorer(images[rows], rows), device=images.device)]
        except RuntimeError as error:
            if is_out_of_memory(error):
                raise
            shape = tuple(images.shape[1:])
            raise DataError(f"images {shape} on {images.device} cannot be scored: {str(error).splitlines()[0]}") from error
        scores = torch.cat(parts).T
        if not bool(torch.isfinite(scores).all()):
            raise DataError("scores are NaN or infinite: the encoder's representations of the explicands are, or the target's references")
        return scores

    def _progress(self, images: Tensor) -> AbstractContextManager[None]:
        if not self.progress:
            return nullcontext()
        bar = tqdm(total=self.num_forwards(len(images), *images.shape[-2:]), unit="image", desc="explain", leave=False)
        return _Watched(self.encoder, bar)


def load_attribution(name: str) -> Any:
    """The class of a method or a control by its name.

    Raises:
        ConfigError: unknown name.
    """
    return (CONTROLS if name in CONTROLS else ATTRIBUTIONS).load(name)


def load_removal(name: str, **given: Any) -> Removal:
    """A removal by its name, with those of ``given`` that it takes and its own defaults for the rest.

    Raises:
        ConfigError: unknown name, or one that has no default for something that was not given.
    """
    kind = REMOVALS.load(name)
    options = inspect.signature(kind).parameters
    missing = [option.name for option in options.values() if option.default is option.empty and option.name not in given]
    if missing:
        raise ConfigError(f"removal={name}: has no default for {missing[0]}; pass {kind.__name__}({missing[0]}=...) instead of its name")
    made: Removal = kind(**{option: value for option, value in given.items() if option in options})
    return made


@cache
def _versions() -> dict[str, str]:
    try:
        own = version("cocoa_pl")
    except PackageNotFoundError:  # a checkout that is on the path without being installed
        own = "unknown"
    return {"cocoa_pl": own, "torch": torch.__version__}


def _spans(target: Target, replicates: Mapping[str, Target]) -> list[slice | None]:
    """For each target, where the scores of its replicates lie."""
    spans: dict[str, slice] = {}
    end = len(target.names)
    for name, drawn in replicates.items():
        spans[name] = slice(end, end := end + len(drawn.names))
    return [spans.get(name) for name in target.names]


def _intervals(values: Tensor, spans: list[slice | None], level: float) -> Tensor:
    """Values (K + replicates, ...) to the ends (2, K, ...) of each target's interval; NaN for a target without replicates."""
    unknown = values.new_full((2, *values.shape[1:]), float("nan"))
    return torch.stack([unknown if span is None else percentile_interval(values[span], level=level) for span in spans], dim=1)


class _Watched(AbstractContextManager[None]):
    """An encoder that reports the images it encodes to a progress bar."""

    def __init__(self, encoder: FrozenEncoder, bar: Any) -> None:
        self._encoder, self._bar, self._before = encoder, bar, encoder.on_forward

    def __enter__(self) -> None:
        self._encoder.on_forward = self._report

    def __exit__(self, *_: object) -> None:
        self._encoder.on_forward = self._before
        self._bar.close()

    def _report(self, num: int) -> None:
        self._bar.update(num)
        if self._before is not None:
            self._before(num)
