"""Every shipped YAML loads, says only what differs from the defaults, and builds what it names."""

from __future__ import annotations

import pickle
import re
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from cocoa_pl.build import (
    build_datamodule,
    build_explain_set,
    build_module,
    build_monitor,
    build_optim,
    build_splits,
    build_views,
)
from cocoa_pl.config import Config, StudyConfig, load_as, load_config, read_yaml, to_dict

CONFIGS = sorted((Path(__file__).parents[1] / "configs").glob("*.yaml"))
STUDIES = sorted((Path(__file__).parents[1] / "configs" / "study").glob("*.yaml"))
# data sets as small as they can be; everything else stays as the file has it
SMALL = (
    "data.download=false", "data.num_train=null", "data.num_val=null", "data.batch_size=4", "data.num_workers=0",
    "explain.num_explicands=2", "explain.num_pairs=2", "explain.corpus_size=1", "explain.foil_size=2",
)  # fmt: skip


def leaves(nested: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in nested.items():
        if isinstance(value, Mapping):
            yield from leaves(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def write_fashion_mnist(root: Path) -> None:
    folder = root / "FashionMNIST" / "raw"
    folder.mkdir(parents=True)
    for prefix, num in (("train", 60), ("t10k", 20)):
        images, labels = noise(num, 28, 28), np.arange(num, dtype=np.uint8) % 10
        for name, values in ((f"{prefix}-images-idx3-ubyte", images), (f"{prefix}-labels-idx1-ubyte", labels)):
            header = struct.pack(f">BBBB{values.ndim}I", 0, 0, 8, values.ndim, *values.shape)
            (folder / name).write_bytes(header + values.tobytes())


def write_cifar10(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """CIFAR-10's own layout, twelve images a file; the check of the real files' sums is left out."""
    from torchvision.datasets import CIFAR10

    monkeypatch.setattr(CIFAR10, "_check_integrity", lambda self: True)
    monkeypatch.setattr("torchvision.datasets.cifar.check_integrity", lambda path, md5=None: Path(path).is_file())
    folder = root / CIFAR10.base_folder
    folder.mkdir(parents=True)
    for name, _ in (*CIFAR10.train_list, *CIFAR10.test_list):
        batch = {"data": noise(20, 3072), "labels": (np.arange(20) % 10).tolist()}
        (folder / name).write_bytes(pickle.dumps(batch))
    (folder / CIFAR10.meta["filename"]).write_bytes(pickle.dumps({CIFAR10.meta["key"]: [f"class {k}" for k in range(10)]}))


def write_folder(root: Path, *, splits: tuple[str, ...]) -> None:
    for split in splits:
        for name in ("cats", "dogs"):
            folder = root / split / name
            folder.mkdir(parents=True)
            for index in range(6):
                Image.fromarray(noise(40, 50, 3)).save(folder / f"{index}.png")


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


@pytest.fixture(params=CONFIGS, ids=lambda path: path.stem)
def path(request: pytest.FixtureRequest) -> Path:
    chosen: Path = request.param
    return chosen


@pytest.fixture
def small(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Config:
    """The shipped config on a data set of a few real files."""
    layer = read_yaml(path)
    config = load_config(layer)
    own = []
    if config.data.name == "scenes":
        own = ["data.num_train=60", "data.num_val=20"]
    elif config.data.name == "fashion_mnist":
        write_fashion_mnist(tmp_path)
    elif config.data.name == "cifar10":
        write_cifar10(tmp_path, monkeypatch)
    else:
        write_folder(tmp_path, splits=("train", "val") if path.stem == "imagenet" else ("",))
    return load_config(layer, overrides=[*SMALL, f"data.root={tmp_path}", *own])


def test_says_only_what_differs_from_the_defaults(path: Path) -> None:
    defaults = dict(leaves(to_dict(Config())))
    same = [key for key, value in leaves(read_yaml(path)) if key != "run.name" and defaults[key] == value]
    assert same == []


def test_begins_with_a_comment_and_is_named_like_its_file(path: Path) -> None:
    assert path.read_text().startswith("# ")
    assert load_config(read_yaml(path)).run.name == path.stem


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_a_studys_config_says_only_what_differs_and_names_runs_that_its_comments_make(path: Path) -> None:
    layer = read_yaml(path)
    config = load_as(StudyConfig, layer)
    defaults = dict(leaves(to_dict(StudyConfig())))
    assert [key for key, value in leaves(layer) if defaults[key] == value] == []
    text = path.read_text()
    assert text.startswith("# ")
    named = [encoder.rpartition("=")[2] for encoder in config.study.encoders]
    made = [f"checkpoints/{name}" for name in re.findall(r"run\.name=(\S+)", text)]
    assert [name for name in named if name.startswith("checkpoints/") and name not in made] == []


def test_builds_data_views_and_explain_set(small: Config) -> None:
    splits = build_splits(small)
    datamodule = build_datamodule(small, splits)
    on_device = datamodule.views is not None
    assert on_device == splits.in_memory
    batch = next(iter(datamodule.train_dataloader()))
    reads = small.model.method == "image_text"  # one view and a caption
    views = datamodule.on_after_batch_transfer(batch, 0).views
    assert [tuple(view.shape) for view in views] == [(4, 3, splits.image_size, splits.image_size)] * (1 if reads else 2)
    assert (batch.tokens is not None) == reads
    assert all(float(view.min()) >= 0 and float(view.max()) <= 1 for view in views)
    assert build_views(small, splits.image_size).is_seen("flip") == (small.augment.flip > 0)
    monitor = build_monitor(small, build_explain_set(small, splits))
    assert monitor.explain_set.explicands.shape[0] == 2 * len(small.explain.views)
    assert len(monitor.traces) == 2 * len(small.explain.attributions)  # towards the original image and towards the class


def test_builds_encoder_and_optimizer(path: Path, small: Config) -> None:
    splits = build_splits(small)
    module = build_module(small, splits)
    with torch.no_grad():
        reps = module.eval()(splits.val.load([0, 1]).float() / 255)
        projections = module.projection_head(reps)
    assert projections.shape == (2, small.model.projection_dim)
    assert bool(torch.isfinite(projections).all())
    shipped = load_config(read_yaml(path))
    optim = build_optim(shipped)
    optimizer, scheduler = optim.build([module.backbone, module.projection_head], total_steps=200, epochs=shipped.trainer.epochs)
    rates = [scheduler.lr_lambdas[0](step) for step in range(200)]
    assert max(rates) == pytest.approx(1, abs=0.02)
    assert rates[-1] < 0.01
    assert optimizer.param_groups[0]["weight_decay"] == shipped.optim.weight_decay


@pytest.mark.parametrize(("name", "lr"), [("cifar10", 2.0), ("imagenet", 4.8)])
def test_published_recipes_have_the_published_learning_rate(name: str, lr: float) -> None:
    config = load_config(read_yaml(next(path for path in CONFIGS if path.stem == name)))
    assert build_optim(config).lr == pytest.approx(lr)
