"""From a file to an encoder that can be asked: a checkpoint of ours, or one of any other origin."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import nn

from cocoa_pl.build.explaining import explains_texts, freeze
from cocoa_pl.build.model import restore_module
from cocoa_pl.build.precision import native_precision
from cocoa_pl.config import Config, load_config
from cocoa_pl.encoding import FrozenEncoder
from cocoa_pl.errors import ConfigError, DataError
from cocoa_pl.models.checkpoint import read_checkpoint
from cocoa_pl.models.module import EncoderModule
from cocoa_pl.models.sources import is_ours, open_foreign
from cocoa_pl.text_encoding import FrozenTextEncoder


@dataclass(frozen=True)
class EncoderOptions:
    """How a file of another origin is to be understood; None: found out.

    Attributes:
        encoder: architecture, kind of program, or ``package.module:function``.
        trust_pickle: execute what a pickle asks for.
        image_size: side of the squares that the encoder sees, in pixels.
        mean, std: its channel statistics.
    """

    encoder: str | None = None
    trust_pickle: bool = False
    image_size: int | None = None
    mean: Sequence[float] | None = None
    std: Sequence[float] | None = None


class MadeReady(Protocol):
    """Puts an encoder on a device."""

    def __call__(self, device: torch.device, *, change: Callable[[nn.Module], nn.Module] | None = None) -> FrozenEncoder:
        """``change`` makes another network of the encoder's first, which it leaves alone; that of a plain function cannot be changed."""


@dataclass(frozen=True)
class AskedEncoder:
    """An encoder, before it is put on a device.

    Attributes:
        title: short, for reports.
        about: plain values that identify it.
        image_size: side of the squares that it sees.
        fingerprint: of all that decides its output; empty where that cannot be known.
        notes: whole sentences: what was found out or assumed.
        on: makes it ready on a device.
        text: what reads texts for it, in the space explained; None where nothing does.
    """

    title: str
    about: dict[str, Any]
    image_size: int
    fingerprint: str
    notes: tuple[str, ...]
    on: MadeReady
    text: str | None = None


def open_encoder(path: Path | None, config: Config, options: EncoderOptions, *, untrained: bool = False) -> AskedEncoder:
    """The encoder in a file, whatever its origin.

    Args:
        path: the file; None where ``options.encoder`` is a function or brings its weights.
        config: ``explain.space``, ``layer`` and ``precision``; of a checkpoint of ours also its model.
        options: how to understand a file of another origin.
        untrained: leave a checkpoint of ours at the weights it had before training.

    Raises:
        CheckpointError: it cannot be opened, or weights do not fit.
        ConfigError: options that do not go with it.
    """
    if path is not None and options.encoder is None and is_ours(path):
        return _ours(path, config, options, untrained=untrained)
    if untrained:
        raise ConfigError(f"--untrained: only a checkpoint of train.py tells how its encoder began, {path or options.encoder} does not")
    if config.explain.space != "reps":
        raise ConfigError(f"explain.space={config.explain.space}: only a checkpoint of train.py has projections")
    opened = open_foreign(
        path, encoder=options.encoder, trust_pickle=options.trust_pickle, image_size=options.image_size, mean=options.mean, std=options.std
    )
    side = opened.text if config.explain.layer is None else None  # a layer in the middle is another space

    def on(device: torch.device, *, change: Callable[[nn.Module], nn.Module] | None = None) -> FrozenEncoder:
        if change is not None and next(opened.module.parameters(), None) is None:
            raise ConfigError(f"{opened.name}: is a plain function, which has no weights to change")
        precision = native_precision(config.explain.precision, device.type)
        text = FrozenTextEncoder(side.module, side.tokenizer, precision=precision, device=device) if side is not None else None
        return FrozenEncoder(
            opened.module if change is None else change(opened.module), mean=opened.mean, std=opened.std, precision=precision,
            device=device, layer=config.explain.layer, pool=True, text=text,
        )  # fmt: skip

    about = {"name": opened.name, "file": "" if path is None else path.name, "mean": list(opened.mean), "std": list(opened.std)}
    about |= {"text": side.name} if side is not None else {}
    seen = [*map(str, (opened.mean, opened.std, opened.image_size, config.explain.layer, config.explain.precision))]
    return AskedEncoder(
        title=opened.name.removeprefix("function ") if path is None else path.name,
        about=about | {"sha256": file_digest(path), "image_size": opened.image_size},
        image_size=opened.image_size, notes=tuple(map(_sentence, opened.notes)), on=on, text=None if side is None else side.name,
        fingerprint=_hash([opened.fingerprint, *seen]) if opened.fingerprint else "",
    )  # fmt: skip


def _ours(path: Path, config: Config, options: EncoderOptions, *, untrained: bool) -> AskedEncoder:
    given = {"--image-size": options.image_size, "--mean": options.mean, "--std": options.std}
    if wrong := [name for name, value in given.items() if value is not None]:
        raise ConfigError(f"{wrong[0]}: a checkpoint of train.py knows its own")
    checkpoint = read_checkpoint(path)
    record, epoch = checkpoint["cocoa_pl"], 0 if untrained else checkpoint["epoch"] + 1
    module = restore_module(checkpoint, config, path=path, untrained=untrained)
    explain = config.explain
    digest = file_digest(path)
    return AskedEncoder(
        title=f"epoch {epoch}", image_size=record["image_size"], notes=(), on=partial(_frozen, module, config),
        about={"name": f"{config.model.backbone} of train.py", "file": path.name, "sha256": digest, "epoch": epoch},
        fingerprint=_hash([digest, str(untrained), explain.space, str(explain.layer), explain.precision]),
        text="the text tower of train.py" if explains_texts(config) else None,
    )  # fmt: skip


def _frozen(
    module: EncoderModule, config: Config, device: torch.device, *, change: Callable[[nn.Module], nn.Module] | None = None
) -> FrozenEncoder:
    return freeze(module, config, device=device, change=change)


def config_of_run(path: Path | None, overrides: Sequence[str]) -> Config:
    """A run's options, by its checkpoint, or the defaults, with overrides, without its trainer's: that may have been another machine."""
    stored = {} if path is None else read_checkpoint(path)["cocoa_pl"]["config"]
    return load_config({name: section for name, section in stored.items() if name != "trainer"}, overrides=overrides)


def length_of(encoder: FrozenEncoder, *, image_size: int) -> int:
    """D of an encoder's representations, found by encoding a black image.

    Raises:
        DataError: it cannot take images of this size, or does not give representations.
    """
    try:
        return int(encoder.encode(torch.zeros(1, 3, image_size, image_size)).shape[1])
    except (RuntimeError, AssertionError, ValueError, TypeError, IndexError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise DataError(f"the encoder cannot take images of {image_size} px ({reason}); --image-size sets their side") from error


def file_digest(path: Path | None) -> str:
    """Sha256 of a file, in hex; empty without one."""
    if path is None or not path.is_file():
        return ""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sentence(note: str) -> str:
    return f"{note[:1].upper()}{note[1:]}."


def _hash(words: Sequence[str]) -> str:
    return hashlib.sha256("\n".join(words).encode()).hexdigest()
