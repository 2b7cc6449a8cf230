"""CLIP and SigLIP of Hugging Face's transformers: ``transformers:ID`` of the hub, or ``transformers:FOLDER`` of a saved model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from torch import Tensor, nn

from cocoa_pl.errors import CheckpointError, ConfigError, choices_hint, some
from cocoa_pl.models.sources.opened import Opened, Preparation, TextSide, Wishes, as_opened, fingerprint, one_line
from cocoa_pl.models.sources.pairs import check_pair
from cocoa_pl.models.sources.probing import check_runs
from cocoa_pl.models.sources.quiet import quiet_logs
from cocoa_pl.optional import require

_CLASSES = {"clip": "CLIPModel", "siglip": "SiglipModel"}
_WORDS = ("cat", "dog")  # as many letters each
_OPENAI = ((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711))
_USUAL = {"clip": _OPENAI, "siglip": ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))}


def open_transformers(name: str, path: Path | None, wishes: Wishes) -> Opened:
    """A CLIP or SigLIP model of transformers: its image side, and its text side beside it.

    Args:
        name: a folder written by ``save_pretrained``, with its tokenizer, or an id of the hub, which transformers downloads.
        path: must be None.
        wishes: of the command line; another image size resamples the positions.

    Raises:
        ConfigError: transformers is not installed, or another kind of model, or a file beside it.
        CheckpointError: it cannot be read or downloaded, or lacks weights.
    """
    what = f"--encoder transformers:{name}"
    if path is not None:
        raise ConfigError(f"{what}: brings its weights; leave --ckpt out")
    if not name:
        raise ConfigError(f"{what}: which one? An id of the hub, such as openai/clip-vit-base-patch32, or a folder")
    library = require("transformers", package="transformers", what=f"{what} needs")
    with quiet_logs():
        config = _had(library.AutoConfig, name, what, "config")
        kind = str(config.model_type)
        if kind not in _CLASSES:
            raise ConfigError(f"{what}: a model of type {kind}; {choices_hint(kind, _CLASSES)}")
        model, loading = _had(getattr(library, _CLASSES[kind]), name, what, "weights", output_loading_info=True)
        tokenizer = _Tokenizer(_had(library.AutoTokenizer, name, what, "tokenizer"), kind, config.text_config.max_position_embeddings)
        if len({str(tokenizer([word])["input_ids"].tolist()) for word in _WORDS}) == 1:  # transformers makes an empty one without a word
            raise CheckpointError(f"{what}: its tokenizer knows no words; are its files there?")
        preparation = wishes.over(_preparation(library, name, kind, int(config.vision_config.image_size)))
    lacking = [str(key) for part in ("missing_keys", "mismatched_keys") for key in loading[part]]
    if lacking:
        raise CheckpointError(f"{what}: {len(lacking)} weights are missing or of another shape ({some(sorted(lacking))})")
    model, resample = model.float().eval(), preparation.image_size != config.vision_config.image_size
    images = _ImageSide(model.vision_model, getattr(model, "visual_projection", nn.Identity()), resample=resample)
    check_runs(images, what=what, preparation=preparation)
    texts = _TextSide(model.text_model, getattr(model, "text_projection", nn.Identity()))
    text = TextSide(texts, tokenizer, f"the text side of {name}")
    check_pair(images, text, preparation, what=what)
    mark = fingerprint(f"transformers {config!r} {preparation.image_size} {tokenizer.rules()}", model.state_dict())
    name = Path(name).name if Path(name).is_dir() else name
    unused = (f"{len(loading['unexpected_keys'])} weights are no part of it",) if loading["unexpected_keys"] else ()
    return as_opened(images, preparation, name=f"{_CLASSES[kind]} {name}", mark=mark, notes=unused, text=text)


def _had(loader: Any, name: str, what: str, part: str, **options: bool) -> Any:
    """What one of transformers' loaders makes of a name."""
    try:
        return loader.from_pretrained(name, **options)
    except Exception as error:  # of the network, of the hub, or of files that may be anything
        where = "cannot be read" if Path(name).is_dir() else "cannot be downloaded, and there is no such folder"
        raise CheckpointError(f"{what}: its {part} {where} ({one_line(error)})") from error


def _preparation(library: Any, name: str, kind: str, image_size: int) -> Preparation:
    """Size of the config, and statistics of the image processor's, or else those that models of this kind are trained with."""
    try:
        said, _ = library.CLIPImageProcessor.get_image_processor_dict(name)
    except Exception:  # models are saved without one too; then their notes say what is assumed
        said = {}
    mean, std = said.get("image_mean"), said.get("image_std")
    if said.get("do_normalize") is False:
        return Preparation(image_size, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0), f"the config of {name}", f"the image processor of {name}")
    if mean is None or std is None:
        return Preparation(image_size, *_USUAL[kind], f"the config of {name}", f"usual for {kind}, assumed")
    return Preparation(image_size, tuple(mean), tuple(std), f"the config of {name}", f"the image processor of {name}")


class _ImageSide(nn.Module):
    """Normalised images (B, 3, H, W) to embeddings (B, D), not scaled to length one."""

    def __init__(self, vision_model: nn.Module, projection: nn.Module, *, resample: bool) -> None:
        super().__init__()
        self.vision_model, self.projection, self._resample = vision_model, projection, resample

    def forward(self, images: Tensor) -> Tensor:
        pooled = self.vision_model(pixel_values=images, interpolate_pos_encoding=self._resample).pooler_output
        return cast(Tensor, self.projection(pooled))


class _TextSide(nn.Module):
    """Tokens by name to embeddings (n, D), not scaled to length one."""

    def __init__(self, text_model: nn.Module, projection: nn.Module) -> None:
        super().__init__()
        self.text_model, self.projection = text_model, projection

    def forward(self, tokens: Mapping[str, Tensor]) -> Tensor:
        return cast(Tensor, self.projection(self.text_model(**tokens).pooler_output))


class _Tokenizer:
    """A tokenizer of transformers, with texts filled up as the model was trained: SigLIP's to full length and without a mask."""

    def __init__(self, tokenizer: Any, kind: str, context_length: int) -> None:
        self._tokenizer, self._masked, self._length = tokenizer, kind == "clip", context_length

    @property
    def context_length(self) -> int | None:
        return self._length

    def __call__(self, texts: Sequence[str], /) -> Mapping[str, Tensor]:
        made = self._tokenizer(list(texts), padding="max_length", max_length=self._length, truncation=True, return_tensors="pt")
        return {name: made[name] for name in ("input_ids", "attention_mask") if name == "input_ids" or self._masked}

    def rules(self) -> str:
        """All that decides tokens."""
        backend = getattr(self._tokenizer, "backend_tokenizer", None)
        return repr(self._tokenizer) if backend is None else str(backend.to_str())

    def num_tokens(self, text: str, /) -> int:
        return len(self._tokenizer(text, truncation=False, verbose=False)["input_ids"])
