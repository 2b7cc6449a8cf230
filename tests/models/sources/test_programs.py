"""TorchScript and exported programs: the same numbers, gradients, any batch, and one line where they are no encoders."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from cocoa_pl.encoding import FrozenEncoder
from cocoa_pl.errors import CheckpointError
from cocoa_pl.models.sources import open_foreign
from tests.models.sources.conftest import drawn, explainable, noted, reps, run


class Net(nn.Module):
    """Its .view of convolution outputs does not go with channels-last; dropout and batch norm tell a training mode."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm, self.drop, self.out = nn.Conv2d(3, 4, 5, stride=4), nn.BatchNorm2d(4), nn.Dropout(0.5), nn.Linear(900, 6)

    def forward(self, images: Tensor) -> Tensor:
        return self.out(self.drop(self.norm(self.conv(images)).relu().view(images.shape[0], -1)))


class Maps(Net):
    def forward(self, images: Tensor) -> Tensor:
        return self.norm(self.conv(images)).relu()


class Two(nn.Module):
    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        return images.mean((2, 3)), images.mean((2, 3))


class Writes(nn.Module):
    def forward(self, images: Tensor) -> Tensor:
        torch.save(images, "written")
        return images.mean((2, 3))


@pytest.fixture(autouse=True)
def _old_formats_may_be_written() -> Iterator[None]:
    """torch calls TorchScript deprecated where it writes it; the tests have to."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r".*torch\.jit\.(script|trace|save).*", category=FutureWarning)
        warnings.filterwarnings("ignore", message=r".*torch\.jit\.trace_method.*", category=FutureWarning)
        warnings.filterwarnings("ignore", category=torch.jit.TracerWarning)
        yield


def scripted(network: nn.Module, path: Path, images: Tensor, how: str = "trace") -> Path:
    program = torch.jit.trace(network, images) if how == "trace" else torch.jit.script(network)
    program.save(str(path))
    return path


def exported(network: nn.Module, path: Path, images: Tensor, batch: Any = None) -> Path:
    shapes = None if batch is None else ({0: batch},)
    torch.export.save(torch.export.export(network, (images,), dynamic_shapes=shapes), path)
    return path


class TestTorchScript:
    @pytest.mark.parametrize("encoder", [None, "torchscript"])
    @pytest.mark.parametrize("how", ["trace", "script"])
    @pytest.mark.parametrize("kind", [Net, Maps])
    def test_same_numbers(self, images: Tensor, tmp_path: Path, kind: type[Net], how: str, encoder: str | None) -> None:
        network = drawn(kind())
        path = scripted(network, tmp_path / "net.pt", images, how)
        opened = open_foreign(path, encoder=encoder, image_size=64)
        assert torch.equal(reps(opened, images), run(network, images))
        assert torch.equal(reps(opened, images[:2]), run(network, images[:2]))
        assert opened.name == "TorchScript net.pt"
        assert len(opened.fingerprint) == 64
        explainable(opened, images)

    def test_size_and_statistics_are_assumed(self, images: Tensor, tmp_path: Path) -> None:
        opened = open_foreign(scripted(drawn(Maps()), tmp_path / "net.pt", images), encoder=None)
        assert (opened.image_size, opened.mean) == (224, (0.485, 0.456, 0.406))
        assert noted(opened, "images of 224 px: assumed")
        assert noted(opened, "mean and std of the images: assumed")

    def test_a_script_in_training_mode_is_put_into_evaluation_mode(self, images: Tensor, tmp_path: Path) -> None:
        network = drawn(Net())
        opened = open_foreign(scripted(network.train(), tmp_path / "net.pt", images, "script"), encoder=None, image_size=64)
        assert torch.equal(reps(opened, images), run(network.eval(), images))

    @pytest.mark.parametrize("drop", [0.5, 0.0], ids=["dropout", "batch norm"])
    def test_a_trace_in_training_mode_is_refused(self, images: Tensor, tmp_path: Path, drop: float) -> None:
        network = drawn(Net()).train()
        network.drop = nn.Dropout(drop)
        program = torch.jit.trace(network, images, check_trace=False)
        program.save(str(tmp_path / "net.pt"))
        with pytest.raises(CheckpointError, match=r"net\.pt: one image gets other representations .* save it after \.eval\(\)"):
            open_foreign(tmp_path / "net.pt", encoder=None, image_size=64)

    def test_images_of_a_size_that_it_does_not_take(self, images: Tensor, tmp_path: Path) -> None:
        path = scripted(drawn(Net()), tmp_path / "net.pt", images)
        with pytest.raises(
            CheckpointError, match=r"net\.pt: does not take images \(2, 3, 224, 224\) \(RuntimeError: .*shapes cannot"
        ) as caught:
            open_foreign(path, encoder=None)
        assert "\n" not in str(caught.value)

    def test_more_than_one_output(self, images: Tensor, tmp_path: Path) -> None:
        with pytest.raises(CheckpointError, match="returned tuple for 2 images; it must return representations"):
            open_foreign(scripted(Two(), tmp_path / "net.pt", images), encoder=None)

    def test_a_program_that_writes_files(self, images: Tensor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        path = scripted(Writes(), tmp_path / "net.pt", images, "script")
        with pytest.raises(CheckpointError, match=r"opens files by itself; nothing was executed.*--trust-pickle"):
            open_foreign(path, encoder=None)
        assert not (tmp_path / "written").exists()
        open_foreign(path, encoder=None, trust_pickle=True)
        assert (tmp_path / "written").exists()

    def test_truncated(self, images: Tensor, tmp_path: Path) -> None:
        path = scripted(drawn(Net()), tmp_path / "net.pt", images)
        path.write_bytes(path.read_bytes()[:3000])
        with pytest.raises(CheckpointError, match=r"net\.pt: cannot be read"):
            open_foreign(path, encoder="torchscript")

    def test_weights_are_no_program(self, tmp_path: Path) -> None:
        torch.save(Net().state_dict(), tmp_path / "net.pth")
        with pytest.raises(CheckpointError, match=r"net\.pth: cannot be read, truncated or not a TorchScript program"):
            open_foreign(tmp_path / "net.pth", encoder="torchscript")

    def test_a_program_is_no_weights(self, images: Tensor, tmp_path: Path) -> None:
        path = scripted(drawn(Net()), tmp_path / "net.pt", images)
        with pytest.raises(CheckpointError, match="a program, not weights of torchvision:resnet18; leave --encoder out"):
            open_foreign(path, encoder="torchvision:resnet18")


class TestExport:
    @pytest.mark.parametrize("batch", [torch.export.Dim("batch"), torch.export.Dim("batch", min=2, max=8), torch.export.Dim.AUTO])
    @pytest.mark.parametrize("kind", [Net, Maps])
    def test_dynamic_batch(self, images: Tensor, tmp_path: Path, kind: type[Net], batch: Any) -> None:
        network = drawn(kind())
        opened = open_foreign(exported(network, tmp_path / "net.pt2", images, batch), encoder="export", trust_pickle=True)
        assert torch.equal(reps(opened, images), run(network, images))
        assert reps(opened, images[:1]).shape == run(network, images[:1]).shape
        assert reps(opened, images.repeat(7, 1, 1, 1)).shape[0] == 21
        assert opened.image_size == 64
        assert noted(opened, "the program takes no other")
        explainable(opened, images)

    @pytest.mark.parametrize("num", [1, 2, 3])
    def test_fixed_batch(self, images: Tensor, tmp_path: Path, num: int) -> None:
        network = drawn(Net())
        opened = open_foreign(exported(network, tmp_path / "net.pt2", images[:num]), encoder=None, trust_pickle=True)
        torch.testing.assert_close(reps(opened, images), run(network, images), rtol=1e-6, atol=1e-6)
        assert torch.equal(reps(opened, images[:num]), run(network, images[:num]))
        assert noted(opened, "called in pieces")
        explainable(opened, images)

    def test_frozen_encoders_of_both_precisions_run(self, images: Tensor, tmp_path: Path) -> None:
        opened = open_foreign(exported(drawn(Net()), tmp_path / "net.pt2", images), encoder=None, trust_pickle=True)
        for precision in ("32", "bf16"):
            assert FrozenEncoder(opened.module, precision=precision)(images).shape == (3, 6)

    def test_it_is_not_opened_unless_trusted(self, images: Tensor, tmp_path: Path) -> None:
        with pytest.raises(CheckpointError, match=r"net\.pt2: an exported program.*nothing was executed.*--trust-pickle"):
            open_foreign(exported(drawn(Net()), tmp_path / "net.pt2", images), encoder=None)

    def test_exported_in_training_mode(self, images: Tensor, tmp_path: Path) -> None:
        path = exported(drawn(Net()).train(), tmp_path / "net.pt2", images)
        with pytest.raises(CheckpointError, match=r"one image gets other representations"):
            open_foreign(path, encoder=None, trust_pickle=True)

    def test_another_size_is_refused(self, images: Tensor, tmp_path: Path) -> None:
        with pytest.raises(CheckpointError, match="exported for images of 64 px, not of 32; export it with dynamic sizes"):
            open_foreign(exported(drawn(Net()), tmp_path / "net.pt2", images), encoder=None, trust_pickle=True, image_size=32)

    def test_no_images(self, tmp_path: Path) -> None:
        path = exported(nn.Linear(4, 2), tmp_path / "net.pt2", torch.zeros(3, 4))
        with pytest.raises(CheckpointError, match=r"takes \[\(3, 4\)\]; it must take one batch of images"):
            open_foreign(path, encoder=None, trust_pickle=True)

    def test_truncated(self, images: Tensor, tmp_path: Path) -> None:
        path = exported(drawn(Net()), tmp_path / "net.pt2", images)
        path.write_bytes(path.read_bytes()[:3000])
        with pytest.raises(CheckpointError, match=r"net\.pt2: cannot be read"):
            open_foreign(path, encoder=None, trust_pickle=True)
