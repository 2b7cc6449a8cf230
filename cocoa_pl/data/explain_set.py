"""The explain set: what is explained at every epoch, drawn once, a function of the seed."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from cocoa_pl.augmentations.held_out import make_view, warp
from cocoa_pl.data.source import Source
from cocoa_pl.errors import DataError
from cocoa_pl.rng import derive_seed, generator

_MAX_CLASSES = 10
_MIN_CLASS = 4  # a corpus, its measure, and as many left for the foils


@dataclass(frozen=True)
class ExplainSet:
    """E validation images under V views, with the corpora and the foil they are compared with.

    Rows are view-major: row v * E + e is view v of image e. Corpora and foils are kept as bytes; the measure's are disjoint from those that
    make the maps, so that insertion and deletion never judge a map by the images that made it.

    Attributes:
        ids: (E,) positions in the validation split.
        names: E names for people, of files where there are files.
        views: V names, ``original`` first.
        seen: V flags, whether the training views make this view too.
        explicands: (V * E, 3, H, W) floats in [0, 1].
        theta: (V * E, 2, 3), each view's geometry.
        masks: (V * E, H, W) bool, the object under each view, where the data has masks.
        patches: (V * E, H, W) bool, the planted shortcut under each view, where the data has one.
        labels: (E,), where labels exist.
        foil: (F, 3, H, W) uint8 random training images.
        measure_foil: as many others.
        classes: L labels that have a corpus; empty without labels.
        corpora: (L, M, 3, H, W) uint8 training images of each class.
        measure_corpora: as many others.
        pairs: (P, 3, H, 2 W) floats, two validation images of different classes side by side.
        pair_labels: (P, 2), left and right.
        class_names: one name a label.
    """

    ids: Tensor
    names: tuple[str, ...]
    views: tuple[str, ...]
    seen: tuple[bool, ...]
    explicands: Tensor
    theta: Tensor
    masks: Tensor | None
    patches: Tensor | None
    labels: Tensor | None
    foil: Tensor
    measure_foil: Tensor
    classes: tuple[int, ...]
    corpora: Tensor
    measure_corpora: Tensor
    pairs: Tensor
    pair_labels: Tensor
    class_names: tuple[str, ...]

    @property
    def num_images(self) -> int:
        """E, the number of images before views."""
        return len(self.ids)


def draw_explain_set(
    train: Source, val: Source, *, num_explicands: int, views: Sequence[str], seen: Sequence[str], corpus_size: int, foil_size: int,
    num_pairs: int, seed: int,
) -> ExplainSet:  # fmt: skip
    """Draw the explain set.

    Args:
        train: corpora and foils come from here.
        val: explicands come from here, as evenly over the classes as their number allows.
        num_explicands: E.
        views: names of ``augmentations.held_out``, ``original`` first.
        seen: the views that the training transform also makes.
        corpus_size: M; fewer where a class has fewer than 4 M training images; classes with fewer than four get none.
        foil_size: F; fewer where the data is small.
        num_pairs: P.
        seed: of this draw; independent of what training draws.

    Raises:
        DataError: no image to explain, or not even two training images left for the foils.
    """
    if len(val) == 0:
        raise DataError("the validation split is empty: nothing to explain")
    usable = _usable(train, val)
    ids = _spread(val, usable, num_explicands, generator(seed, "explicands"))
    images = val.load(ids.tolist()).float() / 255
    labels = None if usable is None or val.labels is None else val.labels[ids]
    made = [make_view(name, images, ids=ids, seed=derive_seed(seed, "views")) for name in views]
    theta = torch.cat([view.theta for view in made])
    pairs, pair_labels = _pairs(val, usable, num_pairs, generator(seed, "pairs"))
    needed = sorted({*([] if labels is None else labels.tolist()), *pair_labels.flatten().tolist()})
    corpora, used = _corpora(train, needed, corpus_size, generator(seed, "corpora"))
    foils = _foils(train, foil_size, used, generator(seed, "foil"))
    sized = corpora[:, : corpora.shape[1] // 2], corpora[:, corpora.shape[1] // 2 :]
    return ExplainSet(
        ids=ids,
        names=tuple(val.name(index) for index in ids.tolist()),
        views=tuple(views),
        seen=tuple(name in seen for name in views),
        explicands=torch.cat([view.images for view in made]),
        theta=theta,
        masks=_under_views(val.masks(ids.tolist()), theta, len(views)),
        patches=_under_views(val.patches(ids.tolist()), theta, len(views)),
        labels=labels,
        foil=train.load(foils[: len(foils) // 2].tolist()),
        measure_foil=train.load(foils[len(foils) // 2 :].tolist()),
        classes=tuple(needed),
        corpora=_load_grid(train, sized[0], like=images),
        measure_corpora=_load_grid(train, sized[1], like=images),
        pairs=pairs,
        pair_labels=pair_labels,
        class_names=val.class_names,
    )


def _usable(train: Source, val: Source) -> Tensor | None:
    """Which validation images (n,) are of a class with enough training images for corpora; None where none is: labels only unlock."""
    if train.labels is None or val.labels is None:
        return None
    counts = torch.bincount(train.labels[train.labels >= 0], minlength=int(val.labels.max()) + 1)
    usable = (val.labels >= 0) & (counts[val.labels.clamp_min(0)] >= _MIN_CLASS)
    if not bool(usable.any()):
        warnings.warn(f"no class has {_MIN_CLASS} training images: explained without labels", stacklevel=3)
        return None
    return usable


def _spread(source: Source, usable: Tensor | None, num: int, rng: torch.Generator) -> Tensor:
    """Random positions, one of every class before a second of any, classes in random order; in their own order where no label counts."""
    order = torch.randperm(len(source), generator=rng)
    if usable is None or source.labels is None:
        return order[:num].sort().values
    order = order[usable[order]]
    labels = source.labels[order]
    known = torch.unique(labels)
    classes = known[torch.randperm(len(known), generator=rng)][:_MAX_CLASSES]
    turn = torch.full((len(order),), -1, dtype=torch.long)
    for place, label in enumerate(classes):
        members = (labels == label).nonzero()[:, 0]
        turn[members] = torch.arange(len(members)) * len(classes) + place
    chosen = turn >= 0
    return order[chosen][turn[chosen].argsort(stable=True)][:num]


def _pairs(source: Source, usable: Tensor | None, num: int, rng: torch.Generator) -> tuple[Tensor, Tensor]:
    """Images of different classes side by side, from the same classes that explicands are spread over."""
    if usable is None or source.labels is None or num == 0 or len(torch.unique(source.labels[usable])) < 2:
        return torch.empty(0), torch.empty(0, 2, dtype=torch.long)
    pool = _spread(source, usable, len(source), rng)
    left = pool[torch.randint(len(pool), (20 * num,), generator=rng)]
    right = pool[torch.randint(len(pool), (20 * num,), generator=rng)]
    differ = source.labels[left] != source.labels[right]
    left, right = left[differ][:num], right[differ][:num]
    images = torch.cat([source.load(left.tolist()), source.load(right.tolist())], dim=-1).float() / 255
    return images, torch.stack([source.labels[left], source.labels[right]], dim=1)


def _corpora(source: Source, classes: list[int], size: int, rng: torch.Generator) -> tuple[Tensor, Tensor]:
    """Positions (L, 2 m) of class members, m at most ``size`` and the same for all, and all positions used."""
    if source.labels is None or not classes:
        return torch.empty(0, 0, dtype=torch.long), torch.empty(0, dtype=torch.long)
    order = torch.randperm(len(source), generator=rng)
    members = [order[source.labels[order] == label] for label in classes]
    m = min(size, *(len(rows) // 4 for rows in members))  # half of each class stays for the foil
    if m < size:
        warnings.warn(f"corpora have {m} images instead of {size}: a class has no more training images", stacklevel=2)
    corpora = torch.stack([rows[: 2 * m] for rows in members])
    return corpora, corpora.flatten()


def _foils(source: Source, size: int, used: Tensor, rng: torch.Generator) -> Tensor:
    """Positions (2 f,) of random training images that are in no corpus."""
    free = torch.ones(len(source), dtype=torch.bool)
    free[used] = False
    order = torch.randperm(len(source), generator=rng)
    order = order[free[order]]
    f = min(size, len(order) // 2)
    if f == 0:
        raise DataError(
            f"{len(source)} training images leave none for the foil and its measure; at least two are needed beside the corpora"
        )
    if f < size:
        warnings.warn(f"the foil has {f} images instead of {size}: there are no more training images", stacklevel=2)
    return order[: 2 * f]


def _load_grid(source: Source, ids: Tensor, *, like: Tensor) -> Tensor:
    if ids.numel() == 0:
        return torch.empty(0, 0, *like.shape[1:], dtype=torch.uint8)
    return source.load(ids.flatten().tolist()).reshape(*ids.shape, *like.shape[1:])


def _under_views(masks: Tensor | None, theta: Tensor, num_views: int) -> Tensor | None:
    return None if masks is None else warp(masks.repeat(num_views, 1, 1), theta)
