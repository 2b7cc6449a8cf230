"""Which encoders a request means, and the machine that they are to be asked on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from pytorch_lightning.utilities.exceptions import MisconfigurationException  # type: ignore[attr-defined]
from torch import nn

from cocoa_pl.build import AskedEncoder, EncoderOptions, MadeReady, build_predictor, open_encoder
from cocoa_pl.cli import Request
from cocoa_pl.config import Config, load_config
from cocoa_pl.encoding import FrozenEncoder
from cocoa_pl.errors import ConfigError
from cocoa_pl.models.sources import is_ours

_FEW = 2  # encoders that are kept in memory


def options_of(request: Request, *, against: bool = False) -> EncoderOptions:
    """How the request's checkpoints are to be understood, or the one that they are compared with.

    Size and statistics are of encoders of another origin: a checkpoint of ``train.py`` beside such a one knows its own.
    """
    ours = _is_ours(request, against=against)
    kind = request.encoder if not against else request.against_encoder or (None if ours else request.encoder)
    if ours and _is_ours(request, against=not against) is False:
        return EncoderOptions(kind, request.trust_pickle)
    return EncoderOptions(kind, request.trust_pickle, request.image_size, request.mean, request.std)


def _is_ours(request: Request, *, against: bool) -> bool | None:
    """Whether a side of the comparison is a run of ``train.py``; None where there is no such side."""
    if against:
        return None if request.against is None else request.against_encoder is None and is_ours(request.against)
    return request.encoder is None and all(map(is_ours, request.checkpoints))


def check_hardware(request: Request) -> None:
    """See that the machine has the devices that the command line asks for, before any work is done.

    Raises:
        ConfigError: it has not.
    """
    try:
        build_predictor(load_config(overrides=request.overrides), [])
    except (MisconfigurationException, ValueError) as error:
        raise ConfigError(f"trainer.*: {str(error).splitlines()[0]}") from error


def open_encoders(request: Request, config: Config) -> tuple[AskedEncoder, ...]:
    """The encoders that a request is about, in order: one, the checkpoints of a run, or two that are compared.

    Each is opened to see that it can be. Of many, none is kept: it is opened again when its turn comes.

    Raises:
        CocoaError: one cannot be opened.
    """
    paths: list[Path | None] = [*request.checkpoints] or [None]
    options = options_of(request)
    many = len(paths) > _FEW
    opened = []
    for path in paths:
        one = open_encoder(path, config, options, untrained=request.untrained)
        opened.append(replace(one, on=_opened_again(path, config, options)) if many else one)
    where = list(paths)
    if request.series and all("epoch" in one.about for one in opened):
        first = {one.about["epoch"]: place for place, one in reversed(list(enumerate(opened)))}  # last.ckpt is one of the others
        opened, where = [opened[first[epoch]] for epoch in sorted(first)], [where[first[epoch]] for epoch in sorted(first)]
    elif request.series:
        opened = [replace(one, title=path.stem) if path else one for one, path in zip(opened, where, strict=True)]
    if request.against is not None:
        opened.append(open_encoder(request.against, config, options_of(request, against=True)))
        where.append(request.against)
    titles = distinct_titles([one.title for one in opened], where)
    return tuple(replace(one, title=title) for one, title in zip(opened, titles, strict=True))


def require_text_sides(encoders: Sequence[AskedEncoder], config: Config) -> None:
    """See that every encoder can be asked in words.

    Raises:
        ConfigError: one has no text side, or is asked in a space without texts.
    """
    for encoder in encoders:
        if encoder.text is None:
            among = ", the run among its projections (explain.space=projections)" if config.explain.space == "reps" else ""
            raise ConfigError(
                f"{encoder.title} has no text encoder in the space explained, so it cannot be asked in words; open_clip:NAME, "
                "transformers:ID, a function that returns a pair of encoders, and a run of train.py with model.method=image_text have "
                f"one{among}"
            )


def distinct_titles(titles: Sequence[str], paths: Sequence[Path | None]) -> list[str]:
    """Titles of which no two are the same: with the file's folder where they are, and numbered where that is not enough.

    Example:
        >>> distinct_titles(["epoch 3", "epoch 3"], [Path("/a/x.ckpt"), Path("/b/x.ckpt")])
        ['a/x.ckpt', 'b/x.ckpt']
    """
    if len(set(titles)) == len(titles):
        return list(titles)
    longer = [title if path is None else f"{path.resolve().parent.name}/{path.name}" for title, path in zip(titles, paths, strict=True)]
    return longer if len(set(longer)) == len(longer) else [f"{title} ({number})" for number, title in enumerate(longer, start=1)]


def _opened_again(path: Path | None, config: Config, options: EncoderOptions) -> MadeReady:
    def on(device: torch.device, *, change: Callable[[nn.Module], nn.Module] | None = None) -> FrozenEncoder:
        return open_encoder(path, config, options).on(device, change=change)

    return on
