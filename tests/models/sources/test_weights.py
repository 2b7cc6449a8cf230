"""Weights of known architectures, named or guessed: the opened network equals the original one to the last bit."""

from __future__ import annotations

import argparse
import copy
import json
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
import torchvision
from omegaconf import OmegaConf
from safetensors.torch import save_file
from torch import Tensor, nn

from cocoa_pl.models.sources import is_ours, open_foreign
from cocoa_pl.models.sources.matching import fits
from cocoa_pl.models.sources.reports import notes
from cocoa_pl.models.sources.torchvision_models import TorchvisionNetwork
from tests.models.sources.conftest import Saves, drawn, explainable, hollow, noted, prefixed, reps, run, sequential, state, without_fc


def for_small_images(padding: int) -> nn.Module:
    network = torchvision.models.resnet18(weights=None)
    network.conv1, network.maxpool = nn.Conv2d(3, 64, 3, padding=padding, bias=False), nn.Identity()
    return without_fc(drawn(network))


@pytest.fixture(scope="module")
def cifar() -> nn.Module:
    return for_small_images(1)


@pytest.fixture(scope="module")
def solo_learn() -> nn.Module:
    return for_small_images(2)


class TestTorchvision:
    def test_a_plain_state_dict(self, resnet: nn.Module, resnet_reps: Tensor, images: Tensor, saved: Saves) -> None:
        opened = open_foreign(saved(resnet.state_dict()), encoder="torchvision:resnet18")
        assert torch.equal(reps(opened, images), resnet_reps)
        assert opened.name == "torchvision resnet18"
        assert (opened.mean, opened.std, opened.image_size) == ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225), 224)
        assert noted(opened, "not used: fc (2)")
        assert noted(opened, "assumed")
        assert not opened.module.training
        explainable(opened, images)

    def test_what_is_asked_for_counts_more_than_what_is_known(self, saved: Saves) -> None:
        opened = open_foreign(
            saved(hollow("resnet18").state_dict()), encoder="torchvision:resnet18", image_size=48, mean=(0.5,), std=(0.25, 0.5, 0.5)
        )
        assert (opened.mean, opened.std, opened.image_size) == ((0.5, 0.5, 0.5), (0.25, 0.5, 0.5), 48)
        assert not noted(opened, "assumed")

    def test_half_precision_weights_become_float32(self, resnet: nn.Module, images: Tensor, saved: Saves) -> None:
        half = {name: value.bfloat16() if value.is_floating_point() else value for name, value in resnet.state_dict().items()}
        opened = open_foreign(saved(half), encoder="torchvision:resnet18")
        assert {value.dtype for value in opened.module.parameters()} == {torch.float32}
        rounded = without_fc(copy.deepcopy(resnet).bfloat16().float())
        assert torch.equal(reps(opened, images), run(rounded, images))

    def test_counters_of_batch_norms_may_be_missing(self, resnet: nn.Module, resnet_reps: Tensor, images: Tensor, saved: Saves) -> None:
        old = {name: value for name, value in resnet.state_dict().items() if not name.endswith("num_batches_tracked")}
        opened = open_foreign(saved(old), encoder="torchvision:resnet18")
        assert torch.equal(reps(opened, images), resnet_reps)
        assert noted(opened, "20 counters of batch norms")

    def test_safetensors(self, resnet: nn.Module, resnet_reps: Tensor, images: Tensor, tmp_path: Path) -> None:
        save_file(resnet.state_dict(), tmp_path / "net.safetensors")
        assert torch.equal(reps(open_foreign(tmp_path / "net.safetensors", encoder=None), images), resnet_reps)

    def test_files_of_old_torch(self, resnet: nn.Module, resnet_reps: Tensor, images: Tensor, tmp_path: Path) -> None:
        torch.save(resnet.state_dict(), tmp_path / "old.pth.tar", _use_new_zipfile_serialization=False)
        assert torch.equal(reps(open_foreign(tmp_path / "old.pth.tar", encoder=None), images), resnet_reps)

    def test_positions_for_other_images(self) -> None:
        with torch.device("meta"):
            network = torchvision.models.vit_b_32(weights=None, image_size=64, num_classes=7)
        shapes = {f"vit.{name}": value.shape for name, value in network.state_dict().items()}
        architecture = TorchvisionNetwork("vit_b_32")
        best = fits(architecture, shapes)[0]
        assert best.complete
        assert best.variant.image_size == architecture.preparation(best.variant).image_size == 64
        assert list(notes(best, [best], shapes, architecture.skeleton(best.variant))) == [
            "weights found under 'vit.'; the prefix is taken off",
            "attention heads (12) are those of torchvision vit_b_32: weights do not tell them",
            "not used: heads (2)",
        ]

    @pytest.mark.parametrize("whole", [False, True], ids=["with its classifier", "without any"])
    def test_a_classifier_of_several_layers(self, images: Tensor, saved: Saves, whole: bool) -> None:
        network = drawn(torchvision.models.mobilenet_v3_small(weights=None))
        if whole:
            network.classifier = nn.Identity()
        path = saved(network.state_dict())
        if not whole:
            network.classifier[-1] = nn.Identity()
        opened = open_foreign(path, encoder=None)
        assert torch.equal(reps(opened, images), run(network, images))
        assert noted(opened, "nothing of 'classifier'") == whole


