"""The door: any file or function to an encoder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from torch import nn

from cocoa_pl.errors import CheckpointError, ConfigError
from cocoa_pl.models.sources.architectures import Architecture
from cocoa_pl.models.sources.functions import code_and_weights, open_function
from cocoa_pl.models.sources.open_clip_models import open_open_clip
from cocoa_pl.models.sources.opened import Opened, Preparation, Wishes, as_opened
from cocoa_pl.models.sources.probing import check_foreign
from cocoa_pl.models.sources.programs import open_export, open_torchscript
from cocoa_pl.models.sources.readers import Content, kind_of, read_weights
from cocoa_pl.models.sources.timm_models import TimmNetwork
from cocoa_pl.models.sources.torchvision_models import TorchvisionNetwork, torchvision_names
from cocoa_pl.models.sources.transformers_models import open_transformers
from cocoa_pl.models.sources.weights import open_weights

FORMS = "torchvision:NAME, timm:NAME, open_clip:NAME, transformers:ID, torchscript, export or package.module:function"
_LIBRARIES: dict[str, type[TorchvisionNetwork] | type[TimmNetwork]] = {"torchvision": TorchvisionNetwork, "timm": TimmNetwork}
_PAIRS = {"open_clip": open_open_clip, "transformers": open_transformers}
_PROGRAMS = {"torchscript": open_torchscript, "export": open_export}


def open_foreign(
    path: Path | None,
    *,
    encoder: str | None,
    trust_pickle: bool = False,
    image_size: int | None = None,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
) -> Opened:
    """An encoder that some other tool trained or saved.

    Args:
        path: a file of weights or a program (``--ckpt``); a function may need none, and some sources bring their weights.
        encoder: ``torchvision:NAME``, ``timm:NAME``, ``open_clip:NAME[/TAG]``, ``transformers:ID_OR_FOLDER``, ``torchscript``, ``export``,
            ``package.module:function``, or None to guess.
        trust_pickle: execute what code a file holds; without, a file that holds any is refused.
        image_size: side of its images in pixels; default: what is known of the encoder.
        mean: channel means of its images in [0, 1]; default: what is known of the encoder.
        std: channel standard deviations of its images; default: what is known of the encoder.

    Raises:
        ConfigError: an option has an unknown name or a value out of range, or a function fails.
        CheckpointError: the file is missing or damaged, holds code, or its weights are not all of the encoder's.
        DataError: an image and a text encoder whose representations have other lengths.
    """
    wishes = Wishes(image_size, mean, std)
    library, _, name = (encoder or "").partition(":")
    if library in _PAIRS:
        return _PAIRS[library](name, path, wishes)
    if encoder is not None and library not in _LIBRARIES and name:
        return open_function(encoder, path, wishes, trust_pickle=trust_pickle)
    architecture = _architecture(encoder) if encoder is not None and encoder not in _PROGRAMS else None
    if path is None:
        raise ConfigError(f"--encoder {encoder}: give its weights by --ckpt" if encoder else f"give --ckpt or --encoder ({FORMS})")
    kind = kind_of(path)
    if architecture is None and (encoder in _PROGRAMS or kind in _PROGRAMS):
        return _PROGRAMS[encoder or kind](path, wishes, trust_pickle=trust_pickle)
    if kind in _PROGRAMS:
        raise CheckpointError(f"{path}: a program, not weights of {encoder}; leave --encoder out")
    content = read_weights(path, kind=kind, trust_pickle=trust_pickle)
    if content.modules and architecture is None:
        return _open_pickled(content, path, wishes)
    return open_weights(content, path, architecture, wishes)


def _architecture(encoder: str) -> Architecture:
    library, _, name = encoder.partition(":")
    if library in _LIBRARIES and name:
        return _LIBRARIES[library](name)
    hint = f" (did you mean torchvision:{encoder}?)" if encoder in torchvision_names() else ""
    raise ConfigError(f"--encoder {encoder}: unknown; choose from: {FORMS}{hint}")


def _open_pickled(content: Content, path: Path, wishes: Wishes) -> Opened:
    """A whole network out of a trusted pickle, as it is."""
    where, network = next(iter(content.modules.items()))
    preparation = wishes.over(Preparation())
    whole: nn.Module = network.float().eval()
    checked = check_foreign(whole, what=str(path), preparation=preparation)
    rest = list(content.modules)[1:]
    notes = (
        *content.notes,
        f"the pickled network{f' {where!r}' if where else ''} as it is, with its head",
        *((f"other networks in the file are not taken: {', '.join(rest)}",) if rest else ()),
    )
    title = f"{type(network).__name__} of {path.name}"
    return as_opened(checked, preparation, name=title, mark=code_and_weights(whole, path.name), notes=notes)
