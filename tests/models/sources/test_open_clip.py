"""OpenCLIP's models: the numbers of its own pipeline, weights of all forms, and what is said where a name or a weight is wrong."""

from __future__ import annotations

import functools
import json
import logging
import re
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import pytest
import torch
from open_clip.transform import PreprocessCfg, image_transform_v2
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn.functional import normalize

from cocoa_pl.build.encoders import EncoderOptions, open_encoder
from cocoa_pl.config import load_config
from cocoa_pl.encoding import FrozenEncoder
from cocoa_pl.errors import CheckpointError, CocoaError, ConfigError, DataError
from cocoa_pl.models.sources import Opened, open_foreign
from cocoa_pl.models.sources.quiet import quiet_logs
from cocoa_pl.text_encoding import FrozenTextEncoder
from tests.models.sources.conftest import Saves, drawn, explainable, noted

TEXTS = ("a photo of a cat", "Two DOGS, in the snow!", "a photo of a cathedral", "neutral")
VISION = {"image_size": 32, "layers": 2, "width": 32, "head_width": 16, "patch_size": 8}
TEXT = {"context_length": 24, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 2}
CONFIGS: dict[str, dict[str, Any]] = {
    "Tiny-ViT": {"embed_dim": 16, "vision_cfg": VISION, "text_cfg": TEXT},
    "Tiny-ViT-quickgelu": {"embed_dim": 16, "quick_gelu": True, "vision_cfg": VISION, "text_cfg": TEXT},
    "Tiny-apart": {"embed_dim": 16, "custom_text": True, "vision_cfg": VISION, "text_cfg": TEXT},
    "Tiny-ResNet": {"embed_dim": 16, "vision_cfg": {**VISION, "layers": [1, 1, 1, 1], "width": 16, "patch_size": None}, "text_cfg": TEXT},
    "Tiny-deeper": {"embed_dim": 16, "vision_cfg": {**VISION, "layers": 3}, "text_cfg": TEXT},
    "Tiny-wider": {"embed_dim": 24, "vision_cfg": VISION, "text_cfg": TEXT},
    "Tiny-hub": {"embed_dim": 16, "vision_cfg": VISION, "text_cfg": {**TEXT, "hf_tokenizer_name": "nobody/has-this"}},
}


@pytest.fixture(scope="module", autouse=True)
def small_models(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Small models beside those that OpenCLIP lists."""
    folder = tmp_path_factory.mktemp("configs")
    for name, config in CONFIGS.items():
        (folder / f"{name}.json").write_text(json.dumps(config))
    open_clip.add_model_config(folder)


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object, **options: object) -> None:
        raise OSError("no network here\nat all")

    monkeypatch.setattr("urllib.request.urlopen", refuse)
    monkeypatch.setattr("open_clip.pretrained.hf_hub_download", refuse)


def built(name: str = "Tiny-ViT") -> nn.Module:
    with quiet_logs(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return drawn(open_clip.create_model(name))


@pytest.fixture(scope="module")
def own(small_models: None) -> nn.Module:
    """OpenCLIP's own model; tests only read it."""
    return built()


def picture() -> Image.Image:
    draw = np.random.default_rng(3)
    return Image.fromarray(draw.integers(0, 256, (32, 32, 3), dtype=np.uint8))


def encoder_of(opened: Opened, **options: Any) -> FrozenEncoder:
    assert opened.text is not None
    text = FrozenTextEncoder(opened.text.module, opened.text.tokenizer, **options)
    return FrozenEncoder(opened.module, mean=opened.mean, std=opened.std, text=text, **options)


def scores(encoder: FrozenEncoder, images: Any, texts: tuple[str, ...] = TEXTS) -> Tensor:
    assert encoder.text is not None
    return normalize(encoder.encode(images), dim=1) @ normalize(encoder.text.encode(texts), dim=1).T


@functools.cache
def tokenizer_of(name: str) -> Any:
    return open_clip.get_tokenizer(name)


def scores_of_open_clip(model: Any, name: str, images: list[Image.Image]) -> Tensor:
    """Its preprocessing, its tokenizer, its two sides."""
    prepare = image_transform_v2(PreprocessCfg(**model.visual.preprocess_cfg), is_train=False)
    with torch.no_grad():
        seen = model.encode_image(torch.stack([prepare(image) for image in images]), normalize=True)
        read = model.encode_text(tokenizer_of(name)(list(TEXTS)), normalize=True)
    return seen @ read.T


@pytest.mark.parametrize("name", ["Tiny-ViT", "Tiny-ViT-quickgelu", "Tiny-apart", "Tiny-ResNet"])
def test_scores_are_those_of_open_clip_itself(saved: Saves, images: Tensor, name: str) -> None:
    model = built(name)
    opened = open_foreign(saved(model.state_dict()), encoder=f"open_clip:{name}")
    expected = scores_of_open_clip(model, name, [picture(), picture().transpose(Image.Transpose.ROTATE_90)])
    assert expected.std() > 1e-3
    encoder = encoder_of(opened)
    found = scores(encoder, [picture(), picture().transpose(Image.Transpose.ROTATE_90)])
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)
    assert (opened.image_size, opened.name) == (32, f"OpenCLIP {name}")
    assert noted(opened, "mean and std of the images: OpenAI's, assumed")
    explainable(opened, images[:, :, :32, :32])


