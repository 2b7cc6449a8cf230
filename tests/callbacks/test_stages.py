"""Looking from every stage of a trainer: the same weights have the same maps, and loggers are told."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.loggers import CSVLogger

from cocoa_pl import ExplanationCallback, IntegratedGradients, Rise
from cocoa_pl.callbacks.csv_logger import CsvLogger
from cocoa_pl.monitor import Reading

pytestmark = [
    pytest.mark.usefixtures("one_thread"),
    pytest.mark.filterwarnings("ignore::lightning_fabric.utilities.warnings.PossibleUserWarning"),
    pytest.mark.filterwarnings("ignore:`isinstance.treespec, LeafSpec.` is deprecated:FutureWarning"),
]

Make = Callable[..., Any]
METHODS = {"rise": Rise(num_masks=16, grid_size=4), "integrated_gradients": IntegratedGradients(num_steps=3)}


class Log(CsvLogger):
    """Keeps what it is told, too."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.told: list[tuple[int | None, dict[str, float]]] = []

    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:  # type: ignore[override]
        self.told.append((step, dict(metrics)))


@pytest.fixture
def fitted(tmp_path: Path, own_module: Make, loader: Make, quick_watch: Make, quick_trainer: Make) -> tuple[Any, ...]:
    """Trainer, module, callback, log and the last reading of a run of two epochs."""
    callback, log, module = quick_watch(attributions=METHODS), Log(tmp_path / "metrics.csv"), own_module()
    trainer = quick_trainer(callback, logger=log)
    trainer.fit(module, loader(), loader(seed=1))
    return trainer, module, callback, log, callback.reading


def of_the_look(reading: Reading) -> dict[str, float]:
    """The numbers that need no other look."""
    return {name: value for name, value in reading.scalars.items() if "drift" not in name and "num_forwards" not in name}


def test_fit(fitted: tuple[Any, ...]) -> None:
    """At the last epoch's end: what was logged is what was read, and monitored values are the same."""
    trainer, _, callback, log, last = fitted
    assert callback.epochs == [0, 1, 2]
    told = {step: values for step, values in log.told if "explain/rise/gap" in values}
    assert sorted(told) == [0, 1, 2]  # type: ignore[type-var]
    for name, value in last.scalars.items():
        assert told[2][name] == value
        assert float(trainer.callback_metrics[name]) == pytest.approx(value, rel=1e-6)
    for maps in last.look.attributions.values():
        assert maps.shape == (4, 16, 16)
        assert bool(torch.isfinite(maps).all())
        assert float(maps.flatten(1).std(1).min()) > 0


@pytest.mark.parametrize("stage", ["validate", "test", "predict"])
@pytest.mark.parametrize("inference_mode", [True, False])
def test_other_stages_see_what_the_last_epoch_saw(
    stage: str, inference_mode: bool, fitted: tuple[Any, ...], loader: Make, quick_trainer: Make
) -> None:
    _, module, callback, log, last = fitted
    before = [(name, value.clone()) for name, value in module.state_dict().items()]
    log.told.clear()
    trainer: pl.Trainer = quick_trainer(callback, logger=log, inference_mode=inference_mode)
    getattr(trainer, stage)(module, loader(seed=2), **({} if stage == "predict" else {"verbose": False}))
    now = callback.reading
    assert now is not last
    for trace, maps in last.look.attributions.items():
        assert torch.equal(maps, now.look.attributions[trace]), trace
    assert of_the_look(now) == of_the_look(last)
    told = {name: value for _, values in log.told for name, value in values.items()}
    for name, value in now.scalars.items():
        assert told[name] == pytest.approx(value, rel=1e-6), name
    assert callback.epochs == [0, 1, 2]  # a look aside is no epoch of the run
    for name, value in before:
        assert torch.equal(value, module.state_dict()[name])
    assert not any(parameter.is_inference() for parameter in module.parameters())


@pytest.mark.parametrize("stage", ["validate", "test", "predict"])
def test_a_stage_alone_draws_from_its_own_images(
    stage: str, own_module: Make, loader: Make, quick_watch: Make, quick_trainer: Make
) -> None:  # fmt: skip
    callback: ExplanationCallback = quick_watch()
    trainer = quick_trainer(callback)
    getattr(trainer, stage)(own_module(), loader(seed=2))
    given = callback.monitor.explain_set
    images = (loader(seed=2).dataset.tensors[0] * 255).round().to(torch.uint8)
    for image in (given.explicands[: given.num_images] * 255).round().to(torch.uint8):
        assert bool((images == image).flatten(1).all(1).any())
        assert not bool((given.foil == image).flatten(1).all(1).any())
    assert callback.reading is not None
    assert callback.reading.compared == {}


@pytest.mark.parametrize("stage", ["fit", "validate", "test", "predict"])
def test_a_data_module_has_one_explain_set_for_all_stages(
    stage: str, own_module: Make, loader: Make, quick_watch: Make, quick_trainer: Make
) -> None:  # fmt: skip
    class Data(pl.LightningDataModule):
        def setup(self, stage: str) -> None:
            if stage == "fit":
                self.train, self.val = loader(shuffle=True), loader(seed=1)
            self.other = loader(seed=5)

        def train_dataloader(self) -> Any:
            return self.train

        def val_dataloader(self) -> Any:
            return self.val if hasattr(self, "val") else self.other

        def test_dataloader(self) -> Any:
            return self.other

        def predict_dataloader(self) -> Any:
            return self.other

    sets = []
    for each in ("fit", stage):
        callback = quick_watch()
        getattr(quick_trainer(callback, max_epochs=1), each)(own_module(), datamodule=Data())
        sets.append(callback.monitor.explain_set)
    assert torch.equal(sets[0].explicands, sets[1].explicands)
    assert torch.equal(sets[0].foil, sets[1].foil)


def test_loggers_of_lightning(tmp_path: Path, own_module: Make, loader: Make, quick_watch: Make, quick_trainer: Make) -> None:
    logger = CSVLogger(tmp_path, name="", version="")
    quick_trainer(quick_watch(), logger=logger).fit(own_module(), loader(), loader(seed=1))
    header = (tmp_path / "metrics.csv").read_text().splitlines()[0].split(",")
    assert {"explain/rise/gap", "explain/rise/drift_previous", "explain/rise/drift_start"} <= set(header)