class TestNestingAndPrefixes:
    @pytest.mark.parametrize(
        ("prefix", "nested"),
        [
            ("module.", False),
            ("backbone.", True),
            ("encoder.", True),
            ("net.0._orig_mod.", True),
            ("student_backbone.", True),
        ],
    )
    def test_any_prefix(
        self, resnet: nn.Module, resnet_reps: Tensor, images: Tensor, saved: Saves, prefix: str, nested: bool
    ) -> None:  # fmt: skip
        weights = {**prefixed(prefix, resnet, without=["fc."]), "projection_head.0.weight": torch.zeros(8, 512)}
        opened = open_foreign(saved(state(weights) if nested else weights), encoder=None, image_size=64)
        assert torch.equal(reps(opened, images), resnet_reps)
        assert noted(opened, prefix)
        assert noted(opened, "--encoder torchvision:resnet18")
        assert noted(opened, "not used: projection_head (1)")

    def test_moco(self, resnet: nn.Module, resnet_reps: Tensor, images: Tensor, saved: Saves) -> None:
        other = drawn(torchvision.models.resnet18(weights=None), seed=3)
        weights = {**prefixed("module.encoder_k.", other), **prefixed("module.encoder_q.", resnet), "module.queue": torch.zeros(128, 16)}
        opened = open_foreign(
            saved({"epoch": 200, "arch": "resnet18", "state_dict": weights, "optimizer": {"state": {0: {}}}}), encoder=None
        )
        assert torch.equal(reps(opened, images), resnet_reps)
        assert noted(opened, "weights found under 'state_dict.module.encoder_q.'")
        assert noted(opened, "weights that fit are also under 'state_dict.module.encoder_k.'; not taken")
        assert noted(opened, "not used: encoder_k (122), encoder_q.fc (2), queue (1)")

    @pytest.mark.parametrize("names", [("student", "teacher"), ("online_network", "target_network"), ("model", "model_ema")])
    def test_the_trained_encoder_is_preferred(
        self, resnet: nn.Module, resnet_reps: Tensor, images: Tensor, saved: Saves, names: tuple[str, str]
    ) -> None:  # fmt: skip
        other = drawn(torchvision.models.resnet18(weights=None), seed=3)
        trained, averaged = names
        content = {
            averaged: prefixed("backbone.", other),
            trained: prefixed("module.backbone.", resnet),
            "args": argparse.Namespace(arch="x"),
        }
        opened = open_foreign(saved(content), encoder="torchvision:resnet18", image_size=64)
        assert torch.equal(reps(opened, images), resnet_reps)
        assert noted(opened, f"also under '{averaged}.backbone.'")

    def test_only_the_averaged_encoder_is_there(self, resnet: nn.Module, resnet_reps: Tensor, images: Tensor, saved: Saves) -> None:
        opened = open_foreign(saved({"teacher": prefixed("backbone.", resnet)}), encoder=None, image_size=64)
        assert torch.equal(reps(opened, images), resnet_reps)

    @pytest.mark.parametrize("encoder", [None, "torchvision:resnet18"])
    def test_lightly_saves_children_in_a_sequential(
        self, resnet: nn.Module, resnet_reps: Tensor, images: Tensor, saved: Saves, encoder: str | None
    ) -> None:  # fmt: skip
        weights = {**sequential(resnet, "backbone."), **prefixed("projection_head.", nn.Linear(4, 4))}
        opened = open_foreign(saved(state(weights), "last.ckpt"), encoder=encoder, image_size=64)
        assert torch.equal(reps(opened, images), resnet_reps)
        assert noted(opened, "nn.Sequential")

    def test_a_real_lightning_checkpoint(self, resnet: nn.Module, resnet_reps: Tensor, images: Tensor, tmp_path: Path) -> None:
        import pytorch_lightning as pl

        class Model(pl.LightningModule):
            def __init__(self, options: argparse.Namespace) -> None:
                super().__init__()
                self.save_hyperparameters()
                self.backbone = resnet

        trainer = pl.Trainer(logger=False, enable_checkpointing=False, accelerator="cpu", default_root_dir=tmp_path)
        trainer.strategy.connect(Model(argparse.Namespace(lr=0.1, path=tmp_path)))
        trainer.save_checkpoint(tmp_path / "last.ckpt")
        assert torch.equal(reps(open_foreign(tmp_path / "last.ckpt", encoder=None, image_size=64), images), resnet_reps)


