"""The paper's formulas to the letter, one cell, one picture and one pixel at a time, in double precision: what the study must equal.

Nothing that a study computes with is imported. What defines its draws is: RISE's masks, and the places and the noise of GradientSHAP.

Shape legend
    H, W  pixels      D  length of a representation      L  classes that the head knows      T  steps of a curve
"""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy.stats
import torch
from torch import Tensor

from cocoa_pl.attributions.rise_masks import rise_masks
from cocoa_pl.attributions.sampling import counter_normal
from cocoa_pl.rng import counter_uniform, derive_seed

Encode = Callable[[Tensor], Tensor]
"""Pictures (n, 3, H, W) in [0, 1] to representations (n, D), in double precision and with gradients."""
Score = Callable[[Tensor], Tensor]
"""A picture (3, H, W) to a scalar."""


@dataclass(frozen=True)
class Meeting:
    """An explicand and what it meets, as one encoder sees them.

    Attributes:
        encode: the encoder.
        image: (3, H, W).
        corpus, foil: their pictures, each (3, H, W).
    """

    encode: Encode
    image: Tensor
    corpus: Sequence[Tensor]
    foil: Sequence[Tensor]

    def rep(self, picture: Tensor) -> Tensor:
        """(D,), of a picture on its own."""
        return self.encode(picture[None])[0]

    @cached_property
    def reps(self) -> tuple[Tensor, list[Tensor], list[Tensor]]:
        """Of the explicand, of each picture of the corpus, and of each of the foil."""
        with torch.no_grad():
            return self.rep(self.image), list(map(self.rep, self.corpus)), list(map(self.rep, self.foil))


def score_of(target: str, meeting: Meeting) -> Score:
    """The paper's four scalars: means of cosines over every picture of corpus and foil."""
    own, corpus, foil = meeting.reps
    return {
        "label_free": lambda picture: cosine(meeting.rep(picture), own),
        "contrastive_label_free": lambda picture: cosine(rep := meeting.rep(picture), own) - mean_cosine(rep, foil),
        "corpus": lambda picture: mean_cosine(meeting.rep(picture), corpus),
        "cocoa": lambda picture: mean_cosine(rep := meeting.rep(picture), corpus) - mean_cosine(rep, foil),
    }[target]


def cosine(first: Tensor, second: Tensor) -> Tensor:
    return (first * second).sum() / ((first * first).sum().sqrt() * (second * second).sum().sqrt())


def mean_cosine(rep: Tensor, others: Sequence[Tensor]) -> Tensor:
    total = torch.zeros((), dtype=torch.float64)
    for other in others:
        total = total + cosine(rep, other)
    return total / len(others)


def integrated_gradients(score: Score, image: Tensor, baseline: Tensor, *, num_steps: int) -> np.ndarray:
    """The integral from baseline to image by Gauss and Legendre, channels summed: (H, W)."""
    total = torch.zeros_like(image)
    for node, weight in zip(*np.polynomial.legendre.leggauss(num_steps), strict=True):
        total += weight / 2 * (image - baseline) * gradient(score, baseline + (node + 1) / 2 * (image - baseline))
    return np.asarray(total.sum(0))


def gradient_shap(score: Score, image: Tensor, baseline: Tensor, *, num_samples: int, seed: int) -> np.ndarray:
    """Gradients somewhere on the way to a noisy image, times that way: (H, W)."""
    draws = torch.arange(num_samples)
    places = counter_uniform(derive_seed(seed, "gradient_shap", "way"), draws, num=2)[:, 0]
    noises = counter_normal(derive_seed(seed, "gradient_shap", "noise"), draws, image.shape)
    total = torch.zeros_like(image)
    for place, noise in zip(places.double(), noises.double(), strict=True):
        way = image + 0.2 * noise - baseline
        total += way * gradient(score, baseline + place * way) / num_samples
    return np.asarray(total.sum(0))


def gradient(score: Score, at: Tensor) -> Tensor:
    leaf = at.clone().requires_grad_()
    return torch.autograd.grad(score(leaf), leaf)[0]


@torch.no_grad()
def rise(score: Score, image: Tensor, baseline: Tensor, *, num_masks: int, grid_size: int, seed: int) -> np.ndarray:
    """Covariance of score and mask over the masks' mean: (H, W)."""
    height, width = image.shape[1:]
    masks = rise_masks(torch.arange(num_masks), seed=seed, height=height, width=width, grid_size=grid_size).double()
    scores = [float(score(mask * image + (1 - mask) * baseline)) for mask in masks]
    coverage, mean = sum(masks) / num_masks, sum(scores) / num_masks
    covariance = torch.zeros_like(masks[0])
    for mask, own in zip(masks, scores, strict=True):
        covariance += (own - mean) * (mask - coverage) / num_masks
    return np.asarray(covariance / coverage)


def blurred(image: Tensor, *, sigma: float = 5.0, radius: int = 10) -> Tensor:
    """Gaussian blur by a sum over the kernel's pixels, borders reflected."""
    height, width = image.shape[1:]
    padded = np.pad(np.asarray(image), ((0, 0), (radius, radius), (radius, radius)), mode="reflect")
    total, weights = np.zeros(image.shape), 0.0
    for down, across in itertools.product(range(2 * radius + 1), repeat=2):
        weight = math.exp(-((down - radius) ** 2 + (across - radius) ** 2) / (2 * sigma**2))
        total += weight * padded[:, down : down + height, across : across + width]
        weights += weight
    return torch.from_numpy(total / weights)


