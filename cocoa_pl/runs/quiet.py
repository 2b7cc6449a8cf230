"""What libraries say that is not for the user of this one."""

from __future__ import annotations

import logging
import warnings

_HINTS = (
    r".*does not have many workers.*",
    r".*Checkpoint directory .* exists and is not empty.*",
    r".*isinstance\(treespec, LeafSpec\).*",
    r".*number of training batches .* is smaller than the logging interval.*",
    r".*Found .* in the checkpoint.*",
    r".*Couldn't infer the batch indices.*",
    r".*resuming from a checkpoint that ended before the epoch ended.*",
)


def quiet() -> None:
    """Leave out Lightning's hints about options that are not ours, and deprecations between libraries; ours are in --help."""
    logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)
    logging.getLogger("torch.export").setLevel(logging.CRITICAL)  # of a file that it cannot load: the error says so
    for message in _HINTS:
        warnings.filterwarnings("ignore", message)
