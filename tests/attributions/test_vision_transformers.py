"""Maps of image-text transformers of OpenCLIP and Hugging Face: towards texts, on the right patches, and complete over tokens."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import open_clip
import pytest
import torch
from captum.attr import LayerIntegratedGradients as CaptumLayerIntegratedGradients
from open_clip.model import CLIP, CLIPTextCfg, CLIPVisionCfg
from torch import Tensor, nn
from transformers import CLIPConfig, CLIPModel, SiglipConfig, SiglipModel

from cocoa_pl.attributions import GradCam, GradientShap, IntegratedGradients, LayerIntegratedGradients, Rise
from cocoa_pl.attributions.captum_adapter import FromCaptum
from cocoa_pl.attributions.layers import Layer
from cocoa_pl.attributions.spatial import spatial_layer
from cocoa_pl.encoding import FrozenEncoder
from cocoa_pl.errors import DataError
from cocoa_pl.explainer import Explainer
from cocoa_pl.targets import DirectionTarget, cocoa, stack
from cocoa_pl.text_encoding import FrozenTextEncoder
from cocoa_pl.types import Attribution, Scorer

SIDE, PATCH, GRID = 32, 8, 4
LENGTH = 16  # tokens of a text


def open_clip_model(**vision: Any) -> CLIP:
    tower = CLIPVisionCfg(**({"layers": 2, "width": 32, "head_width": 16, "patch_size": PATCH, "image_size": SIDE} | vision))
    return CLIP(16, tower, CLIPTextCfg(context_length=LENGTH, vocab_size=49408, width=16, heads=2, layers=1))


def with_the_sequence_in_front(model: CLIP) -> CLIP:
    """The same network run as OpenAI's and older versions of OpenCLIP run it: tokens (T, B, D) between the blocks."""
    model.visual.transformer.batch_first = False
    for block in model.visual.transformer.resblocks:
        block.attn.batch_first = False
    return model


def hugging_face_model(kind: type[CLIPModel] | type[SiglipModel]) -> CLIPModel | SiglipModel:
    common = {"hidden_size": 32, "intermediate_size": 64, "num_attention_heads": 2}
    vision = common | {"num_hidden_layers": 2, "image_size": SIDE, "patch_size": PATCH}
    ends = {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}
    text = common | ends | {"num_hidden_layers": 1, "vocab_size": 256, "max_position_embeddings": LENGTH}
    if kind is CLIPModel:
        return CLIPModel(CLIPConfig(text_config=text, vision_config=vision, projection_dim=32))
    return SiglipModel(SiglipConfig(text_config=text, vision_config=vision))


class Side(nn.Module):
    """One side of a Hugging Face model."""

    def __init__(self, model: nn.Module, name: str) -> None:
        super().__init__()
        self.model, self.encode = model, f"get_{'image' if name == 'pixel_values' else 'text'}_features"
        self.name = name

    def forward(self, inputs: Tensor) -> Tensor:
        output = getattr(self.model, self.encode)(**{self.name: inputs})
        return output if isinstance(output, Tensor) else output.pooler_output


class TextSide(nn.Module):
    """The text side of an OpenCLIP model."""

    def __init__(self, model: CLIP) -> None:
        super().__init__()
        self.model = model

    def forward(self, tokens: Tensor) -> Tensor:
        return self.model.encode_text(tokens)


class Subwords:
    """OpenCLIP's own tokens."""

    def __init__(self) -> None:
        self.context_length, self._tokenizer = LENGTH, open_clip.SimpleTokenizer(context_length=LENGTH)

    def __call__(self, texts: Sequence[str]) -> Tensor:
        return self._tokenizer(list(texts))

    def num_tokens(self, text: str) -> int:
        return len(self._tokenizer.encode(text)) + 2


class Letters:
    """A token a letter, between those that mark a text's ends."""

    context_length = LENGTH

    def __call__(self, texts: Sequence[str]) -> Tensor:
        return torch.tensor([[1, *map(ord, text), *[2] * (LENGTH - 1 - len(text))] for text in texts])

    def num_tokens(self, text: str) -> int:
        return len(text) + 2