class TestSmallStems:
    def test_it_is_seen_by_the_first_convolution(self, cifar: nn.Module, images: Tensor, saved: Saves) -> None:
        opened = open_foreign(saved(state(prefixed("backbone.", cifar))), encoder=None)
        small = images[..., :32, :32]
        assert torch.equal(reps(opened, small), run(cifar, small))
        assert opened.image_size == 32
        assert noted(opened, "padding 1")
        explainable(opened, small)

    def test_a_sequential_without_the_pooling(self, cifar: nn.Module, images: Tensor, saved: Saves) -> None:
        parts = [part for name, part in cifar.named_children() if name not in ("maxpool", "fc")]
        opened = open_foreign(saved(prefixed("f.", nn.Sequential(*parts))), encoder=None)
        small = images[..., :32, :32]
        assert torch.equal(reps(opened, small), run(cifar, small))

    @pytest.mark.parametrize("where", ["flat", "nested", "omegaconf", "args.json"])
    def test_solo_learn_pads_cifar_by_two(self, solo_learn: nn.Module, images: Tensor, saved: Saves, tmp_path: Path, where: str) -> None:
        options: dict[str, Any] = {
            "method": "simclr",
            "backbone": {"name": "resnet18", "kwargs": {}},
            "data": {"dataset": "cifar100", "num_large_crops": 2},
        }
        content = state({**prefixed("backbone.", solo_learn), **prefixed("momentum_backbone.", drawn(nn.Linear(2, 2)))})
        if where == "flat":
            content["hyper_parameters"] = {"method": "simclr", "backbone": "resnet18", "dataset": "cifar100", "classifier_lr": 0.1}
        elif where == "nested":
            content["hyper_parameters"] = options
        elif where == "omegaconf":
            content["hyper_parameters"] = {"cfg": OmegaConf.create(options)}
        else:
            (tmp_path / "args.json").write_text(json.dumps(options))
        opened = open_foreign(saved(content, "simclr-ep=999.ckpt"), encoder=None)
        small = images[..., :32, :32]
        assert torch.equal(reps(opened, small), run(solo_learn, small))
        assert opened.mean == (0.5071, 0.4865, 0.4409)
        assert opened.image_size == 32
        assert noted(opened, "padding 2")

    def test_another_tools_options_do_not_pad(self, cifar: nn.Module, images: Tensor, saved: Saves, tmp_path: Path) -> None:
        options = {"method": "simclr", "backbone": "resnet18", "dataset": "cifar10"}
        (tmp_path / "args.json").write_text(json.dumps({**options, "classifier_lr": 0.1}))
        opened = open_foreign(saved({"model": cifar.state_dict(), "args": argparse.Namespace(**options)}), encoder=None)
        assert torch.equal(reps(opened, images[..., :32, :32]), run(cifar, images[..., :32, :32]))
        assert noted(opened, "padding 1")


