"""Lightning's own callbacks act on explanations: the best checkpoint by ``explain/...``, and early stopping."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import EarlyStopping, ModelCheckpoint

from cocoa_pl import ExplanationCallback

pytestmark = [
    pytest.mark.usefixtures("one_thread"),
    pytest.mark.filterwarnings("ignore::lightning_fabric.utilities.warnings.PossibleUserWarning"),
    pytest.mark.filterwarnings("ignore:`isinstance.treespec, LeafSpec.` is deprecated:FutureWarning"),
]

Make = Callable[..., Any]


class Curve(pl.Callback):
    """A scalar after every epoch, as the explanation callback read it."""

    def __init__(self, callback: ExplanationCallback, name: str) -> None:
        self.callback, self.name, self.values = callback, name, list[float]()

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        assert self.callback.reading is not None
        self.values.append(self.callback.reading.scalars[self.name])


@pytest.mark.parametrize("with_val", [True, False])
@pytest.mark.parametrize("mode", ["max", "min"])
def test_the_best_checkpoint_by_an_explanation(
    with_val: bool, mode: str, tmp_path: Path, own_module: Make, loader: Make, quick_watch: Make, quick_trainer: Make
) -> None:
    callback = quick_watch()
    curve = Curve(callback, "explain/rise/gap")
    best = ModelCheckpoint(tmp_path, filename="{epoch}", monitor="explain/rise/gap", mode=mode, save_on_train_epoch_end=True)
    trainer = quick_trainer(best, callback, curve, max_epochs=4, enable_checkpointing=True)  # checkpoints are moved to the end
    module = own_module()
    trainer.fit(module, loader(), loader(seed=1) if with_val else None)
    expected = max(curve.values) if mode == "max" else min(curve.values)
    assert len(set(curve.values)) == 4
    assert float(best.best_model_score) == pytest.approx(expected, rel=1e-6)
    assert Path(best.best_model_path) == tmp_path / f"epoch={curve.values.index(expected)}.ckpt"
    assert Path(best.best_model_path).is_file()
    # and the weights in it are those that were looked at
    stored = torch.load(best.best_model_path, weights_only=True)
    module.load_state_dict(stored["state_dict"])
    again = callback.monitor.look(callback.encoder(module))
    told = next(state for name, state in stored["callbacks"].items() if "ExplanationCallback" in name)
    assert torch.equal(again.attributions["rise"], told["looks"]["current"]["attributions"]["rise"])


@pytest.mark.parametrize("with_val", [True, False])
def test_training_stops_once_maps_no_longer_change(
    with_val: bool, own_module: Make, loader: Make, quick_watch: Make, quick_trainer: Make
) -> None:  # fmt: skip
    """The learning rate falls to nothing after two epochs, and so does drift."""
    module, callback = own_module(), quick_watch()
    optimizer = torch.optim.AdamW(module.parameters(), lr=0.03)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda epoch: 1.0 if epoch < 2 else 0.0)
    module.configure_optimizers = lambda: {"optimizer": optimizer, "lr_scheduler": schedule}
    for part in module.modules():
        if isinstance(part, torch.nn.BatchNorm2d):
            part.momentum = 0.0
    curve = Curve(callback, "explain/rise/drift_previous")
    stop = EarlyStopping(
        "explain/rise/drift_previous", mode="min", stopping_threshold=1e-4, patience=100, check_on_train_epoch_end=True
    )  # fmt: skip
    trainer = quick_trainer(callback, curve, stop, max_epochs=20)
    trainer.fit(module, loader(), loader(seed=1) if with_val else None)
    assert trainer.current_epoch == 3
    assert curve.values[0] > 0.01
    assert curve.values[1] > 0.01
    assert curve.values[2] == pytest.approx(0, abs=1e-5)
    assert float(trainer.callback_metrics["explain/rise/drift_previous"]) == pytest.approx(curve.values[-1], abs=1e-6)


@pytest.mark.parametrize("order", ["before", "behind"])
def test_patience_counts_looks(order: str, own_module: Make, loader: Make, quick_watch: Make, quick_trainer: Make) -> None:
    callback = quick_watch()
    stop = EarlyStopping("explain/rise/gap", mode="max", min_delta=10.0, patience=2, check_on_train_epoch_end=True)
    trainer = quick_trainer(*([stop, callback] if order == "before" else [callback, stop]), max_epochs=20)
    trainer.fit(own_module(), loader(), loader(seed=1))
    assert trainer.current_epoch == 3  # the first is the best, two are no better
    assert callback.epochs == [0, 1, 2, 3]