class TestWeights:
    @pytest.mark.parametrize("form", ["plain", "training", "bin", "safetensors"])
    def test_of_any_form(self, own: nn.Module, saved: Saves, tmp_path: Path, form: str) -> None:
        state = own.state_dict()
        content: dict[str, Callable[[], Path]] = {
            "plain": lambda: saved(state),
            "training": lambda: saved({"epoch": 3, "name": "run", "state_dict": {f"module.{key}": value for key, value in state.items()}}),
            "bin": lambda: saved(state, "open_clip_pytorch_model.bin"),
            "safetensors": lambda: tmp_path / "open_clip_model.safetensors",
        }
        if form == "safetensors":
            save_file({key: value.contiguous().clone() for key, value in state.items()}, content[form]())
        opened = open_foreign(content[form](), encoder="open_clip:Tiny-ViT")
        expected = scores_of_open_clip(own, "Tiny-ViT", [picture()])
        torch.testing.assert_close(scores(encoder_of(opened), [picture()]), expected, rtol=0, atol=1e-5)

    @pytest.mark.parametrize(
        ("name", "words"),
        [
            ("Tiny-deeper", r"weights do not fit open_clip:Tiny-deeper: 12 missing \(visual.transformer.resblocks.2.*and 9 more\)"),
            ("Tiny-wider", "weights do not fit open_clip:Tiny-wider .size mismatch for .*16"),
        ],
    )
    def test_that_do_not_fit(self, own: nn.Module, saved: Saves, name: str, words: str) -> None:
        with pytest.raises(CheckpointError, match=words):
            open_foreign(saved(own.state_dict()), encoder=f"open_clip:{name}")

    def test_of_a_deeper_model_are_not_loaded_in_part(self, saved: Saves) -> None:
        with pytest.raises(CheckpointError, match=r"weights do not fit open_clip:Tiny-ViT: 12 not of it \(visual.transformer.resblocks.2"):
            open_foreign(saved(built("Tiny-deeper").state_dict()), encoder="open_clip:Tiny-ViT")

    @pytest.mark.parametrize("content", [{}, {"a": 1}, {"weight": torch.zeros(3)}, [1, 2], "text"])
    def test_of_nothing_of_the_kind(self, saved: Saves, content: object) -> None:
        with pytest.raises(CheckpointError, match=r"net.pth: weights do not fit open_clip:Tiny-ViT"):
            open_foreign(saved(content), encoder="open_clip:Tiny-ViT")

    def test_files_that_cannot_be_read(self, own: nn.Module, saved: Saves, tmp_path: Path) -> None:
        path = saved(own.state_dict())
        path.write_bytes(path.read_bytes()[:5000])
        with pytest.raises(CheckpointError, match=r"net.pth: cannot be read"):
            open_foreign(path, encoder="open_clip:Tiny-ViT")
        with pytest.raises(CheckpointError, match="no such checkpoint"):
            open_foreign(tmp_path / "nowhere.pt", encoder="open_clip:Tiny-ViT")

    def test_code_in_a_file_is_not_run(self, saved: Saves) -> None:
        with pytest.raises(CheckpointError, match=r"which is more than weights and plain values; nothing was executed"):
            open_foreign(saved({"net": nn.Linear(2, 2)}), encoder="open_clip:Tiny-ViT")

    def test_a_program_is_no_file_of_weights(self, tmp_path: Path) -> None:
        path = tmp_path / "ViT-B-32.pt"
        with zipfile.ZipFile(path, "w") as archive:  # as TorchScript's files are laid out
            for name in ("constants.pkl", "data.pkl", "code/__torch__.py"):
                archive.writestr(f"ViT-B-32/{name}", b"")
        with pytest.raises(CheckpointError, match=r"a program, not weights .* by a tag \(open_clip:ViT-B-32/openai\)"):
            open_foreign(path, encoder="open_clip:ViT-B-32-quickgelu")

    def test_their_fingerprint(self, own: nn.Module, saved: Saves) -> None:
        state = own.state_dict()
        first, again = (open_foreign(saved(state), encoder="open_clip:Tiny-ViT").fingerprint for _ in range(2))
        changed = {**state, "text_projection": state["text_projection"] + 1e-3}
        marks = {first, again, open_foreign(saved(changed), encoder="open_clip:Tiny-ViT").fingerprint}
        marks.add(open_foreign(saved(state), encoder="open_clip:Tiny-ViT", image_size=48).fingerprint)
        marks.add(open_foreign(saved(state), encoder="open_clip:Tiny-ViT-quickgelu").fingerprint)
        assert first == again
        assert len(marks) == 4


