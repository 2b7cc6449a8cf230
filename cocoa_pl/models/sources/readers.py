"""Reading weights of any tool: state dicts, checkpoints of all kinds, safetensors; nothing in a file is executed unless it is trusted."""

from __future__ import annotations

import pickle
import re
import struct
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from cocoa_pl.errors import CheckpointError
from cocoa_pl.models.checkpoint import check_archive
from cocoa_pl.models.sources.opened import one_line
from cocoa_pl.models.sources.stand_ins import plain, stand_ins
from cocoa_pl.optional import require
from cocoa_pl.trees import check_tree

_LEGACY = b"\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."  # how files of torch.save begin that are no zip archives, after two bytes of protocol
_DEPTH = 5
_DAMAGED = (
    RuntimeError, EOFError, OSError, ValueError, LookupError, TypeError, AttributeError, ArithmeticError, AssertionError, MemoryError,
    struct.error,
)  # fmt: skip
_MOST_VALUES, _DEEPEST = 1_000_000, 64  # of tensors, of the state of an optimiser, of what a training script stored
TRUST = "--trust-pickle opens it: only for files from people you trust, for loading it executes code in it"


@dataclass(frozen=True)
class Content:
    """What a file holds.

    Attributes:
        tensors: by their path in the file, joined by dots.
        modules: whole networks of a trusted pickle, by path.
        hyper_parameters: plain values that Lightning or a training script stored.
        notes: on how it was read.
    """

    tensors: dict[str, Tensor] = field(default_factory=dict)
    modules: dict[str, nn.Module] = field(default_factory=dict)
    hyper_parameters: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def kind_of(path: Path) -> str:
    """``torchscript``, ``export``, ``safetensors``, ``weights`` (a file of torch.save) or ``pickle`` (of something else).

    Raises:
        CheckpointError: missing, a folder, empty, unreadable, or none of these.
    """
    if path.is_dir():
        raise CheckpointError(f"{path}: a folder; give a file of weights, a TorchScript program or an exported program")
    if not path.is_file():
        raise CheckpointError(f"{path}: no such checkpoint")
    try:
        with path.open("rb") as file:
            head = file.read(64)
        names = zipfile.ZipFile(path).namelist() if head.startswith(b"PK") else []
    except (OSError, zipfile.BadZipFile, ValueError, NotImplementedError, struct.error) as error:
        raise CheckpointError(f"{path}: cannot be read, truncated or not a checkpoint ({one_line(error)})") from error
    if not head:
        raise CheckpointError(f"{path}: cannot be read, an empty file")
    if any(name.endswith("constants.pkl") for name in names) and any("/code/" in name for name in names):
        return "torchscript"
    if path.suffix == ".pt2" or any(name.rpartition("/")[2] == "archive_format" for name in names):
        return "export"
    if path.suffix == ".safetensors":
        return "safetensors"
    if any(name.endswith("data.pkl") for name in names) or head[2:].startswith(_LEGACY):
        return "weights"
    if head.startswith(b"\x80"):
        return "pickle"
    raise CheckpointError(f"{path}: cannot be read, not a file of torch.save, safetensors, TorchScript or torch.export")


def is_ours(path: Path) -> bool:
    """Whether a file is a checkpoint of ``train.py``; no weights are read, and False for anything that cannot be read."""
    if not path.is_file():
        return False
    try:
        check_archive(path)
        with zipfile.ZipFile(path) as archive:
            records = [name for name in archive.namelist() if name.endswith("data.pkl")]
            if len(records) != 1 or b"cocoa_pl" not in archive.read(records[0]):
                return False
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            content = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except Exception:  # of a file that may be anything; whoever opens it says what is wrong with it
        return False
    return isinstance(content, dict) and "cocoa_pl" in content


