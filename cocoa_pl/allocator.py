"""Freed memory kept for the next pass. C's allocator hands large blocks back to the system at once, and every pass pays for new pages."""

from __future__ import annotations

import ctypes
import sys

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # numbers of glibc's <malloc.h>
_KEPT = 2**30


def keep_freed_memory() -> bool:
    """Let this process keep up to a gigabyte of freed memory for reuse; a fifth faster for networks on a CPU (benchmarks/README.md).

    It is a setting of the whole process, so the package never makes it on import: ``train.py`` and ``explain.py`` do.

    Returns:
        Whether the C library took it: glibc does, others have no such setting.
    """
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    return mallopt is not None and all(mallopt(option, _KEPT) == 1 for option in (_TRIM_THRESHOLD, _MMAP_THRESHOLD))
