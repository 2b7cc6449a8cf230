"""Other libraries kept from telling, in a log of their own, what is said better here."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator


@contextlib.contextmanager
def quiet_logs() -> Iterator[None]:
    """Warnings of ``logging`` are dropped meanwhile, and a library that logs to the root leaves no handler there."""
    root, before, nothing = logging.getLogger(), logging.root.manager.disable, logging.NullHandler()
    root.addHandler(nothing)
    logging.disable(max(before, logging.WARNING))
    try:
        yield
    finally:
        logging.disable(before)
        root.removeHandler(nothing)
