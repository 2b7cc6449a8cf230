"""Bad input: one clear line, exit code 2, nothing lost and nothing half-written."""

from __future__ import annotations

import pickle
import resource
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from cocoa_pl import runs
from cocoa_pl.callbacks.guarding import Guard
from cocoa_pl.cli import Request, parse_explain, parse_train
from cocoa_pl.config import Config
from cocoa_pl.errors import CheckpointError, CocoaError, ConfigError, DataError, OutputError
from cocoa_pl.files import write_bytes
from cocoa_pl.models.simclr import SimCLR

ROOT = Path(__file__).parents[2]


def pictures(folder: Path, num: int, size: int = 24) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    for i in range(num):
        Image.fromarray(rng.integers(0, 255, (size, size, 3), dtype=np.uint8)).save(folder / f"{i:02d}.png")
    return folder


def folder_config(smoke_config: Callable[..., Config], tmp_path: Path, root: Path, *more: str) -> Config:
    return smoke_config(
        tmp_path / "runs", "data.name=image_folder", f"data.root={root}", "data.image_size=16", "data.num_train=null", "data.num_val=null",
        "data.batch_size=4", "explain.foil_size=2", "trainer.epochs=1", *more,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--ckpt", "nowhere.ckpt"], "nowhere.ckpt: no such checkpoint"),
        ([], "which checkpoint"),
        (["--ckpt", "nowhere", "explain.num_mask=3"], "did you mean 'explain.num_masks'"),
    ],
)
def test_explain_command_line(argv: list[str], message: str) -> None:
    with pytest.raises(CocoaError, match=message):
        parse_explain(argv)


def test_resume_from_nowhere() -> None:
    with pytest.raises(CheckpointError, match="no such checkpoint"):
        parse_train(["--resume", "nowhere"])


def test_script_prints_one_line_and_exits_with_2(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, str(ROOT / "explain.py"), "--ckpt", str(tmp_path)], capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert len(done.stderr.splitlines()) == 1


class TestCheckpoints:
    def test_truncated(self, smoke_run: Path, tmp_path: Path) -> None:
        cut = tmp_path / "cut.ckpt"
        cut.write_bytes((smoke_run / "last.ckpt").read_bytes()[:5000])
        with pytest.raises(CheckpointError, match=r"cut\.ckpt: cannot be read"):
            runs.explain(Request((cut,), inputs=("x.png",)))
        assert list(tmp_path.iterdir()) == [cut]

    def test_not_a_checkpoint(self, tmp_path: Path) -> None:
        text = tmp_path / "text.ckpt"
        text.write_text("hello")
        with pytest.raises(CheckpointError, match=r"text\.ckpt"):
            runs.explain(Request((text,)))

    def test_someone_elses(self, tmp_path: Path) -> None:
        torch.save({"state_dict": {}}, tmp_path / "other.ckpt")
        with pytest.raises(CheckpointError, match="not a checkpoint written by train"):
            runs.explain(Request((tmp_path / "other.ckpt",)))

    def test_code_in_a_pickle_is_not_executed(self, tmp_path: Path) -> None:
        victim = tmp_path / "executed"
        (tmp_path / "evil.ckpt").write_bytes(pickle.dumps(_Evil(str(victim))))
        with pytest.raises(CheckpointError, match="nothing was executed"):
            runs.explain(Request((tmp_path / "evil.ckpt",), inputs=("x.png",)))
        assert not victim.exists()

    def test_weights_of_another_width(self, smoke_run: Path, tmp_path: Path) -> None:
        with pytest.raises(CheckpointError, match="weights do not fit the encoder; other shape"):
            runs.explain(Request((smoke_run / "last.ckpt",), out=tmp_path, overrides=("model.width=16",)))


class _Evil:
    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[..., object], tuple[str, str]]:
        return open, (self.path, "w")