class TestTimm:
    def test_a_state_dict(self, small: nn.Module, images: Tensor, saved: Saves) -> None:
        opened = open_foreign(saved(small.state_dict()), encoder="timm:resnet10t")
        assert torch.equal(reps(opened, images), small.forward_head(small.forward_features(images), pre_logits=True).detach())
        assert (opened.name, opened.image_size) == ("timm resnet10t", 176)
        assert noted(opened, "timm's for resnet10t")
        assert noted(opened, "not used: fc (2)")
        explainable(opened, images)

    def test_a_tag_decides_the_statistics(self, small: nn.Module, saved: Saves) -> None:
        assert open_foreign(saved(small.state_dict()), encoder="timm:resnet10t.c3_in1k").image_size == 176

    def test_a_sequential_under_a_prefix(self, small: nn.Module, images: Tensor, saved: Saves) -> None:
        opened = open_foreign(saved(state(sequential(small, "model."))), encoder="timm:resnet10t")
        assert torch.equal(reps(opened, images), small.forward_head(small.forward_features(images), pre_logits=True).detach())

    def test_positions_for_other_images(self, saved: Saves) -> None:
        network = drawn(timm.create_model("test_vit", pretrained=False, img_size=64, num_classes=0))
        opened = open_foreign(saved(network.state_dict()), encoder="timm:test_vit")
        small, wide = (torch.randn(2, 3, 64, width, generator=torch.Generator().manual_seed(2)) for width in (64, 128))
        assert torch.equal(reps(opened, small), run(network, small))
        assert opened.image_size == 64
        assert reps(opened, wide).shape == (2, 64)
        assert noted(opened, "attention heads (2)")

    def test_solo_learn_names_a_vit_of_timm(self, saved: Saves) -> None:
        network = drawn(timm.create_model("vit_tiny_patch16_224", pretrained=False, num_classes=0, img_size=64, num_heads=12))
        content = state(prefixed("backbone.", network))
        content["hyper_parameters"] = {
            "method": "mocov3",
            "backbone": {"name": "vit_tiny", "kwargs": {"img_size": 64}},
            "data": {},
            "knn_eval": {},
        }
        opened = open_foreign(saved(content), encoder=None)
        images = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(2))
        assert opened.name == "timm vit_tiny_patch16_224"
        assert torch.equal(reps(opened, images), run(network, images))


class TestFingerprint:
    def test_same_weights_in_another_file(self, resnet: nn.Module, saved: Saves) -> None:
        plain = open_foreign(saved(resnet.state_dict(), "a.pth"), encoder="torchvision:resnet18")
        nested = open_foreign(saved(state(prefixed("backbone.", resnet)), "b.ckpt"), encoder=None)
        assert len(plain.fingerprint) == 64
        assert plain.fingerprint == nested.fingerprint

    def test_one_other_weight(self, resnet: nn.Module, saved: Saves) -> None:
        weights = dict(resnet.state_dict())
        first = open_foreign(saved(weights), encoder=None).fingerprint
        weights["layer3.0.bn1.bias"] = weights["layer3.0.bn1.bias"].clone()
        weights["layer3.0.bn1.bias"][5] += 1e-3
        assert open_foreign(saved(weights), encoder=None).fingerprint != first

    def test_the_head_does_not_count(self, saved: Saves) -> None:
        resnet = hollow("resnet18")
        first = open_foreign(saved(resnet.state_dict()), encoder=None).fingerprint
        assert open_foreign(saved(prefixed("", resnet, without=["fc."])), encoder=None).fingerprint == first


def test_opening_draws_no_random_number(saved: Saves) -> None:
    path, before = saved(hollow("resnet18").state_dict()), torch.get_rng_state()
    open_foreign(path, encoder=None)
    assert torch.equal(torch.get_rng_state(), before)


def test_our_own_checkpoints_are_told_from_others(resnet: nn.Module, saved: Saves, tmp_path: Path) -> None:
    assert is_ours(saved({"state_dict": {}, "cocoa_pl": {"image_size": 32}}, "ours.ckpt"))
    assert not is_ours(saved(state({"cocoa_pl": torch.zeros(1)}), "named.ckpt"))
    assert not is_ours(saved({"state_dict": {}}, "other.ckpt"))
    assert not is_ours(saved(argparse.Namespace(cocoa_pl=1), "namespace.ckpt"))
    assert not is_ours(tmp_path)
    assert not is_ours(tmp_path / "nowhere.ckpt")
