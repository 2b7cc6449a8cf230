"""CLIP and SigLIP of transformers: the logits of their own forward pass from a saved folder, and what is said where there is none."""

from __future__ import annotations

import io
import json
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sentencepiece
import torch
import transformers
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.nn.functional import normalize

from cocoa_pl.build.encoders import EncoderOptions, open_encoder
from cocoa_pl.config import load_config
from cocoa_pl.encoding import FrozenEncoder
from cocoa_pl.errors import CocoaError, DataError
from cocoa_pl.models.sources import Opened, open_foreign
from cocoa_pl.text_encoding import FrozenTextEncoder
from tests.models.sources.conftest import drawn, explainable, noted

TEXTS = ("a photo of a cat", "Two DOGS", "a photo of a cathedral", "snow")
TOWER = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 2}
VISION = {**TOWER, "image_size": 32, "patch_size": 8}
MEAN, STD = [0.2, 0.4, 0.6], [0.3, 0.2, 0.5]
LENGTH = 40


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)


def letters() -> Any:
    """A tokenizer of CLIP's that knows letters only."""
    signs = [chr(number) for number in range(33, 127)]
    vocab = {sign: n for n, sign in enumerate([*signs, *(f"{sign}</w>" for sign in signs), "<|startoftext|>", "<|endoftext|>"])}
    return transformers.CLIPTokenizer(vocab=vocab, merges=[])


def pieces(folder: Path) -> Any:
    """A tokenizer of SigLIP's, of a few sentence pieces."""
    model = io.BytesIO()
    words = ["a photo of a cat", "two dogs in the snow", "a cathedral and a photo", "quick brown foxes jump over lazy hounds"]
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(words), model_writer=model, vocab_size=60, bos_id=-1, pad_id=-1, eos_id=1, unk_id=2, minloglevel=2,
        control_symbols=[], user_defined_symbols=["<pad>"], hard_vocab_limit=False,
    )  # fmt: skip
    (folder / "spiece.model").write_bytes(model.getvalue())
    return transformers.SiglipTokenizer(str(folder / "spiece.model"), model_max_length=LENGTH)


def made(kind: str, folder: Path) -> tuple[Any, Any]:
    """A model with all weights drawn, and its tokenizer."""
    tokenizer = letters() if kind == "clip" else pieces(folder)
    text = {**TOWER, "vocab_size": len(tokenizer), "max_position_embeddings": LENGTH}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        if kind == "clip":
            text |= {"eos_token_id": tokenizer.eos_token_id, "bos_token_id": tokenizer.bos_token_id}
            return drawn(
                transformers.CLIPModel(transformers.CLIPConfig(text_config=text, vision_config=VISION, projection_dim=16))
            ), tokenizer
        return drawn(transformers.SiglipModel(transformers.SiglipConfig(text_config=text, vision_config=VISION))), tokenizer


@pytest.fixture(scope="module", params=["clip", "siglip"])
def saved_model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any, Any, Any]:
    """A folder with a model, its tokenizer and its image processor, and the three themselves; tests only read them."""
    folder = tmp_path_factory.mktemp(request.param)
    model, tokenizer = made(request.param, folder)
    size = {"height": 32, "width": 32} if request.param == "siglip" else {"shortest_edge": 32}
    loader = transformers.SiglipImageProcessor if request.param == "siglip" else transformers.CLIPImageProcessor
    processor = loader(size=size, crop_size=32, image_mean=MEAN, image_std=STD)
    for part in (model, tokenizer, processor):
        part.save_pretrained(folder)
    return folder, model, tokenizer, processor


@pytest.fixture
def folder(saved_model: tuple[Path, Any, Any, Any], tmp_path: Path) -> Path:
    """A folder of its own."""
    return Path(shutil.copytree(saved_model[0], tmp_path / "model"))


def pictures() -> list[Image.Image]:
    draw = np.random.default_rng(3)
    return [Image.fromarray(draw.integers(0, 256, (32, 32, 3), dtype=np.uint8)) for _ in range(2)]


def encoder_of(opened: Opened, **options: Any) -> FrozenEncoder:
    assert opened.text is not None
    text = FrozenTextEncoder(opened.text.module, opened.text.tokenizer, **options)
    return FrozenEncoder(opened.module, mean=opened.mean, std=opened.std, text=text, **options)


def scores(encoder: FrozenEncoder) -> Tensor:
    assert encoder.text is not None
    return normalize(encoder.encode(pictures()), dim=1) @ normalize(encoder.text.encode(TEXTS), dim=1).T


def opened_from(folder: Path, **options: Any) -> Opened:
    return open_foreign(None, encoder=f"transformers:{folder}", **options)


def test_scores_are_the_logits_of_the_model_itself(saved_model: tuple[Path, Any, Any, Any], images: Tensor) -> None:
    folder, model, tokenizer, processor = saved_model
    siglip = isinstance(model, transformers.SiglipModel)
    tokens = tokenizer(list(TEXTS), padding="max_length" if siglip else "longest", max_length=LENGTH, truncation=True, return_tensors="pt")
    inputs = {"input_ids": tokens["input_ids"], "attention_mask": None if siglip else tokens["attention_mask"]}
    with torch.no_grad():
        logits = model(**inputs, pixel_values=processor(pictures(), return_tensors="pt")["pixel_values"]).logits_per_image
        expected = (logits - (model.logit_bias if siglip else 0)) / model.logit_scale.exp()
    assert expected.std() > 1e-4
    opened = opened_from(folder)
    torch.testing.assert_close(scores(encoder_of(opened)), expected, rtol=0, atol=1e-5)
    assert (opened.mean, opened.std, opened.image_size) == (tuple(MEAN), tuple(STD), 32)
    assert noted(opened, f"mean and std of the images: the image processor of {folder}")
    explainable(opened, images[:, :, :32, :32])


