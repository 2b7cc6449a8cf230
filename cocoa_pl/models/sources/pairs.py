"""Image-text encoders: an image encoder and a text encoder of one space, tried together before anything is built upon them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from cocoa_pl.errors import CheckpointError, CocoaError, ConfigError, DataError
from cocoa_pl.models.sources.opened import Preparation, TextSide, one_line
from cocoa_pl.models.sources.probing import noise
from cocoa_pl.text_encoding import FrozenTextEncoder

_TEXTS = ("cat", "two dogs")  # short ones, for a text encoder may take few tokens
_WANTED = "a pair is (image encoder, text encoder)"


def as_text_side(encoder: Any, *, what: str, name: str) -> TextSide:
    """The second of a pair as a text side.

    Args:
        encoder: a callable of a list of n texts that returns (n, D), or a :class:`~cocoa_pl.text_encoding.FrozenTextEncoder`.
        what: the option that named the pair, for messages.
        name: of the pair, for people.

    Raises:
        ConfigError: it is neither.
    """
    if isinstance(encoder, FrozenTextEncoder):
        return TextSide(encoder.module, encoder.tokenizer, name)
    if not callable(encoder) or isinstance(encoder, type):
        raise ConfigError(
            f"{what}: the second of the pair is a {type(encoder).__name__}; {_WANTED}, the second a function of a list of texts"
        )
    return TextSide(encoder, None, name)


def refuse_swapped(images: Callable[[Any], Any], texts: Callable[[Any], Any], preparation: Preparation, *, what: str) -> None:
    """See that the two of a pair are not the wrong way round, by trying both on a picture and on texts.

    A pair of which the first takes pictures, or the second texts, passes: what else is wrong with it is said by who tries it next.

    Raises:
        ConfigError: they are.
    """
    pictures = noise(len(_TEXTS), preparation.image_size, seed=0)
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        swapped = (
            not _takes(images, pictures) and not _takes(texts, list(_TEXTS)) and _takes(images, list(_TEXTS)) and _takes(texts, pictures)
        )
    if swapped:
        raise ConfigError(f"{what}: the first of the pair takes texts and the second images; {_WANTED}, in this order")


def check_pair(network: nn.Module, text: TextSide, preparation: Preparation, *, what: str) -> None:
    """See that texts are encoded, each by itself whatever it is beside, into the space of the images.

    Raises:
        CheckpointError: the text encoder fails, or a text's representation depends on chance or on other texts.
        DataError: representations of texts and of images have other lengths.
    """
    encoder = FrozenTextEncoder(text.module, text.tokenizer, device="cpu")
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        try:
            together, alone = encoder.encode(_TEXTS), encoder.encode(_TEXTS[:1])
        except DataError as error:
            raise CheckpointError(f"{what}: {error}") from error
        except CocoaError:
            raise
        except Exception as error:  # whatever foreign code raises
            raise CheckpointError(f"{what}: the text encoder does not take texts ({one_line(error)})") from error
        image = network(noise(1, preparation.image_size, seed=0))
    if not torch.allclose(together[0], alone[0], rtol=1e-3, atol=1e-4 * float(together.nan_to_num(0, 0, 0).abs().max()), equal_nan=True):
        raise CheckpointError(f"{what}: one text gets other representations from pass to pass or beside other texts; is dropout active?")
    length = image.shape[-1 if image.ndim == 3 else 1]
    if length != together.shape[1]:
        raise DataError(f"{what}: images have representations of length {length}, texts of {together.shape[1]}; a pair shares one space")


def _takes(encoder: Callable[[Any], Any], inputs: Any) -> bool:
    try:
        output = encoder(inputs)
    except Exception:  # whatever foreign code raises; this only tells which of two it takes
        return False
    return isinstance(output, Tensor) and output.ndim >= 2 and len(output) == len(inputs)
