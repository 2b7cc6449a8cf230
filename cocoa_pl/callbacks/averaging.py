"""Where a trainer keeps a moving average of the weights, that average is what is explained."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback, WeightAveraging


def averaged(module: pl.LightningModule) -> Any:
    """The copy of a module that holds the average of its weights, where the trainer keeps one; else the module itself.

    Args:
        module: with or without a trainer. Averages of ``WeightAveraging`` and ``EMAWeightAveraging`` are known.

    Example:
        >>> module = pl.LightningModule()
        >>> averaged(module) is module
        True
    """
    if module._trainer is not None:
        for callback in module.trainer.callbacks:  # type: ignore[attr-defined]
            if isinstance(callback, WeightAveraging) and callback._average_model is not None:
                return callback._average_model.module
    return module


def behind_averaging(callback: Callback, callbacks: Sequence[Callback]) -> list[Callback]:
    """All callbacks with ``callback`` behind the one that averages, which swaps and updates the weights in the same hooks.

    Example:
        >>> from pytorch_lightning.callbacks import EMAWeightAveraging
        >>> looks, average, other = Callback(), EMAWeightAveraging(), Callback()
        >>> behind_averaging(looks, [looks, average, other]) == [average, looks, other]
        True
        >>> behind_averaging(looks, [average, other, looks]) == [average, other, looks]
        True
    """
    last = max((place for place, each in enumerate(callbacks) if isinstance(each, WeightAveraging)), default=-1)
    if callback not in callbacks[: last + 1]:
        return list(callbacks)
    return [each for each in callbacks[: last + 1] if each is not callback] + [callback, *callbacks[last + 1 :]]