class TestPictures:
    def test_empty_folder(self, tmp_path: Path, smoke_config: Callable[..., Config]) -> None:
        (tmp_path / "empty").mkdir()
        with pytest.raises(DataError, match="holds no picture"):
            runs.train(folder_config(smoke_config, tmp_path, tmp_path / "empty"))
        assert not (tmp_path / "runs").exists()

    def test_one_image(self, tmp_path: Path, smoke_config: Callable[..., Config]) -> None:
        with pytest.raises(DataError, match="one usable picture"):
            runs.train(folder_config(smoke_config, tmp_path, pictures(tmp_path / "one", 1)))

    def test_batch_larger_than_the_data(self, tmp_path: Path, smoke_config: Callable[..., Config]) -> None:
        with pytest.raises(DataError, match=r"batch_size is 64, but .* has only \d+ training images"):
            runs.train(folder_config(smoke_config, tmp_path, pictures(tmp_path / "few", 10), "data.batch_size=64"))

    def test_corrupted_image_is_named(self, tmp_path: Path, smoke_config: Callable[..., Config]) -> None:
        root = pictures(tmp_path / "bad", 12)
        (root / "07.png").write_bytes((root / "07.png").read_bytes()[:60])
        with pytest.raises(DataError, match=r"07\.png"):
            runs.train(folder_config(smoke_config, tmp_path, root, "data.val_fraction=0.2"))

    def test_corrupted_image_is_left_out_when_told_to(self, tmp_path: Path, smoke_config: Callable[..., Config]) -> None:
        root = pictures(tmp_path / "bad", 14)
        (root / "07.png").write_bytes((root / "07.png").read_bytes()[:60])
        config = folder_config(smoke_config, tmp_path, root, "data.val_fraction=0.2", "data.on_bad_image=skip", "data.num_workers=0")
        with pytest.warns(UserWarning, match=r"07\.png"):
            runs.train(config)
        assert (tmp_path / "runs" / "smoke" / "last.ckpt").is_file()

    def test_input_that_is_not_there(self, smoke_run: Path, tmp_path: Path) -> None:
        with pytest.raises(DataError, match="no such file or folder"):
            runs.explain(Request((smoke_run / "last.ckpt",), inputs=(str(tmp_path / "nothing.png"),), out=tmp_path / "out"))

    def test_missing_dataset(self, tmp_path: Path, smoke_config: Callable[..., Config]) -> None:
        with pytest.raises(DataError, match="fashion"):
            runs.train(smoke_config(tmp_path / "runs", "data.name=fashion_mnist", f"data.root={tmp_path}"))


