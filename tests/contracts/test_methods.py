"""Every method of training: it trains all that it has, is saved whole, and comes back as it was."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from cocoa_pl.build import build_module, build_splits, freeze, restore_module
from cocoa_pl.config import Config, load_config
from cocoa_pl.models.checkpoint import read_checkpoint
from cocoa_pl.models.module import EncoderModule
from cocoa_pl.registry import METHODS
from cocoa_pl.runs import train

DATA = {"image_text": "captioned_scenes"}  # of methods that learn from captions


def config_of(method: str) -> Config:
    return load_config(
        overrides=[
            f"model.method={method}", f"data.name={DATA.get(method, 'scenes')}", "data.num_train=32", "data.num_val=12",
            "data.batch_size=16", "data.num_bank=16", "model.width=8", "model.projection_dim=8", "model.text_width=16",
            "explain.space=projections", "explain.enabled=false", "run.logger=none", "trainer.epochs=1", "trainer.accelerator=cpu",
            "trainer.progress_bar=false", "augment.jitter=0", "augment.grayscale=0",
        ]
    )  # fmt: skip


@pytest.fixture(scope="module", params=list(METHODS))
def trained(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Config, EncoderModule, EncoderModule, Path]:
    """The config, a fresh module, the module after two steps, and its checkpoint."""
    config = config_of(request.param)
    config.run.root = str(tmp_path_factory.mktemp("method"))
    trainer = train(config)
    return config, build_module(config, build_splits(config)), trainer.lightning_module, Path(config.run.root, config.run.name, "last.ckpt")  # type: ignore[return-value]


def test_every_weight_is_trained_and_belongs_to_a_part_with_a_name(trained: tuple[Config, EncoderModule, EncoderModule, Path]) -> None:
    _, fresh, module, _ = trained
    before = dict(fresh.named_parameters())
    for name, weight in module.named_parameters():
        assert not torch.equal(weight, before[name]), name
        assert any(name.startswith(prefix) for prefix in module.trained), name
        assert bool(torch.isfinite(weight).all())


def test_it_comes_back_from_its_checkpoint(trained: tuple[Config, EncoderModule, EncoderModule, Path]) -> None:
    config, _, module, path = trained
    restored = restore_module(read_checkpoint(path), config, path=path)
    own = restored.state_dict()
    assert all(torch.equal(value, own[name]) for name, value in module.state_dict().items() if name in own)
    untrained = restore_module(read_checkpoint(path), config, path=path, untrained=True)
    assert not all(torch.equal(a, b) for a, b in zip(untrained.parameters(), restored.parameters(), strict=True))


def test_what_is_explained_are_its_projections_and_with_texts_their_text_side(
    trained: tuple[Config, EncoderModule, EncoderModule, Path],
) -> None:
    config, _, module, _ = trained
    encoder = freeze(module, config, device=torch.device("cpu"))
    images = torch.rand(2, 3, 32, 32)
    with torch.no_grad():
        expected = nn.Sequential(module.backbone, module.projector).eval()((images - module.mean) / module.std)
    torch.testing.assert_close(encoder.encode(images), expected, rtol=1e-4, atol=1e-5)
    assert (encoder.text is not None) == (config.model.method == "image_text")
    if encoder.text is not None:
        assert encoder.text.encode(["a photo of a red seven"]).shape == (1, expected.shape[1])
