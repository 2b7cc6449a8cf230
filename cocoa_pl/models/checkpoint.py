"""Reading checkpoints: weights and plain values only, nothing in a file is ever executed."""

from __future__ import annotations

import pickle
import struct
import warnings
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from cocoa_pl.errors import CheckpointError


def read_checkpoint(path: Path) -> dict[str, Any]:
    """A checkpoint written by ``train.py``.

    Raises:
        CheckpointError: missing, truncated, not a checkpoint, or one that holds more than weights and plain values.
    """
    if not path.is_file():
        raise CheckpointError(f"{path}: no such checkpoint")
    try:
        with warnings.catch_warnings():  # about the protocol of a foreign pickle; the error below says all there is to say
            warnings.simplefilter("ignore")
            content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise CheckpointError(f"{path}: not a checkpoint of weights and plain values, or damaged; nothing was executed") from error
    except (RuntimeError, EOFError, OSError, ValueError, LookupError, struct.error) as error:
        raise CheckpointError(
            f"{path}: cannot be read, truncated or not a checkpoint ({(str(error).splitlines() or [type(error).__name__])[0][:120]})"
        ) from error
    if not isinstance(content, dict) or "cocoa_pl" not in content or "state_dict" not in content:
        raise CheckpointError(f"{path}: a PyTorch file, but not a checkpoint written by train.py")
    return cast(dict[str, Any], content)


def load_weights(module: nn.Module, state: dict[str, Tensor], *, prefix: str, path: Path) -> None:
    """Load the entries of ``state`` under ``prefix`` into the module, all of them and nothing else.

    Raises:
        CheckpointError: the names or shapes of missing and unexpected entries.
    """
    own = {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}
    expected = module.state_dict()
    missing, unexpected = sorted(expected.keys() - own.keys()), sorted(own.keys() - expected.keys())
    reshaped = sorted(name for name in expected.keys() & own.keys() if expected[name].shape != own[name].shape)
    if missing or unexpected or reshaped:
        parts = [
            f"{word}: {_first(names)}"
            for word, names in (("missing", missing), ("unexpected", unexpected), ("other shape", reshaped))
            if names
        ]
        raise CheckpointError(f"{path}: weights do not fit the encoder; {'; '.join(parts)}")
    module.load_state_dict(own)


def _first(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
