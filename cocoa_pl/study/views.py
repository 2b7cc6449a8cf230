"""The augmentation study, the paper's use case 1: what an encoder looks at under views of a picture, and how far that moves.

Every view is explained by COCOA with a corpus of one, its own picture as it was, against a foil of random pictures: what makes the view the
same picture still? A view's map is carried back into the picture's frame and compared there with the map of the picture itself, beside how
far the representation moved, for a map may change where the encoder sees something else (``metrics.equivariance``).

Shape legend
    V  views, ``original`` first      N  pictures      F  pictures of the foil      H, W  pixels
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from cocoa_pl.augmentations.held_out import ViewResult, make_view, unwarp_shown
from cocoa_pl.encoding import FrozenEncoder
from cocoa_pl.errors import ConfigError, DataError
from cocoa_pl.explainer import Explainer
from cocoa_pl.metrics.agreement import cosine, spearman
from cocoa_pl.registry import VIEW_NAMES
from cocoa_pl.rng import derive_seed
from cocoa_pl.study.writing import words_of
from cocoa_pl.targets import cocoa
from cocoa_pl.types import Attribution, Removal

_AT_ONCE = 64  # views that are explained by one pass
ORIGINAL = "original"
_CLOSENESS = {
    "integrated_gradients": ("num_steps", "{0.num_steps} steps"),
    "gradient_shap": ("num_samples", "{0.num_samples} draws"),
    "smoothgrad": ("num_samples", "{0.num_samples} draws"),
    "rise": ("num_masks", "{0.num_masks} centred masks of {0.grid_size} cells a side"),
}
"""Method to the option that its maps are as fine as, and that in words; RISE is the centred one wherever a study builds it."""


@dataclass(frozen=True)
class ViewsStudy:
    """What was found for one encoder. Nothing is compared with itself: agreement and equivariance of the original are NaN.

    Attributes:
        title: of the encoder.
        class_names: one a label.
        views: V names.
        ids: (N,) positions of the pictures in their split.
        labels: (N,) their classes.
        images: (V, N, 3, H, W) uint8, the views.
        maps: method to (V, N, H, W), each in the frame of its view.
        predicted: (V, N), the class that the linear head names.
        probability: (V, N) that the head gives it.
        score: (V, N), COCOA's.
        moved: (V, N), 1 - cosine of the representations of view and picture.
        agreement: method to (V, N), Spearman's rank correlation of the view's map with the picture's on the pixels that both show.
        equivariance: method to (V, N), cosine similarity there.
        reliability: method to (V, N), the correlation to expect with the map of a second run, for methods that know it.
        num_foil: F.
        seed: as readers are told it.
        settings: what the maps were made by, in words: method to what it is, and ``removal``.
    """

    title: str
    class_names: tuple[str, ...]
    views: tuple[str, ...]
    ids: Tensor
    labels: Tensor
    images: Tensor
    maps: dict[str, Tensor]
    predicted: Tensor
    probability: Tensor
    score: Tensor
    moved: Tensor
    agreement: dict[str, Tensor]
    equivariance: dict[str, Tensor]
    reliability: dict[str, Tensor]
    num_foil: int
    seed: int
    settings: dict[str, str] = field(default_factory=dict)

    @property
    def methods(self) -> tuple[str, ...]:
        """Names of the attributions."""
        return tuple(self.maps)

    @property
    def changed(self) -> Tensor:
        """(V, N) bool, whether the head names another class than for the original."""
        return self.predicted != self.predicted[:1]

    @property
    def mistaken(self) -> Tensor:
        """(N,) bool, whether the head is wrong on the original."""
        return self.predicted[0] != self.labels

    @property
    def classes(self) -> list[int]:
        """Labels of which there are pictures, ascending."""
        return sorted(set(self.labels.tolist()))


def study_views(
    encoder: FrozenEncoder, *, title: str, images: Tensor, ids: Tensor, labels: Tensor, class_names: Sequence[str], foil: Tensor,
    head: Callable[[Tensor], Tensor], attributions: Mapping[str, Attribution], removal: Removal, views: Sequence[str] = VIEW_NAMES,
    seed: int = 0, chunk_size: int | None = None,
    progress: Callable[[int], object] = lambda done: None,
) -> ViewsStudy:  # fmt: skip
    """Make the views, explain them by all methods in one pass, and compare each with its original.

    Args:
        encoder: that is asked.
        title: its name in tables and pages.
        images: (N, 3, H, W) uint8, that training has not seen.
        ids: (N,) int64; the parameters of a view are a function of (seed, name, id).
        labels: (N,) their classes.
        class_names: one a label.
        foil: (F, 3, H, W) uint8 random training pictures.
        head: representations (B, D) to logits (B, L).
        attributions: name to method.
        removal: what absent pixels show.
        views: names of ``augmentations.held_out``, ``original`` first.
        seed: of the views' parameters and of masks and noise.
        chunk_size: images in one pass through the encoder.
        progress: told how many of the V N views are explained.

    Raises:
        ConfigError: views that do not begin with the original, or that name one twice or an unknown one.
        DataError: no picture, ids or labels of another number, a label without a name, or images that the encoder cannot take.
    """
    _check(images, ids=ids, labels=labels, class_names=class_names, views=views)
    num, originals = len(images), images.float() / 255
    made = [make_view(name, originals, ids=ids, seed=derive_seed(seed, "views")) for name in views]
    explicands = torch.cat([view.images for view in made])
    reps = encoder.encode(explicands, chunk_size=chunk_size)
    foil_reps = encoder.encode(foil, chunk_size=chunk_size)
    own = reps[:num].repeat(len(views), 1)
    explainer = Explainer(encoder, attributions=attributions, removal=removal, chunk_size=chunk_size)
    parts = []
    for rows in torch.split(torch.arange(len(explicands)), _AT_ONCE):
        corpus = own[rows.to(own.device), None]  # of one: the picture itself
        parts.append(explainer.explain(explicands[rows], cocoa(corpus, foil_reps), seed=derive_seed(seed, "masks")))
        progress(int(rows[-1]) + 1)

    def by_view(rows: Sequence[Tensor]) -> Tensor:
        whole = torch.cat(list(rows)).cpu()
        return whole.view(len(views), num, *whole.shape[1:])

    maps = {method: by_view([part.attributions[method][0] for part in parts]) for method in attributions}
    known = [method for method in attributions if method in parts[0].reliability]
    compared = {method: _compared(own_maps, made) for method, own_maps in maps.items()}
    with torch.no_grad():
        probability, predicted = head(reps).float().softmax(dim=1).max(dim=1)
    return ViewsStudy(
        title=title, class_names=tuple(class_names), views=tuple(views), ids=ids.cpu(), labels=labels.cpu(),
        images=by_view([(explicands * 255).round().to(torch.uint8)]), maps=maps,
        predicted=by_view([predicted]), probability=by_view([probability]),
        score=by_view([part.scores[0] for part in parts]), moved=by_view([1 - cosine(reps, own)]),
        agreement={method: agreement for method, (agreement, _) in compared.items()},
        equivariance={method: equivariance for method, (_, equivariance) in compared.items()},
        reliability={method: by_view([part.reliability[method][0] for part in parts]) for method in known},
        num_foil=len(foil), seed=seed,
        settings={**{name: method_words(name, method) for name, method in attributions.items()}, "removal": removal_words(removal)},
    )  # fmt: skip


def method_words(name: str, options: object) -> str:
    """A method with what makes its maps finer.

    Args:
        name: of the method.
        options: the method itself, or the options that it is built from: whatever has ``num_steps``, ``num_samples`` or ``num_masks``.

    Example:
        >>> from cocoa_pl.attributions.rise import Rise
        >>> method_words("rise", Rise(num_masks=512, grid_size=4)), method_words("gradient", None)
        ('RISE with 512 centred masks of 4 cells a side', 'gradient')
    """
    option, told = _CLOSENESS.get(name, ("", ""))
    if not hasattr(options, option):
        return words_of(name)
    return f"{words_of(name)} with {told.format(options)}"


def removal_words(removal: Removal) -> str:
    """What absent pixels show.

    Example:
        >>> from cocoa_pl.removal.blur import Blur
        >>> removal_words(Blur())
        'removal by blur, sigma 5 px'
    """
    name = re.sub(r"(?<!^)(?=[A-Z])", " ", getattr(removal, "__name__", type(removal).__name__)).lower()
    sigma = getattr(removal, "sigma", None)
    return f"removal by {name.replace('_', ' ')}" + ("" if sigma is None else f", sigma {sigma:g} px")


def _check(images: Tensor, *, ids: Tensor, labels: Tensor, class_names: Sequence[str], views: Sequence[str]) -> None:
    if not views or views[0] != ORIGINAL or len(set(views)) != len(views):
        raise ConfigError(f"views={list(views)}: must begin with {ORIGINAL}, and name each view once")
    if not len(images) == len(ids) == len(labels) > 0:
        raise DataError(f"{len(images)} pictures, {len(ids)} ids and {len(labels)} labels: must be as many of each, and at least one")
    if int(labels.min()) < 0 or int(labels.max()) >= len(class_names):
        raise DataError(f"labels from {int(labels.min())} to {int(labels.max())} met {len(class_names)} names of classes")


def _compared(maps: Tensor, made: Sequence[ViewResult]) -> tuple[Tensor, Tensor]:
    """Agreement and equivariance (V, N) of maps (V, N, H, W) with those of the first view."""
    unknown = maps.new_full(maps.shape[1:2], torch.nan)
    rows = [(unknown, unknown)]
    for own, view in zip(maps[1:], made[1:], strict=True):
        back, valid = unwarp_shown(own, view.theta.cpu(), view.valid.cpu())
        rows.append((spearman(back, maps[0], valid=valid), cosine(back, maps[0], valid=valid)))
    agreement, equivariance = (torch.stack(values) for values in zip(*rows, strict=True))
    return agreement, equivariance
