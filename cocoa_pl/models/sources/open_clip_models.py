"""OpenCLIP's image-text models: ``open_clip:NAME`` with local weights, ``open_clip:NAME/TAG`` with those that it downloads."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from cocoa_pl.errors import CheckpointError, ConfigError, choices_hint, some
from cocoa_pl.models.sources.opened import Opened, Preparation, TextSide, Wishes, as_opened, fingerprint, one_line
from cocoa_pl.models.sources.pairs import check_pair
from cocoa_pl.models.sources.probing import check_runs
from cocoa_pl.models.sources.quiet import quiet_logs
from cocoa_pl.models.sources.readers import kind_of, read_weights
from cocoa_pl.optional import require

_POSITIONS = "visual.positional_embedding"
_QUICK = "-quickgelu"  # how OpenCLIP names the variants with the activation that OpenAI trained with


def open_open_clip(name: str, path: Path | None, wishes: Wishes) -> Opened:
    """A model of OpenCLIP: its image tower, and its text tower beside it.

    Args:
        name: ``NAME`` or ``NAME/TAG``, as OpenCLIP lists them; with a file, the tag only tells how its weights were trained.
        path: weights; None to have OpenCLIP download those of the tag.
        wishes: of the command line; another image size resamples the positions, as OpenCLIP does.

    Raises:
        ConfigError: OpenCLIP is not installed, has no such model or tag, cannot build it, or there are no weights.
        CheckpointError: the weights cannot be read or downloaded, or do not fit.
    """
    model_name, _, tag = name.partition("/")
    source = _Source(model_name, tag)
    if path is None and not tag:
        raise ConfigError(
            f"--encoder {source.option}: give its weights by --ckpt, or a tag whose weights are downloaded; {source.tags_hint()}"
        )
    if path is not None:
        _kind(path, what=source.option)  # before the model is built, which may take a while
    with quiet_logs():
        model, remarks = source.built(image_size=wishes.image_size)
        file = source.downloaded() if path is None else path
        _load(model, file, what=source.option, resample=wishes.image_size is not None)
        tokenizer = source.tokenizer()
    preparation = wishes.over(source.preparation(model))
    what = f"--encoder {source.option}" if path is None else f"{path}: OpenCLIP {name}"
    mark = fingerprint(f"{source.option} {model!r}", model.state_dict())
    images, texts = _ImageTower(model.visual), _TextTower(model)
    check_runs(images, what=what, preparation=preparation)
    text = TextSide(texts, tokenizer, f"the text tower of OpenCLIP {name}")
    check_pair(images, text, preparation, what=what)
    return as_opened(images, preparation, name=f"OpenCLIP {name}", mark=mark, notes=remarks, text=text)


@dataclass(frozen=True)
class _Source:
    """A name of OpenCLIP's, and the tag of some weights or an empty one."""

    name: str
    tag: str

    def __post_init__(self) -> None:
        known = self._library.list_models()
        if self.name not in known:
            raise ConfigError(f"--encoder {self.option}: OpenCLIP has no such model; {choices_hint(self.name, known)}")
        if self.tag and not self._trained(self.tag):
            raise ConfigError(f"--encoder {self.option}: OpenCLIP has no such weights of {self.name}; {self.tags_hint()}")

    @property
    def option(self) -> str:
        return f"open_clip:{self.name}/{self.tag}" if self.tag else f"open_clip:{self.name}"

    @property
    def _library(self) -> Any:
        return require("open_clip", package="open_clip_torch", what=f"--encoder {self.option} needs")

    def tags_hint(self) -> str:
        tags = self._library.list_pretrained_tags_by_model(self.name)
        if not self.tag and tags:
            return f"choose from: {', '.join(sorted(tags))}"
        return choices_hint(self.tag, tags) if tags else "OpenCLIP has none for it"

    def _trained(self, tag: str) -> Mapping[str, Any]:
        return cast(Mapping[str, Any], self._library.get_pretrained_cfg(self.name, tag))

    def built(self, *, image_size: int | None) -> tuple[Any, tuple[str, ...]]:
        """The model with weights at random, with the activation that the tag's were trained with, and notes on it."""
        quick = bool(self.tag and self._trained(self.tag).get("quick_gelu"))
        with torch.random.fork_rng(devices=[]):
            try:
                model = self._library.create_model(
                    self.name, pretrained=None, load_weights=False, pretrained_text=False, force_quick_gelu=quick,
                    force_image_size=image_size,
                )  # fmt: skip
            except Exception as error:  # also whatever a text tower of the hub raises
                raise ConfigError(f"--encoder {self.option}: OpenCLIP cannot build it ({one_line(error)})") from error
        variant = self.name + _QUICK
        if quick and _QUICK not in self.name:
            return model.eval(), (f"the activation is QuickGELU, with which {self.tag} was trained",)
        if not self.tag and variant in self._library.list_models():
            return model.eval(), (f"the activation is GELU; weights trained with QuickGELU, as OpenAI's, are open_clip:{variant}",)
        return model.eval(), ()

    def downloaded(self) -> Path:
        """The file of the tag's weights, downloaded unless that was done before."""
        try:
            with warnings.catch_warnings():  # of the hub, about its own options
                warnings.simplefilter("ignore")
                return Path(self._library.download_pretrained(self._trained(self.tag)))
        except Exception as error:  # of the network or of the hub
            reason = one_line(error)
            raise CheckpointError(
                f"--encoder {self.option}: OpenCLIP cannot download its weights ({reason}); --ckpt takes a file"
            ) from error

    def tokenizer(self) -> _Tokenizer:
        try:
            return _Tokenizer(self._library.get_tokenizer(self.name))
        except Exception as error:  # of the hub
            raise ConfigError(
                f"--encoder {self.option}: its tokenizer comes from the Hugging Face hub and cannot be had ({one_line(error)})"
            ) from error

    def preparation(self, model: Any) -> Preparation:
        """Statistics of the tag; without one those that all tags of the model share, or OpenAI's."""
        own, tags = model.visual.preprocess_cfg, self._library.list_pretrained_tags_by_model(self.name)
        shared = {(tuple(each["mean"]), tuple(each["std"])) for each in map(self._trained, [self.tag] if self.tag else tags)}
        side = own["size"] if isinstance(own["size"], int) else own["size"][0]
        usual = Preparation(side, tuple(own["mean"]), tuple(own["std"]), f"OpenCLIP's for {self.name}", "OpenAI's, assumed")
        if len(shared) != 1:
            return usual
        mean, std = shared.pop()
        return replace(usual, mean=mean, std=std, statistics_from=f"OpenCLIP's for {self.name}{self.tag and '/'}{self.tag}")


