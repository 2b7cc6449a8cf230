"""Packages that only one feature needs, imported where it is used."""

from __future__ import annotations

import importlib
from typing import Any

from cocoa_pl.errors import ConfigError


def require(module: str, *, package: str, what: str) -> Any:
    """Import a module of an optional package.

    Args:
        module: what to import.
        package: what to install, as pip calls it.
        what: the feature and its verb, for the message.

    Raises:
        ConfigError: it is not installed; the message says how to.

    Example:
        >>> require("math", package="python", what="adding up needs").fsum([0.5, 0.25])
        0.75
        >>> require("no_such_module", package="no-such-package", what="nothing needs")
        Traceback (most recent call last):
        ...
        cocoa_pl.errors.ConfigError: nothing needs no-such-package, which is not installed: pip install no-such-package
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ConfigError(f"{what} {package}, which is not installed: pip install {package}") from error