def open_clip_pair(model: CLIP) -> FrozenEncoder:
    return FrozenEncoder(model.visual, mean=(0.5,), std=(0.25,), text=FrozenTextEncoder(TextSide(model), Subwords()))


def hugging_face_pair(model: nn.Module) -> FrozenEncoder:
    return FrozenEncoder(Side(model, "pixel_values"), mean=(0.5,), std=(0.25,), text=FrozenTextEncoder(Side(model, "input_ids"), Letters()))


PAIRS: Mapping[str, Callable[[], FrozenEncoder]] = {
    "open_clip": lambda: open_clip_pair(open_clip_model()),
    "sequence first": lambda: open_clip_pair(with_the_sequence_in_front(open_clip_model())),
    "clip": lambda: hugging_face_pair(hugging_face_model(CLIPModel)),
    "siglip": lambda: hugging_face_pair(hugging_face_model(SiglipModel)),
}
FIRST = {
    "open_clip": "ln_pre",
    "sequence first": "ln_pre",
    "clip": "model.vision_model.pre_layrnorm",
    "siglip": "model.vision_model.embeddings",
}
"""A layer that all passes through and at which a token is a function of its own patch."""


def made(make: Callable[[], Any]) -> Any:
    """The same weights each time."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return make()


def text_target(encoder: FrozenEncoder) -> DirectionTarget:
    assert encoder.text is not None
    corpora = {name: encoder.text.encode([f"a {name}", f"the {name}"]) for name in ("dog", "red cat")}
    return stack([cocoa(corpus, encoder.text.encode(["a thing", "a sky"]), name=name) for name, corpus in corpora.items()])


def pictures(num: int) -> Tensor:
    return torch.rand(num, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(7))


@pytest.fixture(params=list(PAIRS))
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


LAYERS: Mapping[str, tuple[Callable[[], nn.Module], str, bool]] = {
    "class token": (lambda: open_clip_model().visual, "transformer.resblocks.1.ln_1", False),
    "sequence first": (lambda: with_the_sequence_in_front(open_clip_model()).visual, "transformer.resblocks.1.ln_1", True),
    "mean of tokens": (lambda: open_clip_model(pool_type="avg").visual, "ln_post", False),
    "as many queries as patches": (
        lambda: open_clip_model(attentional_pool=True, attn_pooler_queries=GRID**2, attn_pooler_heads=2).visual, "attn_pool.ln_k", False,
    ),
    "scaled attention": (
        lambda: open_clip_model(qk_norm=True, scale_attn=True, scale_heads=True).visual, "transformer.resblocks.1.ln_1", False
    ),
    "convolutions": (lambda: open_clip_model(layers=(1, 1, 1, 1), width=8, patch_size=None, image_size=64).visual, "layer4", False),
    "queries, keys and values apart": (
        lambda: Side(hugging_face_model(CLIPModel), "pixel_values"), "model.vision_model.encoder.layers.1.layer_norm1", False
    ),
    "pooled by attention": (
        lambda: Side(hugging_face_model(SiglipModel), "pixel_values"), "model.vision_model.post_layernorm", False
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", LAYERS)
def test_the_last_layer_at_whose_patches_the_representation_looks_is_found(kind: str) -> None:
    make, layer, sequence_first = LAYERS[kind]
    encoder, size = FrozenEncoder(made(make)), 64 if kind == "convolutions" else SIDE
    found = Layer.find(
        Scorer(encoder, DirectionTarget(torch.ones(1, 16), names=["sum"])), torch.rand(2, 3, size, size), None, method="test"
    )
    assert (found.name, found.sequence_first) == (layer, sequence_first)


METHODS: Mapping[str, Attribution] = {
    "rise": Rise(num_masks=48, grid_size=4),
    "integrated_gradients": IntegratedGradients(num_steps=4),
    "gradient_shap": GradientShap(num_samples=6),
    "layer_integrated_gradients": LayerIntegratedGradients(num_steps=4),
    "grad_cam": GradCam(),
}


def test_every_method_maps_likeness_to_texts(name: str) -> None:
    encoder = made(PAIRS[name])
    explainer = Explainer(encoder, attributions=METHODS, removal="blur")
    explained = explainer.explain(pictures(3), text_target(encoder))
    assert explained.targets == ("dog", "red cat")
    assert encoder.num_forwards == explainer.num_forwards(3, SIDE, SIDE)
    for method, maps in explained.attributions.items():
        assert maps.shape == (2, 3, SIDE, SIDE), method
        assert bool(maps.isfinite().all()), method
        spread = maps.std(dim=(2, 3))
        assert float(spread.min()) > 0, method
        assert float((maps[0] - maps[1]).std()) > 1e-2 * float(spread.max()), method  # the text decides


def one_patch_each(num_rows: int, num_cols: int) -> tuple[Tensor, Tensor]:
    """Pictures that are black but for one patch, a picture for each patch in reading order, and that patch among all (N, 1, rows, cols)."""
    where = torch.eye(num_rows * num_cols).view(-1, 1, num_rows, num_cols)
    noise = torch.rand(len(where), 3, num_rows * PATCH, num_cols * PATCH, generator=torch.Generator().manual_seed(3))
    return noise * where.repeat_interleave(PATCH, dim=2).repeat_interleave(PATCH, dim=3), where


def test_tokens_land_on_their_patches_and_share_out_the_difference_of_scores(name: str) -> None:
    """Where pictures differ from the baseline in one patch, its token has all of the score's difference and the others nothing."""
    encoder = made(PAIRS[name])
    scorer, (images, where) = Scorer(encoder, text_target(encoder)), one_patch_each(GRID, GRID)
    black = torch.zeros_like(images)
    maps = LayerIntegratedGradients(num_steps=16, layer=FIRST[name])(scorer, images, black)
    rows = torch.arange(len(images))
    difference = (scorer(images, rows) - scorer(black, rows)).T
    spread = nn.functional.interpolate(where, size=(SIDE, SIDE), mode="bilinear")[:, 0] / PATCH**2
    size = float(difference.abs().max())
    torch.testing.assert_close(maps, difference[:, :, None, None] * spread, atol=1e-4 * size, rtol=0)
    assert float(difference.abs().median()) > 0.05 * size > 0  # there is something to share out


