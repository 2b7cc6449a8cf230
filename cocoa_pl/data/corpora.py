"""Where corpora and foils come from: a class, chosen pictures, a folder, nearest neighbours, clusters; a random draw.

Functions of a source give positions in it, ids (n,), for ``source.load``; functions of representations give rows of those. Draws are
functions of the seed, and a smaller draw is the beginning of a larger one.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from cocoa_pl.data.inputs import load_pictures
from cocoa_pl.data.source import Source
from cocoa_pl.errors import DataError, choices_hint
from cocoa_pl.rng import derive_seed, generator
from cocoa_pl.targets import normalize
from cocoa_pl.targets.base import check_lengths, check_reps

Ids = Tensor | np.ndarray | Sequence[int]
_QUERIES = 1024  # compared with the bank at once


def by_class(source: Source, label: int | str, size: int, *, seed: int, exclude: Ids = ()) -> Tensor:
    """Random images of one class.

    Args:
        source: where from; it must have labels.
        label: the class, by number or by name.
        size: how many.
        seed: of the draw.
        exclude: ids that are not to be drawn, such as the explicands.

    Raises:
        DataError: no labels, an unknown class, or fewer images than asked for.

    Example:
        >>> from cocoa_pl.data.source import MemorySource
        >>> labels = torch.tensor([0, 1, 0, 1, 0])
        >>> source = MemorySource(torch.zeros(5, 3, 2, 2, dtype=torch.uint8), labels=labels, class_names=("cat", "dog"))
        >>> sorted(by_class(source, "cat", 2, seed=0, exclude=[4]).tolist())
        [0, 2]
    """
    if source.labels is None:
        raise DataError("the data has no labels: no corpus of a class can be drawn; choose pictures, neighbours or clusters instead")
    number = _class_number(source, source.labels, label)
    return _draw((source.labels == number).nonzero()[:, 0], size, exclude, f"class {label!r}", generator(seed, "corpus", number))


def by_ids(source: Source, ids: Ids) -> Tensor:
    """Chosen images, in the order given.

    Raises:
        DataError: none, one that does not exist, or one twice.
    """
    chosen = _as_ids(ids)
    if len(chosen) == 0:
        raise DataError("no image was chosen; at least one is needed")
    beyond = chosen[(chosen < 0) | (chosen >= len(source))]
    if len(beyond):
        raise DataError(f"there is no image {int(beyond[0])}: the data has {len(source)}, numbered from 0")
    if len(torch.unique(chosen)) < len(chosen):
        raise DataError(f"{len(chosen)} images were chosen, but only {len(torch.unique(chosen))} different ones")
    return chosen


def from_folder(path: str | Path, *, size: int) -> Tensor:
    """All pictures of a folder and its subfolders, or one picture, as central squares (M, 3, S, S) uint8, in alphabetical order.

    Args:
        path: the folder or file.
        size: side S of the squares, as the encoder sees them.

    Raises:
        DataError: no such path, no picture in it, or one that cannot be read.
    """
    if not Path(path).exists():
        raise DataError(f"{path}: no such file or folder")
    source = load_pictures([path], size=size)
    return source.load(range(len(source)))


def random_foil(source: Source, size: int, *, seed: int, exclude: Ids = ()) -> Tensor:
    """Random images of any class: a typical image, many times.

    Args:
        source: where from.
        size: how many; the paper takes 1500, and ``targets.foil_size_advice`` says what a given foil does to maps.
        seed: of the draw.
        exclude: ids that are not to be drawn: those of the corpus, which would cancel out of the score, and the explicands.

    Raises:
        DataError: fewer images than asked for.
    """
    return _draw(torch.arange(len(source)), size, exclude, "the data", generator(seed, "foil"))


def neighbours(query_reps: Tensor, bank_reps: Tensor, num: int) -> Tensor:
    """Rows of the nearest representations by cosine, nearest first.

    Args:
        query_reps: (Q, D).
        bank_reps: (n, D); a query that is in the bank is its own nearest neighbour.
        num: neighbours of each query.

    Returns:
        (Q, num) int64.

    Raises:
        DataError: the bank is smaller than num, or representations that cannot be compared.

    Example:
        >>> neighbours(torch.tensor([[1.0, 0.1]]), torch.tensor([[0.0, 1.0], [5.0, 0.0], [1.0, 1.0]]), 2).tolist()
        [[1, 2]]
    """
    queries, bank = check_reps(query_reps, what="query"), check_reps(bank_reps, what="bank")
    check_lengths(queries=queries, bank=bank)
    if not 1 <= num <= len(bank):
        raise DataError(f"{num} neighbours were asked for; the bank has {len(bank)} representations")
    bank = normalize(bank).T
    return torch.cat([(normalize(part) @ bank).topk(num, dim=1).indices for part in torch.split(queries, _QUERIES)])


class Clusters(NamedTuple):
    """Representations in groups."""

    assignments: Tensor  # (n,), the cluster of each
    ids: tuple[Tensor, ...]  # rows of each cluster, the nearest to its centre first


def clusters(reps: Tensor, num: int, *, seed: int) -> Clusters:
    """Groups that the encoder sees, found by k-means on unit representations: corpora where there are no labels.

    Args:
        reps: (n, D).
        num: clusters.
        seed: of the k-means.

    Raises:
        DataError: fewer different representations than clusters, or representations that cannot be compared.

    Example:
        >>> clusters(torch.tensor([[1.0, 0.0], [0.0, 1.0], [9.0, 1.0], [1.0, 0.2]]), 2, seed=0).ids[0].sort().values.tolist()
        [0, 2, 3]
    """
    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning

    unit = normalize(check_reps(reps, what="clustered")).cpu()
    if not 1 <= num <= len(unit):
        raise DataError(f"{num} clusters were asked for; there are {len(unit)} representations")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # of fewer different points than clusters: refused below, in our words
        found = KMeans(num, n_init=10, random_state=derive_seed(seed, "clusters") % 2**32).fit(unit.numpy())
    assignments, centres = torch.from_numpy(found.labels_).long(), torch.from_numpy(found.cluster_centers_)
    if (different := len(torch.unique(assignments))) < num:
        raise DataError(f"{num} clusters were asked for; the encoder tells only {different} groups apart")
    order = (unit - centres[assignments]).norm(dim=1).argsort(stable=True)
    return Clusters(assignments.to(reps.device), tuple(order[assignments[order] == cluster].to(reps.device) for cluster in range(num)))


def _as_ids(ids: Ids) -> Tensor:
    return torch.as_tensor(ids, dtype=torch.int64, device="cpu").flatten()


def _class_number(source: Source, labels: Tensor, label: int | str) -> int:
    if isinstance(label, str):
        if label not in source.class_names:
            raise DataError(f"unknown class '{label}'; {choices_hint(label, source.class_names)}")
        return source.class_names.index(label)
    if label < 0 or not bool((labels == label).any()):
        known = [str(number) for number in torch.unique(labels[labels >= 0]).tolist()]
        raise DataError(f"unknown class {label}; {choices_hint(str(label), known)}")
    return label


def _draw(pool: Tensor, size: int, exclude: Ids, what: str, rng: torch.Generator) -> Tensor:
    """``size`` different ids of the pool in random order."""
    order = pool[torch.randperm(len(pool), generator=rng)]
    order = order[~torch.isin(order, _as_ids(exclude))]
    if not 1 <= size <= len(order):
        left = f", {len(order)} of them not excluded" if len(order) < len(pool) else ""
        raise DataError(f"{size} images were asked for; {what} has {len(pool)}{left}")
    return order[:size]
