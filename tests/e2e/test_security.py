"""Files from others: nothing in them is executed, none of them grows without bounds, and reports tell nothing of the machine."""

from __future__ import annotations

import ast
import os
import shutil
import struct
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import cocoa_pl
from cocoa_pl import runs
from cocoa_pl.asking.cache import load_reps
from cocoa_pl.cli import Request, parse_explain, parse_train
from cocoa_pl.config import load_config, read_yaml
from cocoa_pl.data.inputs import load_pictures
from cocoa_pl.errors import CheckpointError, ConfigError, DataError
from cocoa_pl.models.checkpoint import read_checkpoint
from cocoa_pl.models.sources import is_ours
from cocoa_pl.models.sources.readers import read_weights
from cocoa_pl.pictures import read_picture
from tests.e2e.asking import FEW, explain
from tests.e2e.mutations import STRANGERS

PACKAGE = Path(cocoa_pl.__file__).parent
_MAY = {
    "torch.load": {"models/checkpoint.py", "models/sources/readers.py", "runs/resuming.py"},
    "torch.jit.load": {"models/sources/programs.py"},
    "torch.export.load": {"models/sources/programs.py"},
    "subprocess.run": {"callbacks/signals.py"},  # scontrol, with the number of the job
}
"""Who may call what can execute code, in the package; what each is given is tested elsewhere."""
_NEVER = {"eval", "exec", "compile", "os.system", "os.popen", "pickle.load", "pickle.loads", "yaml.unsafe_load", "yaml.full_load"}


def _calls() -> Iterator[tuple[str, str, ast.Call]]:
    """File, dotted name and node of every call in the package."""
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call):
                yield str(path.relative_to(PACKAGE)), ast.unparse(node.func), node


class TestCode:
    def test_nothing_in_the_package_can_execute_what_it_is_given(self) -> None:
        for file, name, node in _calls():
            assert name not in _NEVER, f"{file}:{node.lineno} {name}"
            assert name in _MAY or not name.startswith("subprocess."), f"{file}:{node.lineno} {name}"
            assert not any(keyword.arg == "shell" for keyword in node.keywords), f"{file}:{node.lineno} {name}"
            assert file in _MAY.get(name, {file}), f"{file}:{node.lineno} {name}"

    def test_every_loader_of_numpy_and_torch_is_told_to_load_values_only(self) -> None:
        found = {"np.load": ("allow_pickle", "False"), "torch.load": ("weights_only", None)}
        seen = set()
        for file, name, node in _calls():
            if name in found:
                word, value = found[name]
                given = [ast.unparse(keyword.value) for keyword in node.keywords if keyword.arg == word]
                assert given, f"{file}:{node.lineno}"
                assert value is None or given == [value], f"{file}:{node.lineno}"
                seen.add(name)
        assert seen == set(found)


class TestConfigs:
    @pytest.mark.parametrize("text", ["run: {name: '${oc.env:COCOA_SECRET}'}", "explain: {views: ['${oc.env:COCOA_SECRET}']}"])
    def test_the_environment_is_not_read(self, text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("COCOA_SECRET", "hunter2")
        (tmp_path / "x.yaml").write_text(text)
        with pytest.raises(ConfigError, match="the value itself") as caught:
            load_config(read_yaml(tmp_path / "x.yaml"))
        assert "hunter2" not in str(caught.value)
        with pytest.raises(ConfigError, match=r"run\.root"):
            load_config(overrides=["run.root=${oc.env:COCOA_SECRET}"])

    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ("a: &a [x, x]\nb: [*a, *a]", "an alias"),
            ("run: &a {name: *a}", "an alias"),
            ("run: {name: " + "[" * 100 + "]" * 100 + "}", "more than 16 deep"),
            ("run: {name: [" + "x," * 10_001 + "]}", "more than 10000 values"),
            ("#" * 70_000, "more than 65536 bytes"),
            ("run: {seed: 0x" + "f" * 9000 + "}", "more than 30 digits"),
            ("run: !!python/object/apply:os.system ['true']", "could not determine a constructor"),
        ],
        ids=["alias", "endless", "deep", "many", "long", "digits", "code"],
    )
    def test_a_file_is_no_bomb(self, text: str, words: str, tmp_path: Path) -> None:
        (tmp_path / "x.yaml").write_text(text)
        with pytest.raises(ConfigError, match=words) as caught:
            read_yaml(tmp_path / "x.yaml")
        assert len(str(caught.value)) < 600

    @pytest.mark.parametrize("value", [r'"a\0b"', r'"\ud800"'])
    def test_a_text_that_no_file_can_be_called_is_refused(self, value: str) -> None:
        with pytest.raises(ConfigError, match=r"run\.root=.*must be a text"):
            load_config(overrides=[f"run.root={value}"])

    def test_a_pipe_is_not_opened(self, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "x.yaml")
        with pytest.raises(ConfigError, match="neither a file nor a folder"):
            read_yaml(tmp_path / "x.yaml")


