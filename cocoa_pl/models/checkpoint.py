"""Reading checkpoints: weights and plain values only, nothing in a file is ever executed."""

from __future__ import annotations

import math
import pickle
import warnings
import zipfile
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from cocoa_pl.errors import CheckpointError, some
from cocoa_pl.files import damage
from cocoa_pl.trees import check_tree

_LARGEST_SIDE = 4096
_MOST_CLASSES = 1_000_000
_Kinds = dict[str, type | tuple[type, ...]]
_KINDS: _Kinds = {"cocoa_pl": dict, "state_dict": dict, "epoch": int, "global_step": int, "callbacks": (dict, type(None))}
_RECORD: _Kinds = {"config": dict, "image_size": int, "mean": list, "std": list}


def read_checkpoint(path: Path) -> dict[str, Any]:
    """A checkpoint written by ``train.py``.

    Raises:
        CheckpointError: missing, truncated, not a checkpoint, or one that holds more than weights and plain values.
    """
    if not path.is_file():
        raise CheckpointError(f"{path}: no such checkpoint")
    check_archive(path)
    if zipfile.is_zipfile(path) and (why := damage(path)) is not None:
        raise CheckpointError(f"{path}: cannot be read, damaged ({why})")
    try:
        with warnings.catch_warnings():  # about the protocol of a foreign pickle; the error below says all there is to say
            warnings.simplefilter("ignore")
            content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise CheckpointError(f"{path}: not a checkpoint of weights and plain values, or damaged; nothing was executed") from error
    except Exception as error:  # whatever a damaged file makes torch raise
        raise CheckpointError(
            f"{path}: cannot be read, truncated or not a checkpoint ({(str(error).splitlines() or [type(error).__name__])[0][:120]})"
        ) from error
    if not isinstance(content, dict) or "cocoa_pl" not in content or "state_dict" not in content:
        raise CheckpointError(f"{path}: a PyTorch file, but not a checkpoint written by train.py")
    _check_content(content, path)
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
            f"{word}: {some(names)}"
            for word, names in (("missing", missing), ("unexpected", unexpected), ("other shape", reshaped))
            if names
        ]
        raise CheckpointError(f"{path}: weights do not fit the encoder; {'; '.join(parts)}")
    try:
        module.load_state_dict(own)
    except RuntimeError as error:  # no plain numbers: sparse, or without any content
        raise CheckpointError(
            f"{path}: weights cannot be copied into the encoder ({str(error).split(chr(10))[-1].strip()[:120]})"
        ) from error


def check_archive(path: Path) -> None:
    """See that a zip archive unfolds to no more than its own length: files of ``torch.save`` are not compressed.

    Raises:
        CheckpointError: it would unfold to more, perhaps to more than there is memory.
    """
    if not path.is_file():  # opening a pipe waits for whoever writes into it
        return
    try:
        with zipfile.ZipFile(path) as archive:
            unfolded = sum(record.file_size for record in archive.infolist())
    except Exception:  # no archive or a damaged one, of which whoever reads it says what is wrong
        return
    if unfolded > path.stat().st_size:
        raise CheckpointError(f"{path}: unfolds to {unfolded} bytes from {path.stat().st_size}, as no file of torch.save does; not opened")


def _check_content(content: dict[str, Any], path: Path) -> None:
    """See that whatever is relied on later is there and of the kind that ``train.py`` writes.

    Raises:
        CheckpointError: something is not.
    """
    record = content["cocoa_pl"]
    wrong = _wrong(content, _KINDS) or [f"cocoa_pl.{name}" for name in _wrong(record, _RECORD)]
    if not wrong:
        statistics = [*record["mean"], *record["std"]]
        finite = all(isinstance(value, float | int) and math.isfinite(value) for value in statistics)
        if len(record["mean"]) != 3 or len(record["std"]) != 3 or not finite or min(record["std"]) <= 0:
            wrong.append("cocoa_pl.mean, std")
        if not 0 < record["image_size"] <= _LARGEST_SIDE:
            wrong.append("cocoa_pl.image_size")
        words = record.get("words", [])
        if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
            wrong.append("cocoa_pl.words")
        if type(num := record.get("num_classes", 0)) is not int or not 0 <= num <= _MOST_CLASSES:
            wrong.append("cocoa_pl.num_classes")
        losses = content.get("epoch_losses", torch.zeros(2))
        if not isinstance(losses, Tensor) or losses.shape != (2,) or not losses.is_floating_point():
            wrong.append("epoch_losses")
        if content["epoch"] < 0 or content["global_step"] < 0:
            wrong.append("epoch, global_step")
        if not all(isinstance(name, str) and isinstance(value, Tensor) for name, value in content["state_dict"].items()):
            wrong.append("state_dict")
    if wrong:
        raise CheckpointError(f"{path}: a checkpoint of train.py that is damaged: {wrong[0]} is missing or not what train.py writes")
    try:
        check_tree(record["config"])
    except ValueError as error:
        raise CheckpointError(f"{path}: a checkpoint of train.py that is damaged: its config {error}") from error


def _wrong(values: dict[str, Any], kinds: _Kinds) -> list[str]:
    return [name for name, kind in kinds.items() if not isinstance(values.get(name), kind)]
