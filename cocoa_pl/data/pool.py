"""Images out of anybody's datasets and loaders, read without a trace: no global random number is taken, no iterator of training moved."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from numbers import Integral
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset

from cocoa_pl.data.image_folder import FolderSource, Listing
from cocoa_pl.data.inputs import load_pictures
from cocoa_pl.data.loading import global_rng_restored, seed_global_rng
from cocoa_pl.data.source import MemorySource, Source
from cocoa_pl.errors import ConfigError, DataError
from cocoa_pl.images import as_images
from cocoa_pl.rng import derive_seed, generator

_IMAGE_KEYS = ("image", "images", "img", "pixel_values", "x")
_LABEL_KEYS = ("label", "labels", "target", "targets", "y")
_SLACK = 1e-3  # what floats in [0, 1] overshoot by
_WRONG_SHARE = 0.01  # of the values: more of them outside [0, 1] than noise would put there

Statistics = tuple[Sequence[float], Sequence[float]]
"""Channel means and standard deviations that images were normalised by."""


class Pool(MemorySource):
    """Images in memory, with names.

    Args:
        images: (n, 3, H, W) uint8.
        names: n names for people.
        labels: (n,) int64.
        class_names: one name a label; numbers where there are none.
    """

    def __init__(self, images: Tensor, *, names: Sequence[str], labels: Tensor | None = None, class_names: Sequence[str] = ()) -> None:
        super().__init__(images, labels=labels, class_names=_named(labels, class_names))
        self.names = names

    def name(self, index: int) -> str:
        return self.names[index]


class Part(Source):
    """Some pictures of a source.

    Args:
        source: all of them.
        ids: (m,) positions in it.
    """

    def __init__(self, source: Source, ids: Tensor) -> None:
        self.source, self.ids, self.class_names = source, ids, source.class_names
        self.labels = None if source.labels is None else source.labels[ids]

    def __len__(self) -> int:
        return len(self.ids)

    def load(self, ids: Sequence[int]) -> Tensor:
        return self.source.load(self._in_source(ids))

    def picture(self, index: int) -> Image.Image:
        return self.source.picture(int(self.ids[index]))

    def name(self, index: int) -> str:
        return self.source.name(int(self.ids[index]))

    def masks(self, ids: Sequence[int]) -> Tensor | None:
        return self.source.masks(self._in_source(ids))

    def patches(self, ids: Sequence[int]) -> Tensor | None:
        return self.source.patches(self._in_source(ids))

    def _in_source(self, ids: Sequence[int]) -> list[int]:
        return [int(self.ids[i]) for i in ids]


def apart(source: Source, num: int, *, seed: int) -> tuple[Source, Source]:
    """Two sources without a common picture: ``num`` random ones, or half of them where there are no more, and the rest.

    Example:
        >>> images = torch.zeros(5, 3, 2, 2, dtype=torch.uint8)
        >>> [len(part) for part in apart(Pool(images, names="abcde"), 3, seed=0)]
        [2, 3]
    """
    order = torch.randperm(len(source), generator=generator(seed, "apart"))
    num = min(num, len(source) // 2)
    return Part(source, order[:num]), Part(source, order[num:])


def pictures(images: Any, *, labels: Any = None, class_names: Sequence[str] = (), image_size: int = 224) -> Source:
    """Pictures that a user has at hand.

    Args:
        images: what ``images.as_images`` takes, or files and folders, which become central squares.
        labels: one integer an image, negative where unknown.
        class_names: one name a label.
        image_size: side of the squares that files become.

    Raises:
        DataError: no images, images that are not RGB, not in [0, 1] or of several sizes, a path that does not exist.
        ConfigError: not one label an image.
    """
    known = None if labels is None else torch.as_tensor(labels, dtype=torch.long)
    paths = [images] if isinstance(images, str | Path) else images
    source: Source
    if isinstance(paths, list | tuple) and paths and all(isinstance(path, str | Path) for path in paths):
        for path in paths:
            if not Path(path).exists():
                raise DataError(f"images {path}: no such file or folder")
        files = load_pictures(paths, size=image_size)
        source = FolderSource(Listing(files.paths, known, _named(known, class_names)), image_size=image_size)
    else:
        ready = _to_bytes(as_images(images), None, what="the images")
        source = Pool(ready, names=[f"image {i}" for i in range(len(ready))], labels=known, class_names=class_names)
    if known is not None and known.shape != (len(source),):
        raise ConfigError(f"labels of shape {tuple(known.shape)} met {len(source)} images; there must be one integer an image")
    return source


def read_pool(
    data: Any, num: int, *, seed: int, what: str, statistics: Statistics | None = None, class_names: Sequence[str] = ()
) -> Pool:  # fmt: skip
    """At most ``num`` random images of a dataset or a loader, the same ones with the same seed.

    An item or a batch is an image or images, a tuple that begins with them (or with a list of their views, of which the first is taken), or
    a mapping that holds them as ``image``. Integers after the images, or under ``label``, are labels. Items are made with generators seeded
    for each, so that random transforms give the same images in every process and in a resumed run.

    Args:
        data: a dataset, a ``DataLoader`` (its dataset is read, through its collate function), or another iterable of batches.
        num: how many.
        seed: of the draw.
        what: what the images are, for messages.
        statistics: undone where values lie outside [0, 1].
        class_names: one name a label.

    Raises:
        DataError: no image in it, or images that are not RGB, of several sizes, or outside [0, 1] without or in spite of ``statistics``.

    Example:
        >>> from torch.utils.data import TensorDataset
        >>> data = TensorDataset(torch.rand(20, 3, 8, 8), torch.arange(20) % 2)
        >>> pool = read_pool(data, 6, seed=0, what="the training images")
        >>> len(pool), pool.class_names
        (6, ('class 0', 'class 1'))
    """
    images: list[Tensor] = []
    labels: list[Tensor | None] = []
    names: list[str] = []
    with global_rng_restored():
        for positions, batch in _batches(data, num, seed, what):
            found = _images_of(batch, what)[: num - len(names)]
            if positions is not None:
                found = found[: len(positions)]
            first = len(names)
            names += [f"image {position}" for position in (positions or range(first, first + len(found)))[: len(found)]]
            labels.append(_labels_of(batch, len(found)))
            images.append(found)
            if len(names) >= num:
                break
    if not names:
        raise DataError(f"{what}: there is none")
    sizes = sorted({tuple(each.shape[1:]) for each in images})
    if len(sizes) > 1:
        raise DataError(f"{what} have several sizes {sizes}; resize and crop them to one in the dataset's transform")
    known = [each for each in labels if each is not None]
    together = torch.cat(known) if len(known) == len(labels) else None
    if together is not None and len(torch.unique(together)) < 2:
        together = None  # flat folders give every picture the label 0
    return Pool(_to_bytes(torch.cat(images), statistics, what=what), names=names, labels=together, class_names=class_names)


def _batches(data: Any, num: int, seed: int, what: str) -> Iterator[tuple[Sequence[int] | None, Any]]:
    """Batches with the positions of their items in the dataset, where those are known."""
    loader = data if isinstance(data, DataLoader) else None
    dataset = data if loader is None else loader.dataset
    if isinstance(dataset, IterableDataset) or not (hasattr(dataset, "__getitem__") and hasattr(dataset, "__len__")):
        if not isinstance(data, Iterable) or isinstance(data, Iterator):
            raise DataError(f"{what} come from a {type(data).__name__}; must be a dataset, a DataLoader or an iterable that starts anew")
        seed_global_rng(derive_seed(seed, "pool"))
        if isinstance(dataset, IterableDataset):  # a loader of our own: workers that persist belong to training
            size, collate = (1, _only) if loader is None else (loader.batch_size, loader.collate_fn)
            data = DataLoader(dataset, batch_size=size, collate_fn=collate)
        for batch in data:
            yield None, batch
        return
    indices = getattr(None if loader is None else loader.sampler, "indices", None)  # SubsetRandomSampler
    allowed = torch.arange(len(dataset)) if indices is None else torch.as_tensor(indices)
    order = allowed[torch.randperm(len(allowed), generator=generator(seed, "pool"))[:num]].tolist()
    in_batches = loader is not None and loader.batch_sampler is not None
    size = (getattr(loader.batch_sampler, "batch_size", None) or 1) if loader is not None and in_batches else 1
    for start in range(0, len(order), size):
        items = []
        for position in order[start : start + size]:
            seed_global_rng(derive_seed(seed, "pool", position))
            items.append(dataset[position])
        batch = items[0] if loader is None else loader.collate_fn(items if in_batches else items[0])
        yield order[start : start + size] if loader is None or in_batches else None, batch


def _only(items: list[Any]) -> Any:
    return items[0]


def _images_of(batch: Any, what: str) -> Tensor:
    """(B, 3, H, W) floats, in whatever range they have; the first view where there are several."""
    if isinstance(batch, Mapping):
        key = next((key for key in _IMAGE_KEYS if key in batch), None)
        if key is None:
            found = ", ".join(map(str, batch))
            raise DataError(f"{what} come in mappings with {found}; the images must be one of {', '.join(_IMAGE_KEYS)}")
        return _images_of(batch[key], what)
    if isinstance(batch, list | tuple) and batch:
        return _images_of(batch[0], what)
    if not isinstance(batch, Tensor):
        return as_images(batch)
    images = batch[None] if batch.ndim == 3 else batch
    if images.ndim != 4 or images.shape[1] != 3:
        raise DataError(f"{what} come as {tuple(batch.shape)}; must be RGB, (B, 3, H, W) or (3, H, W)")
    return images.detach().cpu().float() / (1 if images.is_floating_point() else 255)


def _labels_of(batch: Any, num: int) -> Tensor | None:
    """(B,) integers beside the images."""
    beside = next((batch[key] for key in _LABEL_KEYS if key in batch), None) if isinstance(batch, Mapping) else None
    if isinstance(batch, list | tuple) and len(batch) > 1:
        beside = batch[1]
    if isinstance(beside, Integral):
        beside = torch.tensor(int(beside))
    if not isinstance(beside, Tensor) or beside.is_floating_point() or beside.dtype == torch.bool or beside.ndim > 1:
        return None
    beside = beside.detach().cpu().long().view(-1)
    return beside[:num] if len(beside) >= num else None


def _to_bytes(images: Tensor, statistics: Statistics | None, *, what: str) -> Tensor:
    """(n, 3, H, W) floats in [0, 1], or normalised by ``statistics``, to uint8."""
    if images.shape[1] != 3:
        raise DataError(f"{what} have {images.shape[1]} channels; they must be RGB (grey ones: images.expand(-1, 3, -1, -1))")
    low, high = (float(value) for value in images.aminmax())
    if low < -_SLACK or high > 1 + _SLACK or not low <= high:
        if statistics is None:
            raise DataError(
                f"{what} hold values from {low:.3g} to {high:.3g}, neither bytes nor in [0, 1]; where they are normalised, say by what: "
                "mean=..., std=..."
            )
        mean, std = (torch.tensor(values, dtype=torch.float32).view(-1, 1, 1) for values in statistics)
        images = images * std + mean
        wrong = float(((images >= -_SLACK) & (images <= 1 + _SLACK)).logical_not().float().mean())
        if wrong > _WRONG_SHARE:
            raise DataError(f"{what}: {wrong:.0%} of the values lie outside [0, 1] once mean and std are undone; the data has others")
    return (images.clamp(0, 1) * 255).round().to(torch.uint8)


def _named(labels: Tensor | None, class_names: Sequence[str]) -> tuple[str, ...]:
    if labels is None:
        return tuple(class_names)
    num = int(labels.max()) + 1
    if class_names and len(class_names) < num:
        raise ConfigError(f"class_names has {len(class_names)} names, but there is a label {num - 1}; there must be a name for each label")
    return tuple(class_names) or tuple(f"class {label}" for label in range(num))