def read_weights(path: Path, *, kind: str, trust_pickle: bool) -> Content:
    """All tensors of a file and what else is known of them.

    Args:
        kind: as ``kind_of`` says.
        trust_pickle: load what else a pickle holds, if it holds anything else, and so execute whatever it says.

    Raises:
        CheckpointError: truncated, or a pickle that holds more than weights and plain values.
    """
    if kind == "safetensors":
        return Content(tensors=_safetensors(path))
    if kind == "pickle":
        raise CheckpointError(f"{path}: a pickle that torch.save did not write, not a checkpoint{_calls(path)}; nothing was executed")
    check_archive(path)
    notes: tuple[str, ...] = ()
    try:
        with torch.serialization.safe_globals(stand_ins()):
            loaded = _load(path, weights_only=True)
    except pickle.UnpicklingError as error:
        if not trust_pickle:
            named = re.search(r"GLOBAL ([\w.]+)", str(error))
            what = f"holds {named[1]}" if named else "holds something else"
            raise CheckpointError(f"{path}: {what}, which is more than weights and plain values; nothing was executed. {TRUST}") from error
        loaded = _load_all(path)
        notes = ("a trusted pickle: loading it executed code in it",)
    found = loaded if isinstance(loaded, dict) else {"": loaded}
    try:
        check_tree(found, max_values=_MOST_VALUES, max_depth=_DEEPEST)
    except ValueError as error:
        raise CheckpointError(f"{path}: not a checkpoint, it {error}") from error
    hyper = next((plain(found[name]) for name in ("hyper_parameters", "hparams", "args", "cfg") if found.get(name) is not None), None)
    tensors, modules = dict(_tensors(found)), dict(_modules(found))
    return Content(tensors, modules, hyper if isinstance(hyper, dict) else {}, notes)


def _load(path: Path, *, weights_only: bool) -> Any:
    try:
        with warnings.catch_warnings():  # about the protocol or the age of a foreign pickle
            warnings.simplefilter("ignore")
            return torch.load(path, map_location="cpu", weights_only=weights_only)
    except pickle.UnpicklingError:
        raise
    except _DAMAGED as error:
        raise CheckpointError(f"{path}: cannot be read, truncated or not a checkpoint ({one_line(error)})") from error


def _load_all(path: Path) -> Any:
    try:
        return _load(path, weights_only=False)
    except CheckpointError:
        raise
    except Exception as error:  # whatever the code in it raises, or a class that cannot be imported
        raise CheckpointError(f"{path}: cannot be loaded, even trusted ({one_line(error)})") from error


def _safetensors(path: Path) -> dict[str, Tensor]:
    library = require("safetensors.torch", package="safetensors", what=f"{path} needs")
    try:
        return dict(library.load_file(path, device="cpu"))
    except Exception as error:  # its own exception class is not public
        raise CheckpointError(f"{path}: cannot be read, truncated or not safetensors ({one_line(error)})") from error


def _calls(path: Path) -> str:
    """The first thing that a pickle would import, by its text alone."""
    import pickletools

    strings: list[str] = []
    try:
        for opcode, argument, _ in pickletools.genops(path.read_bytes()):
            if opcode.name == "GLOBAL":
                return f" (it calls {str(argument).replace(' ', '.')})"
            if opcode.name == "STACK_GLOBAL":
                return f" (it calls {'.'.join(strings[-2:])})"
            if isinstance(argument, str):
                strings.append(argument)
    except Exception:  # damaged; there is nothing to name
        return ""
    return ""


def _tensors(found: Mapping[Any, Any], path: str = "", depth: int = 0) -> Iterator[tuple[str, Tensor]]:
    for key, value in found.items():
        if not isinstance(key, str):  # the state of an optimiser
            continue
        name = f"{path}.{key}" if path and key else path or key
        if isinstance(value, Tensor):
            yield name, value
        elif isinstance(value, nn.Module):
            yield from _tensors(value.state_dict(), name, depth + 1)
        elif isinstance(value, dict) and depth < _DEPTH:
            yield from _tensors(value, name, depth + 1)


def _modules(found: Mapping[Any, Any]) -> Iterator[tuple[str, nn.Module]]:
    yield from ((str(key), value) for key, value in found.items() if isinstance(value, nn.Module))
