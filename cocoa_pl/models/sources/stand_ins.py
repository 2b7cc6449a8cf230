"""Inert stand-ins for harmless classes in checkpoints of others: what they held is read, and no code of theirs runs."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

_RECORDS = {
    "argparse": ("Namespace",),
    "pathlib": ("Path", "PosixPath", "WindowsPath", "PurePosixPath", "PureWindowsPath"),
    "pathlib._local": ("Path", "PosixPath", "WindowsPath", "PurePosixPath", "PureWindowsPath"),
    "typing": ("Any",),
    "builtins": ("dict", "list", "tuple", "int", "float", "bool", "str", "bytes"),
    "numpy": ("dtype",),
    "numpy.core.multiarray": ("scalar",),
    "numpy._core.multiarray": ("scalar",),
    "omegaconf.base": ("ContainerMetadata", "Metadata"),
    "omegaconf.dictconfig": ("DictConfig",),
    "omegaconf.listconfig": ("ListConfig",),
    "omegaconf.nodes": ("AnyNode", "BooleanNode", "BytesNode", "FloatNode", "IntegerNode", "PathNode", "StringNode"),
}
_DICTS = {
    "collections": ("defaultdict",),
    "lightning_fabric.utilities.data": ("AttributeDict",),
    "lightning.fabric.utilities.data": ("AttributeDict",),
    "pytorch_lightning.utilities.parsing": ("AttributeDict",),
    "lightning.pytorch.utilities.parsing": ("AttributeDict",),
}


class _Record:
    """Keeps the arguments and the state that a pickle gives to an object."""

    arguments: tuple[Any, ...]
    state: Any

    def __new__(cls, *arguments: Any) -> _Record:
        record = super().__new__(cls)
        record.arguments, record.state = arguments, None
        return record

    def __init__(self, *arguments: Any) -> None:
        pass

    def __setstate__(self, state: Any) -> None:
        self.state = state


class _Dict:
    """Becomes a plain dict, the only mapping that torch's unpickler fills."""

    def __new__(cls, *arguments: Any) -> Any:
        return {}


@functools.cache
def stand_ins() -> list[Any]:
    """Classes to give to ``torch.serialization.safe_globals``; each has the name of the class that it stands for."""
    return [
        type(name, (base,), {"__module__": module, "__qualname__": name})
        for base, table in ((_Record, _RECORDS), (_Dict, _DICTS))
        for module, names in table.items()
        for name in names
    ]


def plain(value: Any) -> Any:
    """What was read, with stand-ins replaced by the plain values they held; None for what has no plain value."""
    if isinstance(value, _Record):
        return _plain_record(value)
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items() if isinstance(key, str)}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value if isinstance(value, str | int | float | bool) else None


def _plain_record(record: _Record) -> Any:
    if isinstance(record.state, dict):  # omegaconf's containers and nodes keep their values under these names
        inner = next((record.state[name] for name in ("_content", "_val") if name in record.state), record.state)
        return plain(inner)
    return "/".join(record.arguments) if record.arguments and all(isinstance(part, str) for part in record.arguments) else None
