"""Salient and whitened directions against principal components and covariances of scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.covariance import ledoit_wolf
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from torch import Tensor

from cocoa_pl.errors import ConfigError
from cocoa_pl.targets import cocoa, cocoa_salient, cocoa_whitened, normalize, separation

DRAW = torch.Generator().manual_seed(0)
CORPUS, OWN = torch.randn(6, 8, generator=DRAW) + 1, torch.randn(3, 4, 8, generator=DRAW)
SCALES = torch.tensor([3.0, 2.0, 1.0, 1.0, 0.5, 0.5, 0.3, 0.1])
MANY, FEW = torch.randn(60, 8, generator=DRAW) * SCALES, torch.randn(5, 8, generator=DRAW) * SCALES


def unit(reps: Tensor) -> np.ndarray:
    return normalize(reps).double().numpy()


def cosine(first: Tensor, second: np.ndarray) -> float:
    return float(first.numpy() @ second / (np.linalg.norm(first.numpy()) * np.linalg.norm(second)))


@pytest.mark.parametrize("foil", [MANY, FEW], ids=["more images than elements", "fewer"])
@pytest.mark.parametrize("share", [0.2, 0.5, 0.9])
def test_salient_leaves_out_the_principal_components_of_the_foil(foil: Tensor, share: float) -> None:
    pca = PCA().fit(unit(foil))
    num = next(k for k in range(1, 9) if pca.explained_variance_ratio_[:k].sum() >= share)
    removed = pca.components_[:num]
    for corpus in (CORPUS, OWN):
        direction = unit(corpus).mean(-2) - unit(foil).mean(0)
        expected = direction - sum(np.multiply.outer(direction @ v, v) for v in removed)
        given = cocoa_salient(corpus, foil, share=share).directions[0]
        np.testing.assert_allclose(given.numpy(), expected, atol=1e-6)
    assert np.abs(given.numpy() @ removed.T).max() < 1e-6
    assert np.abs(direction @ removed.T).max() > 1e-2


@pytest.mark.parametrize("foil", [MANY, FEW], ids=["more images than elements", "fewer"])
def test_whitened_is_the_direction_by_ledoit_and_wolf_s_inverse_covariance(foil: Tensor) -> None:
    covariance, shrinkage = ledoit_wolf(unit(foil))
    assert 0 < shrinkage < 1
    inverse = np.linalg.inv(covariance / (np.trace(covariance) / 8))
    for corpus in (CORPUS, OWN):
        direction = unit(corpus).mean(-2) - unit(foil).mean(0)
        given = cocoa_whitened(corpus, foil).directions[0].numpy()
        np.testing.assert_allclose(given, direction @ inverse, rtol=1e-4, atol=1e-5)


def test_whitened_is_the_linear_discriminant_where_both_sets_scatter_alike() -> None:
    """With the scatter of one set alone it is Fisher's direction if the corpus scatters as the foil does."""
    draw = torch.Generator().manual_seed(1)
    centre = torch.full((8,), 20.0)  # far out, unit representations are a projection
    foil = torch.randn(4000, 8, generator=draw) * SCALES + centre
    corpus = torch.randn(4000, 8, generator=draw) * SCALES + centre + torch.tensor([1.0, -1.0] * 4) * 0.3
    reps, labels = np.concatenate([unit(corpus), unit(foil)]), np.repeat([1, 0], 4000)
    fisher = LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto").fit(reps, labels).coef_[0]
    plain, whitened = cocoa(corpus, foil), cocoa_whitened(corpus, foil)
    assert cosine(whitened.directions[0], fisher) > 0.98 > 0.8 > cosine(plain.directions[0], fisher)
    both = separation(plain + whitened, corpus, foil).auroc
    assert both[1] > both[0] + 0.1


def test_a_foil_that_varies_alike_in_all_directions_leaves_cocoa_as_it_is() -> None:
    axes = torch.cat([torch.eye(8), -torch.eye(8)])
    torch.testing.assert_close(cocoa_whitened(CORPUS, axes).directions, cocoa(CORPUS, axes).directions)
    torch.testing.assert_close(cocoa_whitened(CORPUS, MANY, shrinkage=1).directions, cocoa(CORPUS, MANY).directions)
    weak, strong = (cocoa_whitened(CORPUS, MANY, shrinkage=s).directions[0] for s in (0.9, 0.01))
    assert cosine(weak, cocoa(CORPUS, MANY).directions[0].numpy()) > cosine(strong, cocoa(CORPUS, MANY).directions[0].numpy()) + 0.05


@pytest.mark.parametrize("make", [cocoa_salient, cocoa_whitened])
def test_a_foil_without_variation_leaves_cocoa_as_it_is(make: type) -> None:
    for foil in (MANY[:1], MANY[:1].expand(5, -1), torch.zeros(3, 8)):
        torch.testing.assert_close(make(CORPUS, foil).directions, cocoa(CORPUS, foil).directions)


def test_options_out_of_range_are_refused() -> None:
    for share in (0, 1, -1):
        with pytest.raises(ConfigError, match=f"share={share}: must lie between 0 and 1"):
            cocoa_salient(CORPUS, MANY, share=share)
    for shrinkage in (0, 1.5):
        with pytest.raises(ConfigError, match=f"shrinkage={shrinkage}: must be above 0 and at most 1"):
            cocoa_whitened(CORPUS, MANY, shrinkage=shrinkage)
