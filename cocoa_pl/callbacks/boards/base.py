"""What a board takes, and a run's options in the form that it takes them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

from torch import Tensor

from cocoa_pl.callbacks.boards.layout import Logged

Option = str | int | float | bool


class Board(Protocol):
    """Takes what a scalar logger cannot show. Steps are epochs; 0 is the untrained encoder."""

    def images(self, pictures: Mapping[str, bytes], *, step: int) -> None:
        """Show pictures: tag to the bytes of a PNG, so that a picture is encoded once for all who want it."""
        ...

    def text(self, tag: str, markdown: str, *, step: int) -> None:
        """Show a text, with tables if need be."""
        ...

    def layout(self, logged: Logged) -> None:
        """Lay out pages of charts for a run that logs this."""
        ...

    def embedding(self, tag: str, reps: Tensor, *, thumbnails: Tensor, labels: Sequence[str], step: int) -> None:
        """Show representations as points, in place of those shown under the tag before.

        Args:
            tag: name of the cloud of points.
            reps: (N, D) float.
            thumbnails: (N, 3, H, W) uint8, a picture for each point.
            labels: N texts, a label for each point.
            step: epoch.
        """
        ...

    def hparams(self, options: Mapping[str, Option], metrics: Collection[str]) -> None:
        """Show the run's options beside the last values of the scalars named in ``metrics``; no scalar is logged for it."""
        ...

    def flush(self) -> None:
        """Make sure that a killed process loses nothing of what it has shown."""
        ...


def plain_markdown(text: str) -> str:
    """Markdown in which no name of a file or a class can become a link, a picture from elsewhere or HTML; tables and lists stay.

    Example:
        >>> print(plain_markdown("- ![x](http://a.b/c.png) <script> drifted most"))
        - !\\[x](http://a.b/c.png) &lt;script> drifted most
    """
    return text.replace("\\", "\\\\").replace("[", "\\[").replace("<", "&lt;")


def flat_options(options: Mapping[str, object], prefix: str = "") -> dict[str, Option]:
    """Nested options under dotted names; what is no number, text or truth value becomes the text that YAML has for it.

    Example:
        >>> flat_options({"run": {"seed": 0}, "augment": {"crop_scale": [0.5, 1.0]}, "model": {"ema_decay": None}})
        {'run.seed': 0, 'augment.crop_scale': '[0.5, 1.0]', 'model.ema_decay': 'null'}
    """
    flat: dict[str, Option] = {}
    for name, value in options.items():
        if isinstance(value, Mapping):
            flat |= flat_options(value, f"{prefix}{name}.")
        elif isinstance(value, Option):
            flat[prefix + name] = value
        else:
            flat[prefix + name] = "null" if value is None else str(value)
    return flat