class TestCheckpoints:
    @pytest.fixture
    def checkpoint(self, smoke_run: Path) -> dict[str, Any]:
        loaded: dict[str, Any] = torch.load(smoke_run / "last.ckpt", weights_only=True)
        return loaded

    def test_one_that_unfolds_is_not_opened(self, smoke_run: Path, tmp_path: Path) -> None:
        """Zeros, packed to a thousandth; the bytes of the archive are few, and would be few whatever it unfolded to."""
        path = tmp_path / "bomb.ckpt"
        with zipfile.ZipFile(smoke_run / "last.ckpt") as good, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name in good.namelist():
                archive.writestr(name, good.read(name))
            archive.writestr("archive/data/9999", bytes(2**24))
        with pytest.raises(CheckpointError, match="unfolds to"):
            read_checkpoint(path)
        with pytest.raises(CheckpointError, match="unfolds to"):
            read_weights(path, kind="weights", trust_pickle=False)
        assert not is_ours(path)

    @pytest.mark.parametrize(
        ("place", "name", "value", "words"),
        [
            ("", "epoch", "3", "epoch is missing or not what"),
            ("", "epoch", -2, "epoch, global_step"),
            ("", "state_dict", {"backbone.stem": 3}, "state_dict"),
            ("cocoa_pl", "image_size", 10**9, "image_size"),
            ("cocoa_pl", "std", [0.0, 0.1, 0.1], "mean, std"),
            ("cocoa_pl", "mean", [float("nan")] * 3, "mean, std"),
            ("cocoa_pl", "num_classes", -1, "num_classes"),
            ("cocoa_pl", "config", ["run"], "config"),
        ],
    )
    def test_what_is_relied_on_is_checked(
        self, place: str, name: str, value: object, words: str, checkpoint: dict[str, Any], tmp_path: Path
    ) -> None:
        (checkpoint[place] if place else checkpoint)[name] = value
        torch.save(checkpoint, tmp_path / "x.ckpt")
        with pytest.raises(CheckpointError, match=words):
            read_checkpoint(tmp_path / "x.ckpt")

    def test_a_config_without_an_end_is_refused(self, checkpoint: dict[str, Any], tmp_path: Path) -> None:
        checkpoint["cocoa_pl"]["config"]["run"] = checkpoint["cocoa_pl"]["config"]
        torch.save(checkpoint, tmp_path / "x.ckpt")
        with pytest.raises(CheckpointError, match="its config is nested more than 16 deep"):
            read_checkpoint(tmp_path / "x.ckpt")

    @pytest.mark.filterwarnings("ignore:.* instead of")  # the defaults ask for more than the smallest of runs has
    def test_a_config_without_a_section_has_its_defaults(self, smoke_run: Path, checkpoint: dict[str, Any], tmp_path: Path) -> None:
        del checkpoint["cocoa_pl"]["config"]["augment"], checkpoint["cocoa_pl"]["config"]["explain"]
        torch.save(checkpoint, tmp_path / "x.ckpt")
        report = explain(
            "--ckpt", tmp_path / "x.ckpt", *FEW, "explain.num_explicands=1", "explain.views=[original]", out=tmp_path / "report"
        )
        assert report["num_finished"] == 1

    def test_options_of_somebody_else_s_without_an_end_are_refused(self, tmp_path: Path) -> None:
        laughs: Any = "ha"
        for _ in range(30):
            laughs = [laughs] * 9
        torch.save({"state_dict": {"w": torch.zeros(2)}, "hyper_parameters": {"a": laughs}}, tmp_path / "x.ckpt")
        with pytest.raises(CheckpointError, match="holds more than"):
            read_weights(tmp_path / "x.ckpt", kind="weights", trust_pickle=False)

    def test_a_state_that_does_not_fit_costs_a_run_nothing(self, smoke_run: Path, checkpoint: dict[str, Any], tmp_path: Path) -> None:
        """Not a row of metrics.csv, though the checkpoint is said to be of an earlier epoch."""
        run = shutil.copytree(smoke_run, tmp_path / "run")
        before = (run / "metrics.csv").read_bytes()
        checkpoint["epoch"] = checkpoint["global_step"] = 0
        checkpoint["optimizer_states"] = [{"state": {}, "param_groups": []}]
        torch.save(checkpoint, run / "last.ckpt")
        config, path = parse_train(["--resume", str(run)])
        with pytest.raises(CheckpointError, match="its state does not fit the run"):
            runs.train(config, resume=path)
        assert (run / "metrics.csv").read_bytes() == before

    def test_a_pipe_is_not_opened(self, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "x.ckpt")
        with pytest.raises(CheckpointError, match="no such checkpoint"):
            parse_explain(["--ckpt", str(tmp_path / "x.ckpt")])
        with pytest.raises(CheckpointError, match="no such checkpoint"):
            runs.explain(Request((tmp_path / "x.ckpt",)))