class TestOptions:
    def test_another_size_resamples_the_positions(self, own: nn.Module, saved: Saves) -> None:
        opened = open_foreign(saved(own.state_dict()), encoder="open_clip:Tiny-ViT", image_size=48)
        assert opened.image_size == 48
        assert encoder_of(opened).encode(torch.rand(2, 3, 48, 48)).shape == (2, 16)

    def test_statistics_asked_for(self, own: nn.Module, saved: Saves) -> None:
        opened = open_foreign(saved(own.state_dict()), encoder="open_clip:Tiny-ViT", mean=[0.5], std=[0.25])
        assert (opened.mean, opened.std) == ((0.5,) * 3, (0.25,) * 3)

    def test_a_tag_tells_statistics_and_activation(self, saved: Saves, monkeypatch: pytest.MonkeyPatch) -> None:
        tag = {"mean": (0.1, 0.2, 0.3), "std": (0.4, 0.5, 0.6), "quick_gelu": True}
        monkeypatch.setitem(open_clip.pretrained._PRETRAINED, "Tiny-ViT", {"mine": tag, "other": {**tag, "mean": (0.5, 0.5, 0.5)}})
        quick = built("Tiny-ViT-quickgelu")
        path = saved(quick.state_dict())
        opened = open_foreign(path, encoder="open_clip:Tiny-ViT/mine")
        assert (opened.mean, opened.std) == (tag["mean"], tag["std"])
        assert noted(opened, "the activation is QuickGELU, with which mine was trained")
        inputs = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
        with torch.no_grad():
            torch.testing.assert_close(opened.module(inputs), quick.encode_image(inputs))
        assert noted(open_foreign(path, encoder="open_clip:Tiny-ViT"), "weights trained with QuickGELU")

    def test_weights_of_a_tag_are_downloaded(self, own: nn.Module, saved: Saves, monkeypatch: pytest.MonkeyPatch) -> None:
        tag = {"mean": (0.5,) * 3, "std": (0.5,) * 3, "file": str(saved(own.state_dict()))}  # where OpenCLIP's download would put it
        monkeypatch.setitem(open_clip.pretrained._PRETRAINED, "Tiny-ViT", {"mine": tag})
        opened = open_foreign(None, encoder="open_clip:Tiny-ViT/mine")
        inputs = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
        with torch.no_grad():
            torch.testing.assert_close(opened.module(inputs), own.encode_image(inputs))

    @pytest.mark.parametrize(
        ("encoder", "words"),
        [
            ("ViT-B32", r"ConfigError: .*open_clip:ViT-B32: OpenCLIP has no such model; the nearest of .* \(did you mean 'ViT-B-32'\?\)"),
            ("", "ConfigError: .*OpenCLIP has no such model"),
            ("RN50/laion", "ConfigError: .*no such weights of RN50; choose from: cc12m, openai, yfcc15m"),
            ("ViT-B-32/laion2b_s34b_b80k", r"no such weights of ViT-B-32; the .*did you mean 'laion2b_s34b_b79k'"),
            (
                "RN50",
                "ConfigError: .*give its weights by --ckpt, or a tag whose weights are downloaded; choose from: cc12m, openai, yfcc15m",
            ),
            ("Tiny-ViT", "ConfigError: .*or a tag whose weights are downloaded; OpenCLIP has none for it"),
        ],
    )
    def test_names_and_tags(self, encoder: str, words: str) -> None:
        assert re.search(words, refusal(f"open_clip:{encoder}"))

    def test_no_network(self, own: nn.Module, saved: Saves, monkeypatch: pytest.MonkeyPatch) -> None:
        tag = {"mean": (0.5,) * 3, "std": (0.5,) * 3, "hf_hub": "nobody/has-this/"}
        monkeypatch.setitem(open_clip.pretrained._PRETRAINED, "Tiny-ViT", {"mine": tag})
        words = "CheckpointError: --encoder open_clip:Tiny-ViT/mine: OpenCLIP cannot download its weights (FileNotFoundError: Failed"
        assert refusal("open_clip:Tiny-ViT/mine").startswith(words)
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
        assert "its tokenizer comes from the Hugging Face hub and cannot be had" in refusal("open_clip:Tiny-hub", saved(own.state_dict()))

    def test_a_missing_package_is_named(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "open_clip", None)
        words = "ConfigError: --encoder open_clip:RN50 needs open_clip_torch, which is not installed: pip install open_clip_torch"
        assert refusal("open_clip:RN50") == words

    def test_nothing_is_logged_and_no_handler_stays(self, own: nn.Module, saved: Saves, capfd: pytest.CaptureFixture[str]) -> None:
        handlers, level = list(logging.getLogger().handlers), logging.root.manager.disable
        open_foreign(saved(own.state_dict()), encoder="open_clip:Tiny-ViT")
        assert (list(logging.getLogger().handlers), logging.root.manager.disable) == (handlers, level)
        assert capfd.readouterr() == ("", "")