def test_tokens_of_pictures_that_are_not_square_are_read_row_by_row() -> None:
    """A network by hand on 2 x 3 patches: element p of its representation is a weighted sum of patch p alone."""

    class Reader(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.patches, self.tokens = nn.Conv2d(3, 5, PATCH, stride=PATCH, bias=False), nn.Identity()
            self.extra, self.weight = nn.Parameter(torch.randn(1, 1, 5)), nn.Parameter(torch.randn(5))

        def forward(self, images: Tensor) -> Tensor:
            tokens = torch.cat([self.extra.expand(len(images), -1, -1), self.patches(images).flatten(2).mT], dim=1)
            return self.tokens(tokens)[:, 1:] @ self.weight

    network = made(Reader)
    images, where = one_patch_each(2, 3)
    scorer = Scorer(FrozenEncoder(network), DirectionTarget(torch.eye(6), names=[f"patch {p}" for p in range(6)], similarity="dot"))
    kernel = torch.einsum("d,dchw->chw", network.weight.detach(), network.patches.weight.detach())
    sums = torch.stack([
        (images[p, :, PATCH * (p // 3) : PATCH * (p // 3 + 1), PATCH * (p % 3) : PATCH * (p % 3 + 1)] * kernel).sum() for p in range(6)
    ])  # fmt: skip
    spread = nn.functional.interpolate(where * sums.view(6, 1, 1, 1), size=images.shape[2:], mode="bilinear")[:, 0]
    maps = LayerIntegratedGradients(num_steps=2)(scorer, images, torch.zeros_like(images))
    expected = torch.eye(6)[:, :, None, None] * spread / PATCH**2  # score p has a share of picture p alone, on its patch
    torch.testing.assert_close(maps, expected, atol=1e-6, rtol=1e-4)
    cam = GradCam()(scorer, images, images)  # weight / 6 for every score: each shows what is in the picture, where it is
    torch.testing.assert_close(cam, (spread / 6).expand(6, -1, -1, -1), atol=1e-6, rtol=1e-4)


@pytest.mark.parametrize("chunk_size", [GRID**2 + 1, 7])
@pytest.mark.parametrize("layer", [None, "transformer.resblocks.0", "transformer.resblocks.1.ln_1"])
def test_the_order_of_sequence_and_batch_changes_nothing(layer: str | None, chunk_size: int) -> None:
    """Also with as many pictures as tokens, where shapes cannot tell."""
    images = pictures(GRID**2 + 1)
    for method in (GradCam(layer), LayerIntegratedGradients(num_steps=1, layer=layer)):
        maps = []
        for kind in ("open_clip", "sequence first"):
            encoder = made(PAIRS[kind])
            maps.append(method(Scorer(encoder, text_target(encoder)), images, torch.zeros_like(images), chunk_size=chunk_size))
        size = float(maps[0].abs().max())
        assert size > 0
        torch.testing.assert_close(maps[1], maps[0], atol=1e-5 * size, rtol=0)


@pytest.mark.parametrize("kind", ["open_clip", "clip"])
def test_what_patches_lack_of_the_difference_is_the_share_of_the_class_token(kind: str) -> None:
    """The class token's share, which has no place in a map, as captum finds it."""
    layer = {"open_clip": "transformer.resblocks.0", "clip": "model.vision_model.encoder.layers.0"}[kind]
    encoder, images = made(PAIRS[kind]), pictures(2)
    black, rows = torch.zeros_like(images), torch.arange(2)
    scorer = Scorer(encoder, text_target(encoder))
    sums = LayerIntegratedGradients(num_steps=16, layer=layer)(scorer, images, black).sum(dim=(2, 3))
    difference = (scorer(images, rows) - scorer(black, rows)).T
    for k in range(2):
        method = CaptumLayerIntegratedGradients(
            lambda images, k=k: scorer(images, torch.zeros(len(images), dtype=torch.int64))[:, k], encoder.module.get_submodule(layer)
        )
        tokens = method.attribute(images, black, n_steps=16).sum(dim=2).detach().float()
        torch.testing.assert_close(sums[k], tokens[:, 1:].sum(dim=1), atol=1e-6, rtol=1e-3)
        torch.testing.assert_close(sums[k] + tokens[:, 0], difference[k], atol=1e-6, rtol=1e-3)
        assert float(tokens[:, 0].abs().max()) > 1e-3 * float(difference.abs().max())


def test_pooling_by_attention_leaves_nothing_out_at_the_layer_that_is_found() -> None:
    encoder, images = made(PAIRS["siglip"]), pictures(2)
    black, rows = torch.zeros_like(images), torch.arange(2)
    scorer = Scorer(encoder, text_target(encoder))
    sums = LayerIntegratedGradients(num_steps=16)(scorer, images, black).sum(dim=(2, 3))
    torch.testing.assert_close(sums, (scorer(images, rows) - scorer(black, rows)).T, atol=1e-6, rtol=1e-3)


def test_captum_s_layer_methods_need_the_batch_in_front() -> None:
    encoder, images = made(PAIRS["sequence first"]), pictures(2)
    with pytest.raises(DataError, match=r"captum's LayerGradCam: layer=transformer.resblocks.1.ln_1 returns tokens \(T, B, D\)"):
        FromCaptum("LayerGradCam")(Scorer(encoder, text_target(encoder)), images, images)


def test_layer_integrated_gradients_take_the_first_tokens_and_grad_cam_the_last() -> None:
    """Late tokens have looked at one another; the gradient of early ones says little of what comes after."""
    encoder = open_clip_pair(open_clip_model())
    modules, image = dict(encoder.module.named_modules()), torch.Size([3, SIDE, SIDE])
    first, _ = spatial_layer(encoder, modules, image, encoder.device, first_of_tokens=True)
    last, _ = spatial_layer(encoder, modules, image, encoder.device)
    names = list(modules)
    block = next(name for name in names if name.endswith("resblocks.0"))
    assert names.index(first) < names.index(block) < names.index(last)
