"""COCOA directions that leave out, or weigh down, what varies among typical images anyway.

COCOA takes the mean of the foil off its direction d = mean c^ - mean f^; how the foil varies, it does not see. Two directions that do:

    salient    d' = d - V V^T d, V the foil's top principal components: what varies among typical images is no part of the score, which is
               the aim of contrastive latent variables too (Weinberger, Lin & Lee, contrastiveVI, Nature Methods 2023)
    whitened   d' = (S / mean variance)^-1 d, S the foil's covariance: Fisher's linear discriminant (1936) with the foil's scatter alone

Both are computed in double precision on the CPU, once.
"""

from __future__ import annotations

import torch
from torch import Tensor

from cocoa_pl.errors import ConfigError
from cocoa_pl.targets.base import check_pair, normalize
from cocoa_pl.targets.cosine import DirectionTarget
from cocoa_pl.targets.statistics import warn_of_overlap


def cocoa_salient(corpus_reps: Tensor, foil_reps: Tensor, *, share: float = 0.5, name: str = "cocoa_salient") -> DirectionTarget:
    """COCOA without the foil's top principal components; corpus (M, D) or (N, M, D), foil (F, D).

    Args:
        corpus_reps: the corpus.
        foil_reps: the foil; it should have many more images than it has large components.
        share: as few components are removed as have this share of the foil's variance. Half of it is a handful of directions in an encoder
            that has learnt something; near 1 nothing would be left.
        name: of the score.

    Raises:
        DataError: as :func:`~cocoa_pl.targets.cosine.cocoa`.
        ConfigError: share outside (0, 1).

    Example:
        >>> foil = torch.tensor([[1.0, 0.0, 1.0], [-1.0, 0.0, 1.0], [0.0, 0.1, 1.0]])  # varies along the first axis
        >>> cocoa_salient(torch.tensor([[1.0, 1.0, 0.0]]), foil).directions[0].abs()[0] < 1e-6
        tensor(True)
    """
    if not 0 < share < 1:
        raise ConfigError(f"share={share}: must lie between 0 and 1")
    direction, centred = _direction_and_foil(corpus_reps, foil_reps)
    warn_of_overlap(corpus_reps, foil_reps)
    components = _components(centred, share)
    direction = direction - direction @ components @ components.T
    return DirectionTarget(direction.float().to(foil_reps.device)[None], names=[name])


def cocoa_whitened(
    corpus_reps: Tensor, foil_reps: Tensor, *, shrinkage: float | None = None, name: str = "cocoa_whitened"
) -> DirectionTarget:
    """COCOA with directions weighed by how little the foil varies along them; corpus (M, D) or (N, M, D), foil (F, D).

    Dividing by the mean variance keeps the scale: a foil that varies alike in all directions leaves COCOA as it is.

    Args:
        corpus_reps: the corpus.
        foil_reps: the foil.
        shrinkage: share in (0, 1] of the covariance that is replaced by the mean variance's identity; 1 is COCOA itself. None: the share
            that Ledoit & Wolf (2004) find for the foil.
        name: of the score.

    Raises:
        DataError: as :func:`~cocoa_pl.targets.cosine.cocoa`.
        ConfigError: shrinkage outside (0, 1].

    Example:
        >>> foil = torch.tensor([[1.0, 0.0, 1.0], [-1.0, 0.0, 1.0], [0.0, 0.1, 1.0]])  # varies along the first axis
        >>> weighed = cocoa_whitened(torch.tensor([[1.0, 1.0, 0.0]]), foil).directions[0]
        >>> bool(weighed[0] < weighed[1])
        True
    """
    if shrinkage is not None and not 0 < shrinkage <= 1:
        raise ConfigError(f"shrinkage={shrinkage}: must be above 0 and at most 1")
    direction, centred = _direction_and_foil(corpus_reps, foil_reps)
    warn_of_overlap(corpus_reps, foil_reps)
    covariance = centred.T @ centred / len(centred)
    variance = covariance.trace() / len(covariance)
    if variance > _NOTHING:
        shrinkage = _ledoit_wolf(centred, covariance) if shrinkage is None else shrinkage
        whole = (1 - shrinkage) * covariance / variance + shrinkage * torch.eye(len(covariance), dtype=torch.float64)
        direction = torch.linalg.solve(whole, direction.reshape(-1, len(whole)).T).T.reshape(direction.shape)
    return DirectionTarget(direction.float().to(foil_reps.device)[None], names=[name])


_NOTHING = 1e-12  # variance of unit representations that is rounding: a collapsed encoder, or a foil of one image


def _direction_and_foil(corpus_reps: Tensor, foil_reps: Tensor) -> tuple[Tensor, Tensor]:
    """COCOA's direction (D,) or (N, D) and the centred unit foil (F, D), in double precision."""
    corpus, foil = (normalize(reps).detach().cpu().double() for reps in check_pair(corpus_reps, foil_reps))
    mean = foil.mean(dim=0)
    return corpus.mean(dim=-2) - mean, foil - mean


def _components(centred: Tensor, share: float) -> Tensor:
    """As few principal components (D, q) of centred reps (F, D) as have this share of their variance; none where nothing varies."""
    wide = len(centred) < centred.shape[1]
    values, vectors = torch.linalg.eigh(centred @ centred.T if wide else centred.T @ centred)  # ascending
    values, vectors = values.flip(0).clamp_min(0), vectors.flip(1)
    total = values.sum()
    if total / centred.numel() <= _NOTHING:
        return centred.new_zeros(centred.shape[1], 0)
    num = int((values.cumsum(0) < share * total).sum()) + 1
    top = vectors[:, :num]
    components: Tensor = centred.T @ top / values[:num].sqrt() if wide else top
    return components


def _ledoit_wolf(centred: Tensor, covariance: Tensor) -> float:
    """The shrinkage that minimises the expected squared error of the covariance (Ledoit & Wolf, J. Multivariate Analysis 88, 2004).

    Their b^2 / d^2: the mean squared distance of one image's outer product from the covariance, over F, against the covariance's squared
    distance from the mean variance's identity.
    """
    num = len(centred)
    of_covariance = covariance.square().sum()
    distance = of_covariance - covariance.trace().square() / len(covariance)
    error = (centred.square().sum(dim=1).square().mean() - of_covariance) / num
    return float((error / distance).clamp(0, 1)) if distance > 0 else 1.0