def refusal(encoder: str, path: Path | None = None) -> str:
    with pytest.raises(CocoaError) as caught:
        open_foreign(path, encoder=encoder)
    assert "\n" not in str(caught.value)
    return f"{caught.type.__name__}: {caught.value}"


class TestTexts:
    @pytest.fixture
    def encoder(self, own: nn.Module, saved: Saves) -> FrozenEncoder:
        return encoder_of(open_foreign(saved(own.state_dict()), encoder="open_clip:Tiny-ViT"))

    def test_a_text_is_counted_as_open_clip_cuts_it(self, encoder: FrozenEncoder) -> None:
        assert encoder.text is not None
        tokenizer = encoder.text.tokenizer
        assert tokenizer is not None
        for text in ("a", "a photo of a cat", "don't,  count   spaces!", "word " * 22, "word " * 23):
            kept = int((tokenizer([text]) != 0).sum())
            assert kept == min(tokenizer.num_tokens(text), 24)
            assert tokenizer.context_length == 24
        encoder.text.encode(["word " * 22])
        with pytest.raises(DataError, match=r"the text 'word word .*…' has 25 tokens, the text encoder takes 24: shorten it"):
            encoder.text.encode(["a cat", "word " * 23])
        with pytest.raises(DataError, match="an empty text"):
            encoder.text.encode(["a cat", " "])

    def test_neither_side_is_taken_for_the_other(self, encoder: FrozenEncoder) -> None:
        assert encoder.text is not None
        for call in (encoder, encoder.encode):
            with pytest.raises(DataError, match="texts met an image encoder"):
                call(["a photo of a cat"])  # type: ignore[arg-type]
        with pytest.raises(DataError, match="images are for the image encoder"):
            encoder.text.encode(torch.zeros(1, 3, 32, 32))  # type: ignore[arg-type]

    def test_bf16_ranks_alike(self, own: nn.Module, saved: Saves) -> None:
        opened = open_foreign(saved(own.state_dict()), encoder="open_clip:Tiny-ViT")
        exact, rough = (scores(encoder_of(opened, precision=precision), [picture()]) for precision in ("32", "bf16"))
        torch.testing.assert_close(rough, exact, rtol=0, atol=0.02)
        assert not torch.equal(rough, exact)
        assert torch.equal(rough.argsort(), exact.argsort())


class TestAsked:
    def test_its_text_side_is_there_and_known(self, own: nn.Module, saved: Saves) -> None:
        path = saved(own.state_dict())
        asked = open_encoder(path, load_config(), EncoderOptions("open_clip:Tiny-ViT"))
        assert asked.text == asked.about["text"] == "the text tower of OpenCLIP Tiny-ViT"
        encoder = asked.on(torch.device("cpu"))
        torch.testing.assert_close(scores(encoder, [picture()]), scores_of_open_clip(own, "Tiny-ViT", [picture()]), rtol=0, atol=1e-5)

    def test_a_layer_in_the_middle_has_none(self, own: nn.Module, saved: Saves) -> None:
        config = load_config(overrides=["explain.layer=visual.transformer"])
        asked = open_encoder(saved(own.state_dict()), config, EncoderOptions("open_clip:Tiny-ViT"))
        assert asked.text is None
        assert "text" not in asked.about
        assert asked.on(torch.device("cpu")).text is None

    def test_projections_are_of_train_py(self, own: nn.Module, saved: Saves) -> None:
        with pytest.raises(ConfigError, match="has projections"):
            open_encoder(
                saved(own.state_dict()), load_config(overrides=["explain.space=projections"]), EncoderOptions("open_clip:Tiny-ViT")
            )


@pytest.mark.slow
def test_a_model_of_usual_size(saved: Saves) -> None:
    model = built("ViT-S-32")
    opened = open_foreign(saved(model.state_dict()), encoder="open_clip:ViT-S-32")
    assert opened.image_size == 224
    photo = picture().resize((224, 224))
    found = scores(encoder_of(opened), [photo])
    torch.testing.assert_close(found, scores_of_open_clip(model, "ViT-S-32", [photo]), rtol=0, atol=1e-4)
