"""What libraries say that is not for the user of this one."""

from __future__ import annotations

import logging
import threading
import warnings

from tensorboard.summary.writer.event_file_writer import _AsyncWriterThread

_HINTS = (
    r".*does not have many workers.*",
    r".*Checkpoint directory .* exists and is not empty.*",
    r".*isinstance\(treespec, LeafSpec\).*",
    r".*number of training batches .* is smaller than the logging interval.*",
    r".*Found .* in the checkpoint.*",
    r".*The `srun` command is available on your system but is not used.*",
    r".*Couldn't infer the batch indices.*",
    r"It is recommended to use `self.log\(.*sync_dist=True.*",  # what is logged so is the same on every process
    r"Grad strides do not match bucket view strides.*",
    r".*resuming from a checkpoint that ended before the epoch ended.*",
)


def quiet() -> None:
    """Leave out Lightning's hints about options that are not ours, and deprecations between libraries; ours are in --help."""
    logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)
    logging.getLogger("torch.export").setLevel(logging.CRITICAL)  # of a file that it cannot load: the error says so
    for message in _HINTS:
        warnings.filterwarnings("ignore", message)
    if threading.excepthook is threading.__excepthook__:
        threading.excepthook = _report


def _report(failed: threading.ExceptHookArgs) -> None:
    """A thread's error, except that of the one which writes TensorBoard's events: it comes again where the next event is handed over."""
    if not isinstance(failed.thread, _AsyncWriterThread):
        threading.__excepthook__(failed)