def _load(model: nn.Module, path: Path, *, what: str, resample: bool) -> None:
    """Weights of a file into a model, converted as OpenCLIP converts them; positions of another size only where that is asked for."""
    kind = _kind(path, what=what)
    library = require("open_clip", package="open_clip_torch", what=f"{what} needs")
    try:
        before = library.factory.load_state_dict(str(path), weights_only=True).get(_POSITIONS)
        own = model.state_dict().get(_POSITIONS)
        if not resample and before is not None and own is not None and before.shape != own.shape:
            raise CheckpointError(
                f"{path}: weights do not fit {what}: positions {tuple(before.shape)} instead of {tuple(own.shape)}, of another model or "
                "for images of another size, which --image-size asks for"
            )
        lacking = library.load_checkpoint(model, str(path), strict=False, weights_only=True)
    except CheckpointError:
        raise
    except Exception as error:  # of a file that may be anything
        read_weights(path, kind=kind, trust_pickle=False)  # says what is wrong with a file that cannot be read
        raise CheckpointError(f"{path}: weights do not fit {what} ({_misfit(error)})") from error
    if lacking and (lacking.missing_keys or lacking.unexpected_keys):
        found = {"missing": lacking.missing_keys, "not of it": lacking.unexpected_keys}
        words = [f"{len(names)} {how} ({some(names)})" for how, names in found.items() if names]
        raise CheckpointError(f"{path}: weights do not fit {what}: {', '.join(words)}")


def _kind(path: Path, *, what: str) -> str:
    kind = kind_of(path)
    if kind in ("torchscript", "export"):
        raise CheckpointError(
            f"{path}: a program, not weights of {what}; OpenAI's archives are such, whose weights come by a tag (open_clip:ViT-B-32/openai)"
        )
    return kind


def _misfit(error: Exception) -> str:
    """The first shape that does not fit, which torch names in the second line."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return next((line for line in lines if line.startswith("size mismatch")), one_line(error))


class _ImageTower(nn.Module):
    """Normalised images (B, 3, H, W) to embeddings (B, D), not scaled to length one."""

    def __init__(self, visual: nn.Module) -> None:
        super().__init__()
        self.visual = visual

    def forward(self, images: Tensor) -> Tensor:
        output = self.visual(images)
        return cast(Tensor, output[0] if isinstance(output, tuple) else output)  # CoCa's tower also returns tokens


class _TextTower(nn.Module):
    """Tokens (n, T) to embeddings (n, D), not scaled to length one; takes the image tower off the model that it is given."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        del model.visual
        self.model = model

    def forward(self, tokens: Tensor) -> Tensor:
        return cast(Tensor, self.model.encode_text(tokens))


class _Tokenizer:
    """OpenCLIP's tokenizers, which cut long texts without a word, with a count of the tokens before that."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer

    @property
    def context_length(self) -> int | None:
        return cast(int | None, self._tokenizer.context_length)

    def __call__(self, texts: Sequence[str], /) -> Tensor:
        return cast(Tensor, self._tokenizer(list(texts)))

    def num_tokens(self, text: str, /) -> int:
        if hasattr(self._tokenizer, "encode"):
            return len(self._tokenizer.encode(text)) + 2
        clean = getattr(self._tokenizer, "clean_fn", str)
        return len(self._tokenizer.tokenizer(clean(text), truncation=False, verbose=False).input_ids)  # of Hugging Face
