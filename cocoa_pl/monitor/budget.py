"""Explanations within a share of training's time: a prefix of the masks, as long as fits."""

from __future__ import annotations

import contextlib
import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import torch

from cocoa_pl.errors import ConfigError

_FEWEST, _STEP, _REMEMBERED = 16, 8, 4
_AIM = 0.95  # of the share: some looks last longer than the median
_SLACK = 0.1  # so many masks too many are let pass
_ROOM = 1.5  # masks are added only where half as many again fit: the fewer changes, the better epochs compare


@dataclass
class Stopwatch:
    """How long the masked passes of a look took, in seconds."""

    seconds: float = 0.0

    @contextlib.contextmanager
    def masking(self, device: torch.device) -> Iterator[None]:
        """Time what is done inside, what was queued on an accelerator included."""
        _settle(device)
        began = time.perf_counter()
        yield
        _settle(device)
        self.seconds += time.perf_counter() - began


def _settle(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


@dataclass
class Budget:
    """How many masks a look may take.

    A look lasts ``fixed + masks * seconds_per_mask``; it should take at most ``share`` of the time since the end of the look before. What
    is fixed is the median of the last four looks: the first one warms up, and some draw more pictures. The number of masks is a multiple of
    8, never below 16, and only ever cuts the sequence short: mask i stays mask i.

    Args:
        share: of the time, in (0, 1]; None: no limit.
        most: masks that the methods ask for; None: none masks, so that nothing can be saved.
        num_masks: masks of the look before.
        fixed: seconds of each of the last looks, masking apart.
        per_mask: seconds a mask took, last time.

    Raises:
        ConfigError: a share out of range.

    Example:
        >>> budget = Budget(0.15, most=256)
        >>> budget.spent(looking=3.0, masking=2.0)
        >>> budget.plan(training=8.0)  # 8 * .1425 / .8575 = 1.33 seconds, of which 1 is fixed
        40
    """

    share: float | None
    most: int | None
    num_masks: int | None = None
    fixed: list[float] = field(default_factory=list)
    per_mask: float = 0.0

    def __post_init__(self) -> None:
        if self.share is not None and not 0 < self.share <= 1:
            raise ConfigError(f"budget_share={self.share}: must be above 0 and at most 1")
        self.num_masks = self.num_masks or self.most

    def plan(self, *, training: float) -> int | None:
        """How many masks the next look may take after so many seconds of training; as many as the last one where that fits."""
        if self.share is None or self.share == 1 or not self.most or not self.num_masks or not self.fixed or self.per_mask <= 0:
            return self.num_masks
        share = _AIM * self.share
        allowed = training * share / (1 - share)
        fits = int((allowed - statistics.median_low(self.fixed)) / self.per_mask) // _STEP * _STEP
        fits = max(min(_FEWEST, self.most), min(self.most, fits))
        if fits < self.num_masks * (1 - _SLACK) or fits >= _ROOM * self.num_masks or fits == self.most:
            self.num_masks = fits
        return self.num_masks

    def spent(self, *, looking: float, masking: float) -> None:
        """Learn from a look that lasted so many seconds, in some of which masked images were encoded."""
        self.fixed = [*self.fixed, looking - masking][-_REMEMBERED:]
        if self.num_masks:
            self.per_mask = masking / self.num_masks

    def state_dict(self) -> dict[str, Any]:
        """What was learnt, in plain values."""
        return {"num_masks": self.num_masks, "fixed": list(self.fixed), "per_mask": self.per_mask}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on with what was learnt."""
        self.num_masks, self.fixed, self.per_mask = state_dict["num_masks"], list(state_dict["fixed"]), state_dict["per_mask"]