class TestOutput:
    def test_folder_in_the_place_of_a_file(self, tmp_path: Path, smoke_config: Callable[..., Config]) -> None:
        (tmp_path / "file").write_text("")
        with pytest.raises(OutputError, match="cannot write into this folder"):
            runs.train(smoke_config(tmp_path / "file"))

    def test_unwritable_report(self, smoke_run: Path, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        with pytest.raises(OutputError, match="cannot write into this folder"):
            runs.explain(Request((smoke_run / "last.ckpt",), out=tmp_path / "file"))

    def test_full_disk_keeps_the_previous_checkpoint(self, tmp_path: Path) -> None:
        """A real failure of write(2): files may not grow beyond a limit."""
        path = tmp_path / "last.ckpt"
        write_bytes(path, b"old")
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
        try:
            with pytest.raises(OutputError, match=r"last\.ckpt: cannot be written \(File too large\)"):
                write_bytes(path, b"new" * 1000)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
            signal.signal(signal.SIGXFSZ, before)
        assert path.read_bytes() == b"old"
        assert list(tmp_path.iterdir()) == [path]

    def test_a_second_run_of_the_same_name_gets_a_new_folder(self, tmp_path: Path) -> None:
        assert runs.new_folder(tmp_path, "run") == tmp_path / "run"
        (tmp_path / "run").mkdir()
        (tmp_path / "run" / "last.ckpt").write_text("")
        assert runs.new_folder(tmp_path, "run") == tmp_path / "run-2"


def test_strategy_that_does_not_exist(tmp_path: Path, smoke_config: Callable[..., Config]) -> None:
    with pytest.raises(ConfigError, match=r"trainer\.strategy=fsdp: unknown"):
        smoke_config(tmp_path, "trainer.strategy=fsdp")


@pytest.mark.parametrize("content", [b"", b"ab", b"\x80\x02c"], ids=["empty", "two bytes", "short pickle"])
def test_a_checkpoint_of_a_few_bytes(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "short.ckpt").write_bytes(content)
    with pytest.raises(CheckpointError, match=r"short\.ckpt"):
        runs.explain(Request((tmp_path / "short.ckpt",)))


@pytest.mark.parametrize("change", ["run.seed=1", "model.width=16", "explain.views=[original]", "model.ema_decay=0.9"])
def test_a_run_is_not_resumed_as_another(smoke_run: Path, smoke_config: Callable[..., Config], change: str) -> None:
    before = {path.name: path.read_bytes() for path in smoke_run.iterdir() if path.is_file()}
    with pytest.raises(ConfigError, match=f"{change.partition('=')[0]}=.*the run to resume has"):
        runs.train(smoke_config(smoke_run.parent, change), resume=smoke_run / "last.ckpt")
    assert {path.name: path.read_bytes() for path in smoke_run.iterdir() if path.is_file()} == before


@pytest.mark.filterwarnings("ignore:.*foil images are in the corpus")  # the folders hold the same pictures
def test_a_small_labelled_folder_keeps_images_for_the_foil(tmp_path: Path, smoke_config: Callable[..., Config]) -> None:
    """Corpora larger than the classes shrink, they do not use up the folder; a class of two pictures has none."""
    for name, num in (("a", 12), ("b", 12), ("rare", 2)):
        pictures(tmp_path / "few" / name, num)
    config = folder_config(smoke_config, tmp_path, tmp_path / "few", "explain.corpus_size=50", "explain.attributions=[rise]")
    with pytest.warns(UserWarning, match=r"corpora have \d+ images instead of 50"):
        runs.train(config)
    assert (tmp_path / "runs" / "smoke" / "last.ckpt").is_file()


def test_a_disk_that_fills_up_during_training(tmp_path: Path, smoke_config: Callable[..., Config], monkeypatch: pytest.MonkeyPatch) -> None:
    """The second epoch's checkpoint fails in the middle of write(2); the first epoch's is still there, whole, and the run resumes."""
    config = smoke_config(tmp_path, "explain.enabled=false", "checkpoint.top_k=0")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    original = Guard.on_train_epoch_start

    def fill(self: Guard, trainer: Any, pl_module: Any) -> None:
        original(self, trainer, pl_module)
        if trainer.current_epoch == 1:
            resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))

    monkeypatch.setattr(Guard, "on_train_epoch_start", fill)
    try:
        with pytest.raises(OutputError, match=r"last\.ckpt: cannot be written"):
            runs.train(config)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)
    monkeypatch.undo()
    assert torch.load(tmp_path / "smoke" / "last.ckpt", weights_only=True)["epoch"] == 0
    runs.train(config, resume=tmp_path / "smoke" / "last.ckpt")
    assert torch.load(tmp_path / "smoke" / "last.ckpt", weights_only=True)["epoch"] == 1


def test_an_accelerator_that_is_not_there(tmp_path: Path, smoke_config: Callable[..., Config]) -> None:
    """No machine has both Apple's and NVIDIA's devices."""
    missing = "mps" if not torch.backends.mps.is_available() else "gpu"
    with pytest.raises(ConfigError, match=r"trainer\.\*: .*accelerator"):
        runs.train(smoke_config(tmp_path, f"trainer.accelerator={missing}"))


def test_an_encoder_that_diverges_is_not_explained_and_training_goes_on(
    tmp_path: Path, smoke_config: Callable[..., Config], monkeypatch: pytest.MonkeyPatch
) -> None:
    original = SimCLR.on_train_epoch_end

    def diverge(self: SimCLR) -> None:
        original(self)
        if self.trainer.current_epoch == 0:
            batch_norm = next(part for part in self.backbone.modules() if isinstance(part, nn.BatchNorm2d))
            batch_norm.running_mean.fill_(float("nan"))  # training, which never reads it, goes on with finite losses

    monkeypatch.setattr(SimCLR, "on_train_epoch_end", diverge)
    with pytest.warns(UserWarning, match=r"epoch 2 is not explained: the encoder's representations hold NaN"):
        runs.train(smoke_config(tmp_path, "checkpoint.top_k=0"))
    assert torch.load(tmp_path / "smoke" / "last.ckpt", weights_only=True)["epoch"] == 1
