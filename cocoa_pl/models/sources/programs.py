"""Programs that hold their own weights: TorchScript and torch.export. They run as they are."""

from __future__ import annotations

import hashlib
import io
import re
import warnings
import zipfile
from pathlib import Path
from typing import Any

import torch

from cocoa_pl.errors import CheckpointError
from cocoa_pl.models.sources.opened import Opened, Preparation, Wishes, as_opened, one_line
from cocoa_pl.models.sources.probing import check_foreign
from cocoa_pl.models.sources.readers import TRUST
from cocoa_pl.models.sources.wrappers import AsItIs, InPieces

_FILES = re.compile(rb"\b(?:torch|ops\.\w+)\.(?:save|from_file)\(")
_BLOCK = 1 << 20


def open_torchscript(path: Path, wishes: Wishes, *, trust_pickle: bool) -> Opened:
    """A TorchScript program.

    Raises:
        CheckpointError: damaged, a program that opens files itself and is not trusted, or one that returns no representations.
    """
    if not trust_pickle:
        _check_touches_no_file(path)
    try:
        with warnings.catch_warnings():  # torch says that TorchScript is of the past; files of it are of the present
            warnings.simplefilter("ignore")
            program = torch.jit.load(str(path), map_location="cpu")  # type: ignore[no-untyped-call]
    except Exception as error:  # of the interpreter and of whatever it finds
        raise CheckpointError(f"{path}: cannot be read, truncated or not a TorchScript program ({one_line(error)})") from error
    network = AsItIs(program.eval().float(), keep_mode=True)
    return _opened(network, path, f"TorchScript {path.name}", wishes, Preparation(size_from=_unsaid(path), statistics_from=_unsaid(path)))


def open_export(path: Path, wishes: Wishes, *, trust_pickle: bool) -> Opened:
    """A program of ``torch.export.save``, called in pieces where it takes batches of one size only.

    Raises:
        CheckpointError: not trusted, damaged, or a program that takes something else than images or returns no representations.
    """
    if not trust_pickle:  # sizes in it are evaluated as Python, and pickles in it that hold more than weights are loaded all the same
        raise CheckpointError(f"{path}: an exported program, which torch.export cannot load safely; nothing was executed. {TRUST}")
    try:
        with warnings.catch_warnings():  # about the age of the format
            warnings.simplefilter("ignore")
            program = torch.export.load(io.BytesIO(path.read_bytes()))
            module = program.module()
    except Exception as error:  # of a loader that may meet anything
        raise CheckpointError(f"{path}: cannot be read, truncated or not an exported program ({one_line(error)})") from error
    batch, side = _input(program, path)
    smallest, largest = _bounds(program, batch)
    network = InPieces(module.float(), smallest=smallest, largest=largest)
    preparation = Preparation(size_from=_unsaid(path), statistics_from=_unsaid(path))
    if side is not None:
        if wishes.image_size not in (None, side):
            raise CheckpointError(f"{path}: exported for images of {side} px, not of {wishes.image_size}; export it with dynamic sizes")
        preparation = Preparation(side, size_from="the program takes no other", statistics_from=_unsaid(path))
    notes: tuple[str, ...] = ()
    if largest is not None:
        notes = (f"the program takes batches of {smallest} to {largest} images and is called in pieces; a dynamic batch is faster",)
    return _opened(network, path, f"exported program {path.name}", wishes, preparation, *notes)


def _opened(network: AsItIs, path: Path, name: str, wishes: Wishes, own: Preparation, *notes: str) -> Opened:
    preparation = wishes.over(own)
    checked = check_foreign(network, what=str(path), preparation=preparation)
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return as_opened(checked, preparation, name=name, mark=digest.hexdigest(), notes=notes)


def _unsaid(path: Path) -> str:
    return f"assumed, for {path.name} does not say"


def _check_touches_no_file(path: Path) -> None:
    try:
        with zipfile.ZipFile(path) as archive:
            code = [archive.read(name) for name in archive.namelist() if "/code/" in name and name.endswith(".py")]
    except (OSError, zipfile.BadZipFile) as error:
        raise CheckpointError(f"{path}: cannot be read, truncated or not a TorchScript program ({one_line(error)})") from error
    if any(_FILES.search(text) for text in code):
        raise CheckpointError(f"{path}: a program that opens files by itself; nothing was executed. {TRUST}")


def _input(program: Any, path: Path) -> tuple[Any, int | None]:
    """The batch dimension of an exported program's images and their side, None where it takes any."""
    names = program.graph_signature.user_inputs
    shapes = [node.meta["val"].shape for node in program.graph.nodes if node.op == "placeholder" and node.name in names]
    if len(shapes) != 1 or len(shapes[0]) != 4:
        raise CheckpointError(f"{path}: takes {[tuple(shape) for shape in shapes]}; it must take one batch of images (B, 3, H, W)")
    batch, _, height, width = shapes[0]
    return batch, height if isinstance(height, int) and height == width else None


def _bounds(program: Any, batch: Any) -> tuple[int, int | None]:
    if isinstance(batch, int):
        return batch, batch
    bounds = program.range_constraints.get(batch.node.expr)
    if bounds is None:
        return 1, None
    smallest, largest = bounds.lower, bounds.upper
    return max(1, int(smallest)), int(largest) if largest.is_finite and largest < 2**31 else None