@dataclass(frozen=True)
class Judge:
    """What is measured of a picture, beside pictures that judge.

    Attributes:
        meeting: explicand, and corpus and foil that judge.
        weight, bias: of the linear head, (L, D) and (L,).
    """

    meeting: Meeting
    weight: np.ndarray
    bias: np.ndarray

    def values(self, reps: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
        """Measure to its value for each of some representations (D,)."""
        own, corpus, foil = np.asarray(self.meeting.reps[0]), *([np.asarray(rep) for rep in reps] for reps in self.meeting.reps[1:])
        votes = Counter(self._named(rep) for rep in corpus)
        majority = min(votes, key=lambda label: (-votes[label], label))

        def similarity(rep: np.ndarray) -> float:
            to = [[float(rep @ other / np.sqrt(rep @ rep * (other @ other))) for other in others] for others in (corpus, foil)]
            return sum(to[0]) / len(corpus) - sum(to[1]) / len(foil)

        return {
            "corpus_majority": np.array([self._probability(rep, majority) for rep in reps]),
            "corpus_similarity": np.array([similarity(rep) for rep in reps]),
            "explicand_probability": np.array([self._probability(rep, self._named(own)) for rep in reps]),
            "representation_shift": np.array([-float(np.sqrt(((rep - own) ** 2).sum())) for rep in reps]),
        }

    def _named(self, rep: np.ndarray) -> int:
        return int((self.weight @ rep + self.bias).argmax())

    def _probability(self, rep: np.ndarray, label: int) -> float:
        odds = np.exp(self.weight @ rep + self.bias - (self.weight @ rep + self.bias).max())
        return float(odds[label] / odds.sum())


def taken(ranking: np.ndarray, num: float) -> np.ndarray:
    """Which part (H, W) of each pixel is taken where ``num`` pixels are: highest first, tied ones alike."""
    flat, part, left = ranking.ravel().tolist(), np.zeros(ranking.size), num
    order = sorted(range(len(flat)), key=lambda pixel: -flat[pixel])
    for _, tied in itertools.groupby(order, key=lambda pixel: flat[pixel]):
        pixels = list(tied)
        part[pixels] = min(1.0, left / len(pixels))
        left -= len(pixels)
        if left <= 0:
            break
    return part.reshape(ranking.shape)


def margin(ranking: np.ndarray, *, num_steps: int) -> float:
    """How far apart pixels on the two sides of a cut are, as a share of the largest value: what rounding needs to change the order."""
    ordered, peak = np.sort(ranking.ravel())[::-1], np.abs(ranking).max()
    cuts = [round(ranking.size * step / num_steps) for step in range(1, num_steps)]
    return min((gap / peak for cut in cuts if (gap := ordered[cut - 1] - ordered[cut]) > 0), default=math.inf)


@torch.no_grad()
def perturbed(encode: Encode, image: Tensor, baseline: Tensor, ranking: np.ndarray, *, num_steps: int) -> list[np.ndarray]:
    """Representations (D,) of the images of insertion, T + 1 from no pixel to all, and then of those of deletion: every one is built."""
    parts = [torch.from_numpy(taken(ranking, ranking.size * step / num_steps)) for step in range(num_steps + 1)]
    inserted = [part * image + (1 - part) * baseline for part in parts]
    deleted = [part * baseline + (1 - part) * image for part in parts]
    return list(np.asarray(encode(torch.stack(inserted + deleted))))


def areas(curves: np.ndarray) -> tuple[float, float]:
    """Of insertion and of deletion, from values (2 (T + 1),) of what :func:`perturbed` gives."""
    insertion, deletion = np.split(curves, 2)
    return area(insertion), area(deletion)


def area(curve: np.ndarray) -> float:
    """By trapezoids, over [0, 1]."""
    return sum((left + right) / 2 for left, right in itertools.pairwise(curve.tolist())) / (len(curve) - 1)


def control(name: str, *, height: int, width: int, grid_size: int, seed: int) -> np.ndarray:
    """Maps that know nothing: (H, W)."""
    if name == "random":
        return np.asarray(2 * counter_uniform(seed, torch.zeros(1, dtype=torch.int64), num=height * width).view(height, width) - 1)
    if name == "centre_bias":  # in single precision, in which pixels on a circle around the centre tie or do not
        down, across = (torch.exp(-(((torch.arange(side) + 0.5) / side - 0.5) ** 2) / (2 * 0.25**2)) for side in (height, width))
        return np.asarray(down[:, None] * across)
    cell = math.ceil(min(height, width) / grid_size)
    reach = 2 * cell - 1  # of the tent, in pixels
    noise = counter_uniform(seed, torch.zeros(1, dtype=torch.int64), num=(height + reach - 1) * (width + reach - 1))
    field = 2 * np.asarray(noise.double()).reshape(height + reach - 1, width + reach - 1) - 1
    tent = [1 - abs(step - cell + 1) / cell for step in range(reach)]
    total = np.zeros((height, width))
    for down, across in itertools.product(range(reach), repeat=2):
        total += tent[down] * tent[across] * field[down : down + height, across : across + width]
    return total


def interval(values: Sequence[float]) -> tuple[float, float, float]:
    """Mean and ends of Student's 95 % interval."""
    low, high = scipy.stats.t.interval(0.95, len(values) - 1, loc=np.mean(values), scale=scipy.stats.sem(values))
    return float(np.mean(values)), float(low), float(high)
