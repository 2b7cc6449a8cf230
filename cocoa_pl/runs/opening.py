"""Which encoder a request means, and the machine that it is to be asked on."""

from __future__ import annotations

from pytorch_lightning.utilities.exceptions import MisconfigurationException  # type: ignore[attr-defined]

from cocoa_pl.build import EncoderOptions, build_predictor
from cocoa_pl.cli import Request
from cocoa_pl.config import load_config
from cocoa_pl.errors import ConfigError
from cocoa_pl.models.sources import is_ours


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
