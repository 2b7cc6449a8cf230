"""What a corpus of pictures may be called: after its files and folders."""

from __future__ import annotations

import glob
import os
from pathlib import Path


def path_names(path: str) -> tuple[str, ...]:
    """What a path may be called: its last part, with the folder before it, and so on.

    Example:
        >>> path_names("/photos/cats/")
        ('cats', 'photos cats')
    """
    parts = [part for part in Path(os.path.abspath(path)).parts if part != os.sep] or ["pictures"]
    return tuple(" ".join(parts[-depth:]) for depth in range(1, len(parts) + 1))


def glob_folder(pattern: str) -> str:
    """The folder that a glob begins with.

    Example:
        >>> glob_folder("photos/cats/*.jpg"), glob_folder("*.jpg")
        ('photos/cats', '.')
    """
    parts = pattern.split("/")
    folder = "/".join(parts[: next(i for i, part in enumerate(parts) if glob.has_magic(part))])
    return folder or ("/" if pattern.startswith("/") else ".")
