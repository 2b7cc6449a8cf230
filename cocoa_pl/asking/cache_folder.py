"""Where the user keeps what can be made again. No torch here: the command line asks."""

from __future__ import annotations

import os
from pathlib import Path


def default_cache_folder() -> Path | None:
    """``$COCOA_PL_CACHE``, else ``cocoa_pl`` in ``$XDG_CACHE_HOME``, else ``~/.cache/cocoa_pl``; None for a user without a home."""
    if own := os.environ.get("COCOA_PL_CACHE"):
        return Path(own)
    caches = Path(os.environ.get("XDG_CACHE_HOME", ""))
    if caches.is_absolute():  # others are to be ignored, by the XDG specification
        return caches / "cocoa_pl"
    home = Path(os.path.expanduser("~"))  # Path.home() raises for users that no one has written down, as in containers
    return home / ".cache" / "cocoa_pl" if home.is_absolute() else None