class TestArrays:
    def test_a_head_that_declares_more_than_there_is(self, tmp_path: Path) -> None:
        np.save(tmp_path / "x.npy", np.ones((4, 8), dtype=np.float32))
        content = (tmp_path / "x.npy").read_bytes()
        (tmp_path / "x.npy").write_bytes(content.replace(b"(4, 8), }" + b" " * 12, b"(1000000000000, 8), }"))
        with pytest.raises(DataError, match=r"x\.npy cannot be read as an array"):
            load_reps(tmp_path / "x.npy")

    def test_an_archive_that_unfolds_is_not_opened(self, tmp_path: Path) -> None:
        """Only its directory says so: the size in it is made larger, as if there were two GiB of zeros."""
        np.savez_compressed(tmp_path / "x.npz", reps=np.zeros((1000, 8), dtype=np.float32))
        content = bytearray((tmp_path / "x.npz").read_bytes())
        at = content.index(b"PK\x01\x02")
        content[at + 24 : at + 28] = struct.pack("<I", 2**31)
        (tmp_path / "x.npz").write_bytes(content)
        with pytest.raises(DataError, match="unfolds to"):
            load_reps(tmp_path / "x.npz")


class TestPictures:
    @pytest.mark.parametrize("content", STRANGERS, ids=["EPS", "SVG", "PPM", "WMF"])
    @pytest.mark.parametrize("name", ["x.png", "x.jpg", "x.eps"])
    def test_formats_that_are_not_named_are_not_tried(self, name: str, content: bytes, tmp_path: Path) -> None:
        (tmp_path / name).write_bytes(content)
        with pytest.raises(DataError, match="none of JPEG, PNG, WEBP, TIFF, GIF, BMP"):
            read_picture(tmp_path / name)

    def test_text_that_unfolds_is_not_kept(self, tmp_path: Path) -> None:
        """A PNG with a text of 100 MB of zeros, packed; it is refused or read without."""
        Image.new("RGB", (8, 8)).save(tmp_path / "x.png")
        content = (tmp_path / "x.png").read_bytes()
        data = b"Comment\0\0" + zlib.compress(bytes(10**8))
        chunk = struct.pack(">I", len(data)) + b"zTXt" + data + struct.pack(">I", zlib.crc32(b"zTXt" + data))
        (tmp_path / "x.png").write_bytes(content[:33] + chunk + content[33:])
        with pytest.raises(DataError, match=r"x\.png cannot be read as a picture"):
            read_picture(tmp_path / "x.png")

    def test_a_pipe_is_not_opened(self, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "x.png")
        with pytest.raises(DataError, match="neither a file nor a folder"):
            read_picture(tmp_path / "x.png")
        source = load_pictures([tmp_path], size=8)
        for read in (source.digest, source.picture):
            with pytest.raises(DataError, match="neither a file nor a folder"):
                read(0)
