"""Corpora and foils from sources, folders and representations."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score
from sklearn.neighbors import NearestNeighbors

from cocoa_pl.data.corpora import by_class, by_ids, clusters, from_folder, neighbours, random_foil
from cocoa_pl.data.source import MemorySource
from cocoa_pl.errors import DataError

LABELS = torch.arange(40) % 4 - 1  # -1 is no label
SOURCE = MemorySource(torch.zeros(40, 3, 2, 2, dtype=torch.uint8), labels=LABELS, class_names=("cat", "dog", "horse"))
UNLABELLED = MemorySource(torch.zeros(40, 3, 2, 2, dtype=torch.uint8))
DRAW = torch.Generator().manual_seed(0)


@pytest.mark.parametrize("label", ["dog", 1])
def test_a_class_corpus_holds_different_images_of_the_class(label: str | int) -> None:
    ids = by_class(SOURCE, label, 6, seed=0)
    assert (LABELS[ids] == 1).all()
    assert len(set(ids.tolist())) == 6
    assert torch.equal(by_class(SOURCE, label, 6, seed=0), ids)
    assert torch.equal(by_class(SOURCE, label, 4, seed=0), ids[:4])
    assert ids.tolist() != by_class(SOURCE, label, 6, seed=1).tolist()
    others = by_class(SOURCE, label, 4, seed=0, exclude=ids)
    assert set(others.tolist()) | set(ids.tolist()) == set((LABELS == 1).nonzero()[:, 0].tolist())


def test_a_foil_holds_different_images_of_all_classes_but_those_excluded() -> None:
    corpus = by_class(SOURCE, "cat", 5, seed=0)
    foil = random_foil(SOURCE, 35, seed=0, exclude=corpus)
    assert sorted([*foil.tolist(), *corpus.tolist()]) == list(range(40))
    assert torch.equal(random_foil(UNLABELLED, 10, seed=0, exclude=corpus), foil[:10])
    assert foil[:10].tolist() != random_foil(SOURCE, 10, seed=1, exclude=corpus).tolist()
    assert foil[:10].tolist() != sorted(foil[:10].tolist())


def test_chosen_images_stay_in_their_order() -> None:
    for chosen in ([7, 3, 39], np.array([7, 3, 39]), torch.tensor([7, 3, 39])):
        assert by_ids(SOURCE, chosen).tolist() == [7, 3, 39]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: by_class(SOURCE, "hors", 3, seed=0), r"unknown class 'hors'; choose from: cat, dog, horse \(did you mean 'horse'\?\)"),
        (lambda: by_class(SOURCE, 7, 3, seed=0), "unknown class 7; choose from: 0, 1, 2"),
        (lambda: by_class(SOURCE, -1, 3, seed=0), "unknown class -1; choose from: 0, 1, 2"),
        (lambda: by_class(UNLABELLED, "cat", 3, seed=0), "the data has no labels"),
        (lambda: by_class(SOURCE, "cat", 11, seed=0), "11 images were asked for; class 'cat' has 10$"),
        (lambda: by_class(SOURCE, "cat", 9, seed=0, exclude=[1, 5]), "9 images were asked for; class 'cat' has 10, 8 of them not excluded"),
        (lambda: by_class(SOURCE, "cat", 0, seed=0), "0 images were asked for"),
        (lambda: random_foil(SOURCE, 41, seed=0), "41 images were asked for; the data has 40$"),
        (lambda: by_ids(SOURCE, []), "no image was chosen"),
        (lambda: by_ids(SOURCE, [3, 40]), "there is no image 40: the data has 40, numbered from 0"),
        (lambda: by_ids(SOURCE, [-1]), "there is no image -1"),
        (lambda: by_ids(SOURCE, [3, 3]), "2 images were chosen, but only 1 different ones"),
        (lambda: neighbours(torch.ones(1, 3), torch.ones(4, 3), 5), "5 neighbours were asked for; the bank has 4"),
        (lambda: neighbours(torch.ones(1, 3), torch.ones(4, 2), 1), r"different lengths \(queries 3, bank 2\)"),
        (lambda: neighbours(torch.ones(1, 3), torch.ones(0, 3), 1), r"bank representations \(0, 3\): at least one image"),
        (lambda: clusters(torch.ones(4, 3), 5, seed=0), "5 clusters were asked for; there are 4 representations"),
        (lambda: clusters(torch.ones(4, 3), 2, seed=0), "2 clusters were asked for; the encoder tells only 1 groups apart"),
        (lambda: clusters(torch.full((4, 3), torch.nan), 2, seed=0), "4 of 4 clustered representations hold NaN"),
    ],
)
def test_what_makes_no_corpus_is_refused(make: Callable[[], object], message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        make()
    assert "\n" not in str(caught.value)


def test_a_folder_of_pictures_is_a_corpus(tmp_path: Path) -> None:
    (tmp_path / "below").mkdir()
    for name, red in (("b.png", 200), ("a.png", 100), ("below/c.png", 50)):
        Image.new("RGB", (30, 20), (red, 0, 0)).save(tmp_path / name)
    images = from_folder(tmp_path, size=8)
    assert images.shape == (3, 3, 8, 8)
    assert images.dtype == torch.uint8
    assert images[:, 0, 0, 0].tolist() == [100, 200, 50]
    assert from_folder(tmp_path / "b.png", size=8).shape == (1, 3, 8, 8)
    with pytest.raises(DataError, match=r"^\S*nowhere: no such file or folder"):
        from_folder(tmp_path / "nowhere", size=8)
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="holds no picture"):
        from_folder(tmp_path / "empty", size=8)


def test_neighbours_are_scikit_learn_s_also_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    queries, bank = torch.randn(7, 5, generator=DRAW), torch.randn(30, 5, generator=DRAW)
    theirs = NearestNeighbors(n_neighbors=4, metric="cosine").fit(bank.numpy()).kneighbors(queries.numpy(), return_distance=False)
    monkeypatch.setattr("cocoa_pl.data.corpora._QUERIES", 3)
    assert neighbours(queries, bank, 4).tolist() == theirs.tolist()


def test_clusters_find_groups_of_directions_and_rank_by_the_centre() -> None:
    centres = torch.eye(3)[[0, 1, 2]].repeat_interleave(12, dim=0) * torch.rand(36, 1, generator=DRAW).add(0.5)
    reps = centres + 0.1 * torch.randn(36, 3, generator=DRAW)
    found = clusters(reps, 3, seed=0)
    assert adjusted_rand_score(np.repeat([0, 1, 2], 12), found.assignments.numpy()) == 1
    assert sorted(torch.cat(found.ids).tolist()) == list(range(36))
    unit = (reps / reps.norm(dim=1, keepdim=True)).numpy()
    inertia = 0.0
    for cluster, ids in enumerate(found.ids):
        assert (found.assignments[ids] == cluster).all()
        distances = np.linalg.norm(unit[ids] - unit[ids].mean(0), axis=1)
        assert (np.diff(distances) >= -1e-6).all()
        inertia += float((distances**2).sum())
    assert inertia == pytest.approx(KMeans(3, n_init=10, random_state=3).fit(unit).inertia_, rel=1e-4)
    again = clusters(reps, 3, seed=0)
    assert torch.equal(again.assignments, found.assignments)