def test_bf16_comes_close(folder: Path) -> None:
    exact, rough = (scores(encoder_of(opened_from(folder), precision=precision)) for precision in ("32", "bf16"))
    torch.testing.assert_close(rough, exact, rtol=0, atol=0.02)
    assert not torch.equal(rough, exact)


def test_long_and_empty_texts(folder: Path) -> None:
    text = encoder_of(opened_from(folder)).text
    assert text is not None
    assert text.tokenizer is not None
    assert text.tokenizer.context_length == LENGTH
    with pytest.raises(DataError, match=rf"tokens, the text encoder takes {LENGTH}: shorten it"):
        text.encode(["a cat", "zebra " * 40])
    with pytest.raises(DataError, match="an empty text"):
        text.encode([""])


def test_another_size_resamples_the_positions(folder: Path) -> None:
    opened = opened_from(folder, image_size=48)
    assert opened.image_size == 48
    assert encoder_of(opened).encode(torch.rand(2, 3, 48, 48)).shape[0] == 2


def test_statistics_of_a_saved_processor(saved_model: tuple[Path, Any, Any, Any], folder: Path) -> None:
    _, model, tokenizer, processor = saved_model
    (folder / "preprocessor_config.json").unlink()
    both = transformers.SiglipProcessor if isinstance(model, transformers.SiglipModel) else transformers.CLIPProcessor
    both(image_processor=processor, tokenizer=tokenizer).save_pretrained(folder)
    assert (opened_from(folder).mean, opened_from(folder).std) == (tuple(MEAN), tuple(STD))


def test_without_an_image_processor_statistics_are_assumed(folder: Path) -> None:
    (folder / "preprocessor_config.json").unlink()
    assert noted(opened_from(folder), "assumed")


def test_the_fingerprint_follows_the_weights(folder: Path) -> None:
    first = opened_from(folder).fingerprint
    assert opened_from(folder).fingerprint == first
    weights = load_file(folder / "model.safetensors")
    name = next(name for name in weights if name.startswith("text_model") and name.endswith("weight"))
    save_file({**weights, name: weights[name] + 0.01}, folder / "model.safetensors", metadata={"format": "pt"})
    assert opened_from(folder).fingerprint not in ("", first)


def test_it_is_asked_with_its_text_side(folder: Path) -> None:
    asked = open_encoder(None, load_config(), EncoderOptions(f"transformers:{folder}"))
    assert asked.text == f"the text side of {folder}"
    torch.testing.assert_close(scores(asked.on(torch.device("cpu"))), scores(encoder_of(opened_from(folder))))


class TestRefusals:
    def refusal(self, name: object, path: Path | None = None) -> str:
        with pytest.raises(CocoaError) as caught:
            open_foreign(path, encoder=f"transformers:{name}")
        assert "\n" not in str(caught.value)
        return f"{caught.type.__name__}: {caught.value}"

    def test_weights_that_are_missing(self, folder: Path) -> None:
        weights = load_file(folder / "model.safetensors")
        name = next(name for name in weights if name.startswith("vision_model.encoder.layers.1"))
        save_file({key: value for key, value in weights.items() if key != name}, folder / "model.safetensors", metadata={"format": "pt"})
        assert f"1 weights are missing or of another shape ({name})" in self.refusal(folder)

    def test_weights_that_cannot_be_read(self, folder: Path) -> None:
        (folder / "model.safetensors").write_bytes(b"nothing of the kind")
        assert "its weights cannot be read" in self.refusal(folder)

    def test_no_tokenizer(self, folder: Path) -> None:
        """transformers makes one of CLIP's that knows no words, and says nothing."""
        for path in folder.iterdir():
            if path.name not in ("config.json", "model.safetensors"):
                path.unlink()
        assert "its tokenizer " in (said := self.refusal(folder))
        assert "cannot be read" in said or "knows no words; are its files there?" in said

    def test_another_kind_of_model(self, tmp_path: Path) -> None:
        (tmp_path / "config.json").write_text(json.dumps({"model_type": "bert"}))
        assert "a model of type bert; choose from: clip, siglip" in self.refusal(tmp_path)

    def test_no_folder_and_no_network(self, tmp_path: Path) -> None:
        words = "CheckpointError: --encoder transformers:nobody/has-this: its config cannot be downloaded, and there is no such folder ("
        assert self.refusal("nobody/has-this").startswith(words)
        assert "its config cannot be read" in self.refusal(tmp_path)
        assert "which one? An id of the hub" in self.refusal("")

    def test_it_brings_its_weights(self, tmp_path: Path) -> None:
        assert "brings its weights; leave --ckpt out" in self.refusal(tmp_path, tmp_path / "net.pth")

    def test_a_missing_package_is_named(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "transformers", None)
        words = "ConfigError: --encoder transformers:me/mine needs transformers, which is not installed: pip install transformers"
        assert self.refusal("me/mine") == words
