"""``watch``: any module, any images; nothing of training changes (law 1, for modules that are not ours)."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from PIL import Image
from pytorch_lightning.callbacks import EMAWeightAveraging
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, IterableDataset, Subset, SubsetRandomSampler, TensorDataset

from cocoa_pl import ExplanationCallback, FrozenEncoder
from cocoa_pl.data.pool import read_pool
from cocoa_pl.errors import ConfigError, DataError
from cocoa_pl.monitor import Look, Monitor
from tests.teams import in_team

pytestmark = [
    pytest.mark.usefixtures("one_thread"),
    pytest.mark.filterwarnings("ignore::lightning_fabric.utilities.warnings.PossibleUserWarning"),
    pytest.mark.filterwarnings("ignore:`isinstance.treespec, LeafSpec.` is deprecated:FutureWarning"),
]

Make = Callable[..., Any]
Watch = Callable[..., ExplanationCallback]
GREY_BOX = ((0.5, 0.4, 0.3), (0.25, 0.2, 0.1))


def rand(num: int, *, side: int = 16, seed: int = 0) -> Tensor:
    return torch.rand(num, 3, side, side, generator=torch.Generator().manual_seed(seed))


def monitor_of(callback: ExplanationCallback, trainer: pl.Trainer, module: Any, *loaders: Any, **options: Any) -> Monitor:
    """What the callback watches, without training: as in ``fit``, up to the set-up."""

    class Enough(Exception):
        pass

    def stop(*_: Any) -> None:
        raise Enough

    callback.on_train_start = stop  # type: ignore[method-assign]
    with pytest.raises(Enough):
        trainer.fit(module, *loaders, **options)
    return callback.monitor


# --- nothing of training changes ---


class Noisy(Dataset[Any]):
    """Draws from all three global generators, as transforms do."""

    def __init__(self, num: int, *, seed: int) -> None:
        self.images = rand(num, seed=seed)

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        noise = 0.1 * (torch.rand(1).item() + random.random() + np.random.rand())  # noqa: NPY002
        return (self.images[index] + noise).clamp(0, 1), index % 2


VARIANTS: dict[str, dict[str, Any]] = {
    "plain": {},
    "accumulation": {"accumulate_grad_batches": 2},
    "ema": {"ema": True},
    "compiled": {"compiled": True},
    "bf16 autocast": {"precision": "bf16-mixed"},
    "double": {"precision": "64-true"},
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_training_is_the_same_with_and_without(variant: str, own_module: Make, quick_watch: Watch, quick_trainer: Make) -> None:
    options = dict(VARIANTS[variant])
    ema, compiled = options.pop("ema", False), options.pop("compiled", False)
    states, losses, after, flags = [], [], [], []
    for watched in (True, False):
        module = own_module()
        if compiled:
            module.backbone = torch.compile(module.backbone, backend="eager")
        callbacks = [quick_watch()] if watched else []
        callbacks += [EMAWeightAveraging(decay=0.9)] if ema else []
        pl.seed_everything(7, verbose=False)
        trainer = quick_trainer(*callbacks, **options)
        trainer.fit(module, DataLoader(Noisy(48, seed=0), 16, shuffle=True), DataLoader(Noisy(48, seed=1), 16))
        states.append({**module.state_dict(), **_optimizer_state(trainer)})
        losses.append(module.losses)
        after.append((torch.rand(1).item(), np.random.rand(), random.random()))  # noqa: NPY002
        flags.append([(name, part.training) for name, part in module.named_modules()])
        flags[-1] += [(name, part.requires_grad, part.grad is None) for name, part in module.named_parameters()]
        if watched:
            assert callbacks[0].epochs == [0, 1, 2]
    assert len(losses[0]) == 6
    assert losses[0] == losses[1]
    assert after[0] == after[1]
    assert flags[0] == flags[1]
    assert states[0].keys() == states[1].keys()
    for name, value in states[0].items():
        assert torch.equal(value, states[1][name]), name


def _optimizer_state(trainer: pl.Trainer) -> dict[str, Tensor]:
    (optimizer,) = trainer.optimizers
    return {f"{row}/{name}": value for row, state in optimizer.state_dict()["state"].items() for name, value in state.items()}


@pytest.mark.parametrize(
    "encoder", ["backbone", "encode", lambda module: lambda images: module.backbone(images)], ids=["name", "method", "function"]
)
def test_a_look_leaves_no_trace(encoder: Any, own_module: Make, loader: Make, quick_watch: Watch, quick_trainer: Make) -> None:
    """Every buffer, gradient, flag, hook and random state before and after each look."""
    seen = []

    class Compare(pl.Callback):
        def __init__(self, callback: ExplanationCallback) -> None:
            self.look = callback.on_train_epoch_end
            callback.on_train_epoch_end = self.between  # type: ignore[method-assign]

        def between(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
            module.head.weight.grad = torch.ones_like(module.head.weight)
            before = _everything(module)
            self.look(trainer, module)
            seen.append(_same(before, _everything(module)))

    callback = quick_watch(encoder=encoder)
    quick_trainer(callback, Compare(callback)).fit(own_module(), loader(shuffle=True))
    assert seen == [True, True]


def _everything(module: pl.LightningModule) -> list[Any]:
    found: list[Any] = [{name: value.clone() for name, value in module.state_dict().items()}]
    found += [torch.get_rng_state(), np.random.get_state()[1].tolist(), random.getstate()]  # type: ignore[index] # noqa: NPY002
    for part in module.modules():
        hooks = [len(getattr(part, name)) for name in vars(part) if name.endswith("_hooks")]
        found.append((type(part).__name__, part.training, hooks))
    for parameter in module.parameters():
        found.append((parameter.requires_grad, parameter._version, len(parameter._backward_hooks or ())))
        found.append({"grad": torch.zeros(()) if parameter.grad is None else parameter.grad.clone()})
    return found


def _same(first: Any, second: Any) -> bool:
    if isinstance(first, Tensor):
        return torch.equal(first, second)
    if isinstance(first, dict):
        return first.keys() == second.keys() and all(_same(first[key], second[key]) for key in first)
    if isinstance(first, list):
        return len(first) == len(second) and all(map(_same, first, second))
    return bool(first == second)


# --- the encoder ---


class Nested(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.parts = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.AdaptiveAvgPool2d(1), nn.Flatten())


def frozen_reps(callback: ExplanationCallback, module: pl.LightningModule, images: Tensor) -> Tensor:
    encoder = callback.encoder(module)
    assert isinstance(encoder, FrozenEncoder)
    return encoder.encode(images)


@pytest.mark.parametrize(
    "encoder",
    ["backbone", "forward", "encode", lambda own: own.backbone, lambda own: own.forward, lambda own: lambda images: own.encode(images)],
    ids=["name", "forward", "method", "module", "bound", "closure"],
)  # fmt: skip
def test_kinds_of_encoders(encoder: Any, own_module: Make, quick_watch: Watch) -> None:
    module, images = own_module().train(), rand(4)
    with torch.no_grad():
        expected = module.eval().backbone(images)
    module.train()
    before = {name: value.clone() for name, value in module.state_dict().items()}
    torch.testing.assert_close(frozen_reps(quick_watch(encoder=encoder), module, images), expected)
    assert module.training
    assert _same(before, dict(module.state_dict()))


def test_a_dotted_name(own_module: Make, quick_watch: Watch) -> None:
    module = own_module()
    module.model = Nested()
    assert frozen_reps(quick_watch(encoder="model.parts"), module, rand(2)).shape == (2, 4)
    assert frozen_reps(quick_watch(encoder="model.parts.0"), module, rand(2)).shape == (2, 4)  # maps are averaged
    assert frozen_reps(quick_watch(encoder="backbone", layer="4"), module, rand(2)).shape == (2, 8)


def test_normalised_for_the_encoder(own_module: Make, quick_watch: Watch) -> None:
    module, images, (mean, std) = own_module().eval(), rand(4), GREY_BOX
    with torch.no_grad():
        expected = module.backbone((images - torch.tensor(mean).view(3, 1, 1)) / torch.tensor(std).view(3, 1, 1))
    torch.testing.assert_close(frozen_reps(quick_watch(mean=mean, std=std), module, images), expected)


@pytest.mark.parametrize("backend", ["eager", "aot_eager"])
@pytest.mark.parametrize("where", ["whole", "part"])
def test_compiled_encoders_are_explained_uncompiled(backend: str, where: str, own_module: Make, quick_watch: Watch) -> None:
    module, images = own_module().eval(), rand(4)
    with torch.no_grad():
        expected = module.backbone(images)
    if where == "whole":
        module.backbone = torch.compile(module.backbone, backend=backend)
    else:
        module.backbone = nn.Sequential(torch.compile(module.backbone[:4], backend=backend), *module.backbone[4:])
    callback = quick_watch()
    torch.testing.assert_close(frozen_reps(callback, module, images), expected)
    assert not any(hasattr(part, "_orig_mod") for part in callback.encoder(module).module.modules())
    assert any(hasattr(part, "_orig_mod") for part in module.modules())  # the user's stays


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_weights_of_another_precision(dtype: torch.dtype, own_module: Make, quick_watch: Watch) -> None:
    module = own_module().to(dtype)
    assert frozen_reps(quick_watch(), module, rand(2)).dtype == torch.float32
    assert frozen_reps(quick_watch(encoder="forward"), module, rand(2)).dtype == torch.float32
    assert next(module.parameters()).dtype == dtype


def test_data_parallel_wrappers_are_taken_off(own_module: Make, quick_watch: Watch) -> None:
    module, images = own_module().eval(), rand(2)
    with torch.no_grad():
        expected = module.backbone(images)
    module.backbone = nn.DataParallel(module.backbone)
    torch.testing.assert_close(frozen_reps(quick_watch(), module, images), expected)


@pytest.mark.parametrize("order", ["before", "behind"])
def test_averaged_weights_are_explained(order: str, own_module: Make, loader: Make, quick_watch: Watch, quick_trainer: Make) -> None:
    images, expected, seen = rand(4), [], []

    class Compare(pl.Callback):
        def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
            average = ema._average_model.module  # type: ignore[union-attr]
            expected.append(average.backbone.eval()(images).detach())
            seen.append(frozen_reps(callback, pl_module, images))
            assert not torch.allclose(pl_module.backbone(images), expected[-1])

    callback, ema = quick_watch(), EMAWeightAveraging(decay=0.5)
    first = [callback, ema] if order == "before" else [ema, callback]
    trainer = quick_trainer(*first, Compare())
    trainer.fit(own_module(), loader())
    assert [type(each) for each in trainer.callbacks[:3]] == [EMAWeightAveraging, ExplanationCallback, Compare]
    assert len(seen) == 2
    torch.testing.assert_close(seen, expected)


@pytest.mark.parametrize(
    ("encoder", "message"),
    [
        ("bakbone", r"encoder='bakbone': OwnModule has no such module; nearest: backbone"),
        ("backbone.17", "nearest: .*backbone.1"),
        ("losses", "is a list in OwnModule; must be a module or a function"),
        ("zzz", "nearest: stem, backbone, head"),
    ],
)
def test_no_such_encoder(encoder: str, message: str, own_module: Make, loader: Make, quick_watch: Watch, quick_trainer: Make) -> None:
    with pytest.raises(ConfigError, match=message):
        quick_trainer(quick_watch(encoder=encoder)).fit(own_module(), loader())


# --- the images ---


class Items(Dataset[Any]):
    """One image an item, wrapped in some way."""

    def __init__(self, images: Tensor, wrap: Callable[[Tensor, int], Any]) -> None:
        self.images, self.wrap = images, wrap

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> Any:
        return self.wrap(self.images[index], index)


WRAPS: dict[str, tuple[Callable[[Tensor, int], Any], bool]] = {
    "tensor": (lambda image, i: image, False),
    "image, label": (lambda image, i: (image, i % 3), True),
    "image, number": (lambda image, i: (image, i / 3), False),
    "views, label, name": (lambda image, i: ([image, 1 - image], i % 3, f"{i}.png"), True),
    "views": (lambda image, i: [image, 1 - image], False),
    "dict": (lambda image, i: {"name": f"{i}.png", "image": image}, False),
    "dict with label": (lambda image, i: {"image": image, "label": i % 3}, True),
    "one class": (lambda image, i: (image, 0), False),
}


@pytest.mark.parametrize("wrap", WRAPS)
def test_kinds_of_batches(wrap: str) -> None:
    images = (rand(30) * 255).round() / 255
    how, labelled = WRAPS[wrap]
    for data in (
        Items(images, how),
        DataLoader(Items(images, how), batch_size=7, shuffle=True),
        DataLoader(Items(images, how), batch_size=None),
    ):
        pool = read_pool(data, 20, seed=0, what="the images")
        assert len(pool) == 20
        for index in range(20):
            position = int(pool.name(index).removeprefix("image ")) if pool.name(index) != f"image {index}" else None
            match = (images * 255).round().to(torch.uint8) == pool.images[index]
            found = match.flatten(1).all(1).nonzero().flatten().tolist()
            assert len(found) == 1
            assert position in (None, found[0])
            assert (pool.labels is not None) == labelled
            if pool.labels is not None:
                assert int(pool.labels[index]) == found[0] % 3


class Stream(IterableDataset[Any]):
    def __iter__(self) -> Iterator[Tensor]:
        for image in rand(30):
            yield image * torch.rand(1)


@pytest.mark.filterwarnings("ignore:Your `IterableDataset` has `__len__`")
def test_streams_and_iterables_start_anew() -> None:
    state = torch.get_rng_state()
    for data in (Stream(), DataLoader(Stream(), batch_size=4), Each([rand(4), rand(4, seed=1)])):
        first, second = (read_pool(data, 7, seed=0, what="the images") for _ in range(2))
        assert torch.equal(first.images, second.images)
        assert len(first) == 7
    assert torch.equal(state, torch.get_rng_state())
    with pytest.raises(DataError, match="an iterable that starts anew"):
        read_pool(iter([rand(4)]), 7, seed=0, what="the images")


def test_only_what_the_sampler_allows() -> None:
    data = TensorDataset(torch.arange(50).view(-1, 1, 1, 1).expand(-1, 3, 4, 4) / 255)
    pool = read_pool(DataLoader(data, 4, sampler=SubsetRandomSampler(range(10, 20))), 100, seed=0, what="the images")
    assert sorted(pool.images[:, 0, 0, 0].tolist()) == list(range(10, 20))
    pool = read_pool(DataLoader(Subset(data, range(30, 40)), 4, shuffle=True), 100, seed=0, what="the images")
    assert sorted(pool.images[:, 0, 0, 0].tolist()) == list(range(30, 40))


def test_random_items_are_the_same_in_every_process_and_state() -> None:
    pools = []
    for seed in (1, 2):
        pl.seed_everything(seed, verbose=False)
        pools.append(read_pool(DataLoader(Noisy(40, seed=0), 8, shuffle=True), 12, seed=0, what="the images"))
    assert torch.equal(pools[0].images, pools[1].images)
    assert pools[0].names == pools[1].names
    assert read_pool(Noisy(40, seed=0), 12, seed=1, what="the images").names != pools[0].names


def test_normalisation_is_undone_where_there_is_one() -> None:
    images, (mean, std) = (rand(20) * 255).round() / 255, GREY_BOX
    normalised = (images - torch.tensor(mean).view(3, 1, 1)) / torch.tensor(std).view(3, 1, 1)
    expected = read_pool(TensorDataset(images), 20, seed=0, what="the images").images
    for data in (normalised, images, (images * 255).to(torch.uint8), images.double()):
        assert torch.equal(read_pool(TensorDataset(data), 20, seed=0, what="the images", statistics=GREY_BOX).images, expected)
    with pytest.raises(DataError, match=r"the images hold values from -3 to 7, neither bytes nor in \[0, 1\].*mean=..., std=..."):
        read_pool(TensorDataset(normalised), 20, seed=0, what="the images")
    with pytest.raises(DataError, match="once mean and std are undone; the data has others"):
        read_pool(TensorDataset(normalised), 20, seed=0, what="the images", statistics=((0.5,) * 3, (0.5,) * 3))
    with pytest.raises(DataError, match="hold values from nan"):
        read_pool(TensorDataset(torch.full((4, 3, 4, 4), torch.nan)), 20, seed=0, what="the images")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (TensorDataset(rand(4)[:, :1]), "must be RGB"),
        (TensorDataset(torch.zeros(0, 3, 4, 4)), "there is none"),
        (Items(rand(4), lambda image, i: image[:, : 8 + i]), "several sizes"),
        (Items(rand(4), lambda image, i: {"picture": image}), "mappings with picture; the images must be one of image"),
        (Items(rand(4), lambda image, i: "4.png"), "cannot be a str"),
        (7, "come from a int"),
    ],
)
def test_images_that_cannot_be_used(data: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_pool(data, 20, seed=0, what="the images")


class OwnData(pl.LightningDataModule):
    def __init__(self, *, with_val: bool = True) -> None:
        super().__init__()
        self.calls: list[str] = []
        if not with_val:
            self.val_dataloader = super().val_dataloader  # type: ignore[method-assign]

    def prepare_data(self) -> None:
        self.calls.append("prepare_data")

    def setup(self, stage: str) -> None:
        self.calls.append(f"setup {str.__str__(stage)}")
        self.train, self.val = TensorDataset(rand(40), torch.arange(40) % 2), TensorDataset(rand(20, seed=1), torch.arange(20) % 2)

    def train_dataloader(self) -> DataLoader[Any]:
        return DataLoader(self.train, 16, shuffle=True)

    def val_dataloader(self) -> Any:
        return [DataLoader(self.val, 16), DataLoader(self.train, 16)]


def explicands_of(monitor: Monitor) -> Tensor:
    given = monitor.explain_set
    return (given.explicands[: given.num_images] * 255).round().to(torch.uint8)


def are_in(images: Tensor, pool: Tensor) -> bool:
    pool = (pool * 255).round().to(torch.uint8)
    return all(bool((image == pool).flatten(1).all(1).any()) for image in images)


def test_explicands_of_validation_foil_of_training(own_module: Make, loader: Make, quick_watch: Watch, quick_trainer: Make) -> None:
    train, val = rand(48), rand(48, seed=1)
    callback = quick_watch()
    monitor = monitor_of(callback, quick_trainer(callback), own_module(), loader(shuffle=True), [loader(seed=1), loader(seed=2)])
    given = monitor.explain_set
    assert are_in(explicands_of(monitor), val)
    for images in (given.foil, given.measure_foil, *given.corpora, *given.measure_corpora):
        assert are_in(images, train)
    assert given.class_names == ("class 0", "class 1")
    assert monitor.traces == ("rise", "rise-class")


def test_without_validation_both_are_training_images_and_differ(
    own_module: Make, loader: Make, quick_watch: Watch, quick_trainer: Make
) -> None:
    for loaders in (loader(shuffle=True), {"a": [loader(shuffle=True)], "b": loader(seed=3)}):
        callback = quick_watch()
        monitor = monitor_of(callback, quick_trainer(callback), own_module(), loaders)
        given = monitor.explain_set
        explicands, foil = explicands_of(monitor), torch.cat([given.foil, given.measure_foil, given.corpora.flatten(0, 1)])
        assert are_in(explicands, rand(48))
        assert are_in(foil, rand(48))
        assert not any(are_in(explicand[None], foil.float() / 255) for explicand in explicands)


def test_a_data_module(own_module: Make, quick_watch: Watch, quick_trainer: Make) -> None:
    callback, data = quick_watch(), OwnData()
    monitor = monitor_of(callback, quick_trainer(callback), own_module(), datamodule=data)
    assert data.calls == ["prepare_data", "setup fit"]
    assert are_in(explicands_of(monitor), rand(20, seed=1))
    assert are_in(monitor.explain_set.foil, rand(40))
    callback = quick_watch()
    without = monitor_of(callback, quick_trainer(callback), own_module(), datamodule=OwnData(with_val=False))
    assert are_in(explicands_of(without), rand(40))


def test_another_data_module(own_module: Make, loader: Make, quick_watch: Watch, quick_trainer: Make) -> None:
    data = OwnData()
    callback = quick_watch(data)
    monitor = monitor_of(callback, quick_trainer(callback), own_module(), loader(seed=9))
    assert data.calls == ["prepare_data", "setup fit"]
    assert are_in(explicands_of(monitor), rand(20, seed=1))
    assert are_in(monitor.explain_set.foil, rand(40))


def test_loaders_of_the_module(own_module: Make, loader: Make, quick_watch: Watch, quick_trainer: Make) -> None:
    module = own_module()

    class WithData(type(module)):  # type: ignore[misc]
        def train_dataloader(self) -> Any:
            return DataLoader(self.data if hasattr(self, "data") else torch.utils.data.random_split(Noisy(60, seed=0), [48, 12])[0], 16)

    class Late(type(module)):  # type: ignore[misc]
        def setup(self, stage: str) -> None:
            self.data = Noisy(48, seed=0)

        def train_dataloader(self) -> Any:
            return DataLoader(self.data, 16)

    callback = quick_watch()
    state = torch.get_rng_state()
    monitor_of(callback, quick_trainer(callback), WithData())
    torch.set_rng_state(state)
    with pytest.raises(AttributeError, match="data") as caught:
        quick_trainer(quick_watch()).fit(Late())
    assert "images=... is the way round it" in caught.value.__notes__[0]
    callback = quick_watch(rand(30))
    assert monitor_of(callback, quick_trainer(callback), WithData()).explain_set.num_images == 2


def _png(folder: Path, num: int) -> list[Path]:
    paths = [folder / f"picture-{i}.png" for i in range(num)]
    for i, path in enumerate(paths):
        Image.fromarray(np.random.default_rng(i).integers(0, 255, (20 + i % 3, 24, 3), dtype=np.uint8)).save(path)
    return paths


@pytest.mark.parametrize("kind", ["tensor", "bytes", "arrays", "pil", "files", "folder", "dataset", "loader", "batches"])
def test_kinds_of_images(kind: str, tmp_path: Path, own_module: Make, loader: Make, quick_watch: Watch, quick_trainer: Make) -> None:
    images = rand(6)
    arrays = [np.ascontiguousarray((image * 255).round().byte().permute(1, 2, 0).numpy()) for image in images]
    given: dict[str, Callable[[], Any]] = {
        "tensor": lambda: images,
        "bytes": lambda: (images * 255).round().byte(),
        "arrays": lambda: arrays,
        "pil": lambda: [Image.fromarray(array) for array in arrays],
        "files": lambda: [str(path) for path in _png(tmp_path, 6)],
        "folder": lambda: (_png(tmp_path, 6), tmp_path)[1],
        "dataset": lambda: Items(images, lambda image, i: Image.fromarray(arrays[i])),
        "loader": lambda: DataLoader(TensorDataset(images), 4),
        "batches": lambda: Each([images[:4], images[4:]]),
    }
    callback = quick_watch(given[kind](), num_explicands=6, image_size=16)
    given_set = monitor_of(callback, quick_trainer(callback), own_module(), loader()).explain_set
    assert given_set.num_images == 6
    assert given_set.explicands.shape == (12, 3, 16, 16)
    if kind in ("files", "folder"):
        assert given_set.names == tuple(f"picture-{i}.png" for i in range(6))
    else:
        assert are_in(explicands_of(callback.monitor), images)


class Each:
    """Any iterable of batches."""

    def __init__(self, batches: list[Tensor]) -> None:
        self.batches = batches

    def __iter__(self) -> Iterator[Tensor]:
        return iter(self.batches)


def test_labels_of_given_images(own_module: Make, loader: Make, quick_watch: Watch, quick_trainer: Make) -> None:
    callback = quick_watch(rand(4, seed=5), labels=[0, 1, 0, 1], class_names=("cat", "dog"))
    monitor = monitor_of(callback, quick_trainer(callback), own_module(), loader())
    assert monitor.traces == ("rise", "rise-class")
    assert monitor.explain_set.class_names == ("cat", "dog")
    callback = quick_watch(rand(4, seed=5), labels=[0, 1, 0, 1], foil=rand(20))  # a foil without labels: classes cannot be explained
    assert monitor_of(callback, quick_trainer(callback), own_module(), loader()).traces == ("rise",)


def test_a_region_as_text(own_module: Make, loader: Make, quick_watch: Watch, quick_trainer: Make) -> None:
    callback = quick_watch(region="0,0,0.5,0.5")
    region = monitor_of(callback, quick_trainer(callback), own_module(), loader()).explain_set.region
    assert region is not None
    assert float(region[0].float().mean()) == 0.25


@pytest.mark.parametrize(
    ("images", "options", "message"),
    [
        (rand(4)[:, :1], {}, "1 channels; they must be RGB"),
        (rand(4) * 3, {}, r"must lie in \[0, 1\]"),
        ([], {}, "the list is empty"),
        ([rand(1), rand(1, side=8)], {}, "several sizes"),
        ("nowhere", {}, "images nowhere: no such file or folder"),
        (rand(4), {"labels": [0, 1]}, r"labels of shape \(2,\) met 4 images"),
        (rand(4), {"labels": [0, 1, 2, 0], "class_names": ("a", "b")}, "class_names has 2 names, but there is a label 2"),
        (None, {"encoder": nn.Identity()}, "encoder is a module"),
        (None, {"mean": (0.5,)}, "mean and std go together"),
        (None, {"views": ("flip",)}, "must start with original"),
        (None, {"views": ("original", "flop")}, "did you mean 'flip'"),
        (None, {"seen": ("crop",)}, "seen: unknown 'crop'"),
        (None, {"attributions": ("rize",)}, "did you mean 'rise'"),
        (None, {"attributions": ()}, "at least one"),
        (None, {"attributions": "rise"}, "must be names"),
        (None, {"num_explicands": 0}, "num_explicands=0: must be at least 1"),
        (None, {"budget_share": 2.0}, "budget_share=2.0"),
    ],
)
def test_wrong_from_the_beginning(images: Any, options: dict[str, Any], message: str, quick_watch: Watch) -> None:
    with pytest.raises((ConfigError, DataError), match=message):
        quick_watch(images, **options)


@pytest.mark.parametrize(
    ("images", "options", "message"),
    [
        (rand(4, side=20), {}, r"have \(20, 20\) pixels, those of the foil \(16, 16\)"),
        (rand(4)[..., :12], {"foil": rand(20)[..., :12], "views": ("original", "rotate90")}, "rotate90 needs square images, .* 16 x 12"),
    ],
)  # fmt: skip
def test_wrong_once_the_images_are_there(
    images: Any, options: dict[str, Any], message: str, own_module: Make, loader: Make, quick_watch: Watch, quick_trainer: Make
) -> None:  # fmt: skip
    with pytest.raises((ConfigError, DataError), match=message):
        quick_trainer(quick_watch(images, **options)).fit(own_module(), loader())


def test_names_of_methods_have_few_masks(own_module: Make, loader: Make, quick_watch: Watch, quick_trainer: Make) -> None:
    callback = quick_watch(attributions=("integrated_gradients", "rise"))
    methods = monitor_of(callback, quick_trainer(callback), own_module(), loader()).attributions
    assert list(methods) == ["integrated_gradients", "rise"]
    assert (methods["rise"].num_masks, methods["rise"].grid_size) == (256, 4)  # type: ignore[attr-defined]


@pytest.mark.parametrize("world_size", [2, 6])
def test_more_processes_than_there_is_to_share(
    world_size: int, own_module: Make, loader: Make, quick_watch: Watch, quick_trainer: Make
) -> None:  # fmt: skip
    """No pairs, four rows: every process still meets the others, and has what one process alone has."""
    callback, module = quick_watch(), own_module()
    monitor = monitor_of(callback, quick_trainer(callback), module, loader())
    alone = monitor.look(callback.encoder(module))
    encoders = [callback.encoder(module) for _ in range(world_size)]
    for together in in_team(world_size, lambda team: monitor.look(encoders[team.rank], team=team)):
        assert isinstance(together, Look), together
        for trace, maps in alone.attributions.items():
            torch.testing.assert_close(together.attributions[trace], maps)
        assert together.num_samples == alone.num_samples


def test_a_resumed_run_goes_on(tmp_path: Path, own_module: Make, loader: Make, quick_watch: Watch, quick_trainer: Make) -> None:
    """Its looks, on the same explicands, and weights are those of a run that was not stopped."""
    whole, before, after = quick_watch(), quick_watch(), quick_watch()

    def fit(callback: ExplanationCallback, epochs: int, **options: Any) -> pl.LightningModule:
        pl.seed_everything(3, verbose=False)
        module: pl.LightningModule = own_module()
        module.backbone[3].p = 0.0  # Lightning keeps no random state
        trainer = quick_trainer(callback, max_epochs=epochs)
        trainer.fit(module, loader(), loader(seed=1), **options)
        trainer.save_checkpoint(tmp_path / f"{epochs}.ckpt")
        return module

    first, _, last = fit(whole, 3), fit(before, 2), fit(after, 3, ckpt_path=tmp_path / "2.ckpt")
    assert _same(dict(first.state_dict()), dict(last.state_dict()))
    assert after.epochs == whole.epochs == [0, 1, 2, 3]
    assert after.reading is not None
    assert whole.reading is not None
    assert after.reading.scalars == pytest.approx(whole.reading.scalars, abs=0, nan_ok=True)
