"""What is not opened: one line each, nothing executed, nothing loaded in part."""

from __future__ import annotations

import argparse
import collections
import pickle
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
import torchvision
from omegaconf import OmegaConf
from torch import Tensor, nn

from cocoa_pl.errors import CocoaError
from cocoa_pl.models.sources import open_foreign
from tests.models.sources.conftest import Saves, drawn, hollow, noted, prefixed, reps, run, state, without_fc


class Evil:
    """Its pickle makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)

    def __reduce__(self) -> tuple[Callable[..., object], tuple[str, str]]:
        return open, (self.path, "w")


def refusal(path: Path | None, encoder: str | None = None, **options: Any) -> str:
    with pytest.raises(CocoaError) as caught:
        open_foreign(path, encoder=encoder, **options)
    assert "\n" not in str(caught.value)
    return f"{caught.type.__name__}: {caught.value}"


class TestFiles:
    @pytest.mark.parametrize("name", ["net.pth", "net.safetensors", "net.pt2"])
    @pytest.mark.parametrize("encoder", [None, "torchvision:resnet18"])
    def test_missing_empty_folder_or_something_else(self, tmp_path: Path, name: str, encoder: str | None) -> None:
        path = tmp_path / name
        assert refusal(path, encoder) == f"CheckpointError: {path}: no such checkpoint"
        path.mkdir()
        assert "a folder" in refusal(path, encoder)
        path.rmdir()
        path.write_bytes(b"")
        assert "an empty file" in refusal(path, encoder)

    @pytest.mark.parametrize(
        "content", [b"hello", b"<html><body>404</body></html>", b"\x89PNG\r\n\x1a\n", b"PK", b"PK\x03\x04 and no more"]
    )
    def test_no_file_of_torch(self, tmp_path: Path, content: bytes) -> None:
        (tmp_path / "net.pth").write_bytes(content)
        assert "net.pth: cannot be read" in refusal(tmp_path / "net.pth")

    @pytest.mark.parametrize("old", [False, True])
    @pytest.mark.parametrize("share", [0.002, 0.5, 0.999])
    def test_truncated(self, tmp_path: Path, share: float, old: bool) -> None:
        path = tmp_path / "net.pth"
        torch.save(nn.Linear(100, 100).state_dict(), path, _use_new_zipfile_serialization=not old)
        whole = path.read_bytes()
        path.write_bytes(whole[: int(share * len(whole))])
        assert "net.pth: " in refusal(path)

    def test_safetensors_of_nothing(self, tmp_path: Path) -> None:
        (tmp_path / "net.safetensors").write_bytes(b"0123456789 no header")
        assert "not safetensors" in refusal(tmp_path / "net.safetensors")

    @pytest.mark.parametrize("content", [{}, {"epoch": 1}, [torch.zeros(3)], "text", 3])
    def test_no_weights(self, saved: Saves, content: object) -> None:
        assert "holds no weights" in refusal(saved(content))


class TestOptions:
    def test_neither_file_nor_encoder(self) -> None:
        assert refusal(None).startswith("ConfigError: give --ckpt or --encoder (torchvision:NAME, ")
        assert refusal(None, "torchvision:resnet18") == "ConfigError: --encoder torchvision:resnet18: give its weights by --ckpt"
        assert refusal(None, "torchscript") == "ConfigError: --encoder torchscript: give its weights by --ckpt"

    @pytest.mark.parametrize(
        ("encoder", "words"),
        [
            ("resnet18", "--encoder resnet18: unknown; choose from: torchvision:NAME, .* (did you mean torchvision:resnet18?)"),
            ("torchvision:", "--encoder torchvision:: unknown; choose from: "),
            ("torchvision:resnet19", "torchvision has no such network; the nearest of 80: resnet1"),
            ("timm:resnet10", "timm has no such network; the nearest of"),
            ("timm:resnet10t.no_such_tag", "timm has no weights of this tag; choose from: resnet10t.c3_in1k"),
        ],
    )
    def test_an_unknown_encoder(self, saved: Saves, encoder: str, words: str) -> None:
        line = refusal(saved({}), encoder)
        assert line.startswith("ConfigError: ")
        assert all(part in line for part in words.split(".*"))

    @pytest.mark.parametrize(
        ("options", "words"),
        [
            ({"image_size": 0}, "image_size=0: must be at least 1 px"),
            ({"mean": (0.5, 0.5)}, "mean=(0.5, 0.5): must be one value in [0, 1]"),
            ({"mean": (123.7, 116.3, 103.5)}, "mean=(123.7, 116.3, 103.5): must be"),
            ({"std": (0.2, 0.2, 0.0)}, "std=(0.2, 0.2, 0.0): must be above 0"),
        ],
    )
    def test_values_out_of_range(self, options: dict[str, Any], words: str) -> None:
        assert words in refusal(None, **options)

    def test_a_size_that_an_architecture_does_not_take(self, saved: Saves) -> None:
        line = refusal(saved(drawn(timm.create_model("test_vit", pretrained=False)).state_dict()), "timm:test_vit", image_size=50)
        assert "timm test_vit: does not take images (1, 3, 50, 50) (AssertionError: " in line

    def test_timm_is_not_installed(self, saved: Saves, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "timm", None)
        assert refusal(saved({}), "timm:resnet10t") == (
            "ConfigError: --encoder timm:resnet10t needs timm, which is not installed: pip install timm"
        )

    def test_safetensors_is_not_installed(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "safetensors.torch", None)
        (tmp_path / "net.safetensors").write_bytes(b"anything")
        assert "needs safetensors, which is not installed: pip install safetensors" in refusal(tmp_path / "net.safetensors")


class TestPickles:
    @pytest.mark.parametrize("encoder", [None, "torchvision:resnet18"])
    def test_code_in_a_checkpoint_is_not_executed(self, saved: Saves, tmp_path: Path, encoder: str | None) -> None:
        victim = tmp_path / "executed"
        path = saved({"state_dict": hollow("resnet18").state_dict(), "hyper_parameters": {"callback": Evil(victim)}})
        line = refusal(path, encoder)
        assert not victim.exists()
        assert line.startswith(f"CheckpointError: {path}: holds io.open, which is more than weights and plain values")
        assert "nothing was executed" in line
        assert "--trust-pickle opens it: only for files from people you trust, for loading it executes code in it" in line

    @pytest.mark.parametrize("trust", [False, True])
    @pytest.mark.parametrize("protocol", [2, 4, 5])
    def test_code_in_a_bare_pickle_is_never_executed(self, tmp_path: Path, protocol: int, trust: bool) -> None:
        victim = tmp_path / "executed"
        (tmp_path / "evil.pth").write_bytes(pickle.dumps(Evil(victim), protocol=protocol))
        line = refusal(tmp_path / "evil.pth", trust_pickle=trust)
        assert "a pickle that torch.save did not write, not a checkpoint (it calls " in line
        assert "open); nothing was executed" in line
        assert not victim.exists()

    def test_stand_ins_run_no_code_of_the_classes_they_stand_for(
        self, resnet: nn.Module, resnet_reps: Tensor, images: Tensor, saved: Saves, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:  # fmt: skip
        from lightning_fabric.utilities.data import AttributeDict

        harmless = {
            "args": argparse.Namespace(lr=0.1, out=tmp_path),
            "cfg": OmegaConf.create({"a": [1, "b", None, 2.5, True], "p": Path("x")}),
            "counts": collections.defaultdict(list, a=[1]),
            "attributes": AttributeDict(lr=0.1),
            "metric": np.float64(0.5),
            "metrics": {"top1": np.float32(3)},
        }
        path = saved({"state_dict": resnet.state_dict(), **harmless})
        for owner in (argparse.Namespace, type(harmless["cfg"])):
            monkeypatch.setattr(owner, "__setstate__", lambda self, state: pytest.fail("its code ran"), raising=False)
        allowed = set(torch.serialization.get_safe_globals())
        assert torch.equal(reps(open_foreign(path, encoder=None), images), resnet_reps)
        assert set(torch.serialization.get_safe_globals()) == allowed

    def test_trusted_hyper_parameters(self, resnet: nn.Module, resnet_reps: Tensor, images: Tensor, saved: Saves) -> None:
        path = saved({"state_dict": resnet.state_dict(), "hyper_parameters": {"last": collections.deque([1])}})
        assert "holds collections.deque" in refusal(path)
        opened = open_foreign(path, encoder=None, trust_pickle=True)
        assert torch.equal(reps(opened, images), resnet_reps)
        assert noted(opened, "a trusted pickle")

    def test_a_trusted_file_of_weights_alone_executes_nothing(self, saved: Saves) -> None:
        assert not noted(open_foreign(saved(hollow("resnet18").state_dict()), encoder=None, trust_pickle=True), "trusted pickle")

    @pytest.mark.parametrize("nested", [False, True])
    def test_a_whole_network(self, images: Tensor, saved: Saves, nested: bool) -> None:
        network = without_fc(drawn(torchvision.models.resnet18(weights=None)))
        path = saved({"epoch": 3, "model": network} if nested else network)
        assert "torchvision.models.resnet.ResNet" in refusal(path)
        opened = open_foreign(path, encoder=None, trust_pickle=True, image_size=64)
        assert torch.equal(reps(opened, images), run(network, images))
        assert opened.name == "ResNet of net.pth"
        assert len(opened.fingerprint) == 64
        named = open_foreign(path, encoder="torchvision:resnet18", trust_pickle=True, image_size=64)
        assert torch.equal(reps(named, images), run(network, images))

    def test_a_network_whose_class_is_gone(self, saved: Saves, monkeypatch: pytest.MonkeyPatch) -> None:
        module = types.ModuleType("gone_with_the_wind")
        module.Net = type("Net", (nn.Linear,), {"__module__": "gone_with_the_wind"})  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "gone_with_the_wind", module)
        path = saved(module.Net(2, 2))
        monkeypatch.delitem(sys.modules, "gone_with_the_wind")
        assert "holds gone_with_the_wind.Net" in refusal(path)
        line = refusal(path, trust_pickle=True)
        assert "cannot be loaded, even trusted (ModuleNotFoundError: No module named 'gone_with_the_wind')" in line


class TestMatching:
    def test_another_architecture(self, saved: Saves) -> None:
        path = saved(state(prefixed("backbone.", hollow("resnet18"))))
        line = refusal(path, "torchvision:resnet50")
        assert line.startswith(f"CheckpointError: {path}: does not hold the weights of torchvision resnet50; ")
        assert "of 318 weights match under 'state_dict.backbone.'" in line
        assert "missing, the first 'layer1.0.conv3.weight'" in line
        assert "of another shape, the first 'layer1.0.conv1.weight' (64, 64, 3, 3) where (64, 64, 1, 1) is needed" in line
        assert line.endswith("did you mean --encoder torchvision:resnet18?")

    def test_weights_of_a_deeper_network_are_not_loaded_in_part(self, saved: Saves) -> None:
        path = saved(hollow("resnet34").state_dict())
        line = refusal(path, "torchvision:resnet18")
        assert "120 of 120 weights match under '', 80 too many, the first 'layer1.2.conv1.weight'" in line
        assert line.endswith("did you mean --encoder torchvision:resnet34?")

    @pytest.mark.parametrize("encoder", [None, "torchvision:resnet18"])
    def test_one_missing_weight(self, saved: Saves, encoder: str | None) -> None:
        line = refusal(saved(prefixed("backbone.", hollow("resnet18"), without=["layer4.1.bn2.running_var"])), encoder)
        assert "119 of 120 weights match under 'backbone.', 1 missing, the first 'layer4.1.bn2.running_var'" in line
        assert ("--encoder torchvision:NAME, timm:NAME or package.module:function" in line) == (encoder is None)

    def test_nothing_of_the_kind(self, saved: Saves) -> None:
        path = saved(nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 5)).state_dict())
        assert "holds no weights of torchvision resnet18; it has 4 tensors: 0.bias, 0.weight, 1.bias and 1 more" in (
            refusal(path, "torchvision:resnet18")
        )
        assert "holds no encoder that is recognised (4 tensors, the first '0.weight')" in refusal(path)

    def test_one_channel(self, saved: Saves) -> None:
        grey = {**hollow("resnet18").state_dict(), "conv1.weight": torch.zeros(64, 1, 7, 7)}
        assert "the first 'conv1.weight' (64, 1, 7, 7) where (64, 3, 7, 7) is needed" in refusal(saved(grey))

    def test_two_encoders(self, saved: Saves) -> None:
        other = hollow("resnet34")
        path = saved({**prefixed("image.", hollow("resnet18")), **prefixed("depth.", other)})
        assert "holds several encoders; choose: --encoder torchvision:resnet34 or torchvision:resnet18" in refusal(path)
        assert open_foreign(path, encoder="torchvision:resnet18").name == "torchvision resnet18"

    def test_distilled_from_another(self, saved: Saves) -> None:
        teacher = hollow("resnet34")
        path = saved({"student": prefixed("backbone.", hollow("resnet18")), "teacher": prefixed("backbone.", teacher)})
        assert open_foreign(path, encoder=None).name == "torchvision resnet18"

    def test_a_sequential_with_a_layer_before_the_network(self, saved: Saves) -> None:
        shifted = {
            f"{int(name.partition('.')[0]) + 1}.{name.partition('.')[2]}": value for name, value in _places(hollow("resnet18")).items()
        }
        assert "holds no encoder that is recognised" in refusal(saved({**shifted, "0.weight": torch.ones(3)}))


def _places(network: nn.Module) -> dict[str, Tensor]:
    return dict(nn.Sequential(*list(network.children())[:-1]).state_dict())
