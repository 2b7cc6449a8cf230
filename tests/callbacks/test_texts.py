"""The callback where likeness to texts is explained: what is logged and drawn, and going on from a checkpoint."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from cocoa_pl.attributions import Rise
from cocoa_pl.callbacks.boards import Logged, guide
from cocoa_pl.callbacks.explanation import ExplanationCallback
from cocoa_pl.callbacks.pages import facts
from cocoa_pl.encoding import FrozenEncoder
from cocoa_pl.errors import CheckpointError, ConfigError
from cocoa_pl.monitor import Monitor
from cocoa_pl.removal import Black
from tests.coloured import MeanColour, NamedColour, explain_set, text_encoder

pytestmark = [
    pytest.mark.usefixtures("one_thread"),
    pytest.mark.filterwarnings("ignore::lightning_fabric.utilities.warnings.PossibleUserWarning"),
    pytest.mark.filterwarnings("ignore:`isinstance.treespec, LeafSpec.` is deprecated:FutureWarning"),
]
NUM = 4


class Dual(pl.LightningModule):
    """Both sides are trained, towards grey pictures and pale words."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone, self.texts = MeanColour(), NamedColour()

    def training_step(self, batch: Tensor, batch_idx: int) -> Tensor:
        loss: Tensor = (self.backbone(batch) - 0.5).square().mean() + (self.texts.table - 0.2).square().mean()
        return loss

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.parameters(), lr=0.1)


def frozen(module: Any) -> FrozenEncoder:
    return FrozenEncoder(module.backbone, text=text_encoder(module.texts))


def watched(folder: Path | None = None, *, texts: bool = True, encoder: Any = frozen) -> ExplanationCallback:
    monitor = Monitor(
        explain_set(num=NUM), attributions={"rise": Rise(num_masks=16, grid_size=4)}, removal=Black(), curve_steps=2, texts=texts
    )  # fmt: skip
    return ExplanationCallback(monitor, encoder=encoder, folder=folder)


def loader() -> DataLoader[Any]:
    images: Any = torch.rand(16, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    return DataLoader(images, batch_size=8)


def trainer_of(callback: ExplanationCallback, *, max_epochs: int) -> pl.Trainer:
    return pl.Trainer(
        callbacks=[callback], max_epochs=max_epochs, accelerator="cpu", devices=1, logger=False, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False, log_every_n_steps=1,
    )  # fmt: skip


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[ExplanationCallback, pl.Trainer, Path]:
    folder = tmp_path_factory.mktemp("run")
    callback = watched(folder)
    trainer = trainer_of(callback, max_epochs=2)
    trainer.fit(Dual(), loader())
    return callback, trainer, folder


def test_numbers_and_pictures_of_texts_are_there(run: tuple[ExplanationCallback, pl.Trainer, Path]) -> None:
    callback, trainer, folder = run
    logged = {name for name in trainer.callback_metrics if name.startswith("explain/rise-text/")}
    assert {f"explain/rise-text/{name}" for name in ("gap", "corloc", "absent_agreement", "drift_previous", "reliability")} <= logged
    assert "explain/rise/absent_agreement" not in trainer.callback_metrics
    assert (folder / "epoch-0002-rise-text-sheet.png").is_file()
    with np.load(folder / "epoch-0002.npz") as file:
        assert file["rise-text"].shape == file["rise"].shape
        assert not np.array_equal(file["rise-text"], file["rise"])
    assert "| rise-text |" in callback.summary()


def test_the_pages_say_what_texts_are_compared_with(run: tuple[ExplanationCallback, pl.Trainer, Path]) -> None:
    callback, *_ = run
    monitor = callback.monitor
    said = facts(monitor, callback.looks["start"])
    phrase = monitor.explain_set.phrases[0]
    assert [line for line in said if line.startswith("Texts: 4 of the data's 6 phrases are the foil") and f"“{phrase}”" in line]
    text = guide(Logged(monitor.traces, monitor.explain_set.views, masks=True), seen=[], facts=said)
    assert "| `rise-text` | RISE towards its text |" in text
    assert "the foil is other texts" in text
    assert "the foil is other texts" not in guide(Logged(["rise"], ["original"]), seen=[], facts=[])


def test_a_resumed_run_has_the_numbers_of_one_that_was_not_stopped(
    run: tuple[ExplanationCallback, pl.Trainer, Path], tmp_path: Path
) -> None:  # fmt: skip
    first = trainer_of(watched(), max_epochs=1)
    first.fit(Dual(), loader())
    first.save_checkpoint(tmp_path / "stopped.ckpt")
    callback = watched()
    trainer_of(callback, max_epochs=2).fit(Dual(), loader(), ckpt_path=tmp_path / "stopped.ckpt", weights_only=True)
    assert callback.reading is not None
    assert run[0].reading is not None
    assert callback.reading.scalars == run[0].reading.scalars
    other = trainer_of(watched(texts=False), max_epochs=2)
    with pytest.raises(CheckpointError, match="explained by other methods"):
        other.fit(Dual(), loader(), ckpt_path=tmp_path / "stopped.ckpt", weights_only=True)


def test_a_module_without_a_text_side_is_refused_before_training() -> None:
    module, callback = Dual(), watched(encoder=lambda module: FrozenEncoder(module.backbone))
    with pytest.raises(ConfigError, match="takes an encoder with a text side"):
        trainer_of(callback, max_epochs=1).fit(module, loader())
    assert torch.equal(module.backbone.weight, torch.ones(3))
