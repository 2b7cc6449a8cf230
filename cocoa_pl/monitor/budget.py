"""Explanations within a share of training's time: a prefix of the masks, as long as fits."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass

import torch

from cocoa_pl.errors import ConfigError

_FEWEST, _STEP = 16, 8
_SLACK = 0.1  # a look may last so much longer than it should, or masks cost so much less, before anything is changed
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
    """How many masks the next look may take.

    A look lasts ``fixed + masks * seconds_per_mask``; it should take at most ``share`` of the time between the ends of two looks. The
    number of masks is a multiple of 8 and only ever cuts the sequence short: mask i stays mask i.

    Args:
        share: of the time, in (0, 1]; None: no limit.
        most: masks that the methods ask for; None: none masks, so that nothing can be saved.
        num_masks: masks of the next look.

    Raises:
        ConfigError: a share out of range.

    Example:
        >>> budget = Budget(0.15, most=256)
        >>> budget.spent(training=8.0, looking=3.0, masking=2.0, num_masks=256)
        >>> budget.num_masks  # 8 * .15 / .85 = 1.41 seconds, of which 1 is fixed
        48
    """

    share: float | None
    most: int | None
    num_masks: int | None = None

    def __post_init__(self) -> None:
        if self.share is not None and not 0 < self.share <= 1:
            raise ConfigError(f"budget_share={self.share}: must be above 0 and at most 1")
        self.num_masks = self.num_masks or self.most

    def spent(self, *, training: float, looking: float, masking: float, num_masks: int | None) -> None:
        """Learn from a look what the next one may take.

        Args:
            training: seconds of training since the look before.
            looking: seconds of the look, pictures included.
            masking: seconds of it in which masked images were encoded.
            num_masks: masks of it.
        """
        if self.share is None or self.share == 1 or self.most is None or not num_masks or masking <= 0:
            return
        allowed = training * self.share / (1 - self.share)
        fits = int((allowed - (looking - masking)) / (masking / num_masks)) // _STEP * _STEP
        fits = max(min(_FEWEST, self.most), min(self.most, fits))
        if looking > allowed * (1 + _SLACK) or fits >= _ROOM * num_masks or (fits == self.most and fits > num_masks):
            self.num_masks = fits
