"""The explain set: what is explained at every epoch, drawn once, a function of the seed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from cocoa_pl.augmentations.held_out import make_view, unwarp_shown, warp
from cocoa_pl.data.explain_parts import (
    draw_corpora,
    draw_foils,
    draw_gallery,
    draw_pairs,
    draw_texts,
    load_grid,
    spread,
    usable_images,
    without_components,
)
from cocoa_pl.data.source import Source
from cocoa_pl.errors import DataError
from cocoa_pl.rng import derive_seed, generator


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
        valid: (V * E, H, W) bool, the pixels of each view that show the picture and were not erased.
        masks: (V * E, H, W) bool, the object under each view, where the data has masks.
        patches: (V * E, H, W) bool, the planted shortcut under each view, where the data has one.
        region: (V * E, H, W) bool, the region that the user watches under each view, where one was given.
        components: ``colour``, ``texture`` and ``shape`` to (E, 3, H, W) uint8, the originals without it.
        labels: (E,), where labels exist.
        foil: (F, 3, H, W) uint8 random training images.
        measure_foil: (F', 3, H, W) uint8 others.
        classes: L labels that have a corpus; empty without labels.
        corpora: (L, M, 3, H, W) uint8 training images of each class.
        measure_corpora: (L, M', 3, H, W) uint8 others.
        pairs: (P, 3, H, 2 W) floats, two validation images of different classes side by side.
        pair_labels: (P, 2), left and right.
        gallery: (G, 3, H, W) uint8 validation images for a map of the embedding.
        gallery_labels: (G,), -1 where unknown.
        class_names: one name a label.
        phrases: E texts that name the object of each image's mask; empty, like the other texts, where the data has none or too few.
        absent_phrases: E others, of what is not in the image.
        text_foil: texts of the data's vocabulary that phrases are contrasted with.
        measure_text_foil: its other texts.
    """

    ids: Tensor
    names: tuple[str, ...]
    views: tuple[str, ...]
    seen: tuple[bool, ...]
    explicands: Tensor
    theta: Tensor
    valid: Tensor
    masks: Tensor | None
    patches: Tensor | None
    region: Tensor | None
    components: dict[str, Tensor]
    labels: Tensor | None
    foil: Tensor
    measure_foil: Tensor
    classes: tuple[int, ...]
    corpora: Tensor
    measure_corpora: Tensor
    pairs: Tensor
    pair_labels: Tensor
    gallery: Tensor
    gallery_labels: Tensor
    class_names: tuple[str, ...]
    phrases: tuple[str, ...]
    absent_phrases: tuple[str, ...]
    text_foil: tuple[str, ...]
    measure_text_foil: tuple[str, ...]

    @property
    def num_images(self) -> int:
        """E, the number of images before views."""
        return len(self.ids)

    def unwarped(self, maps: Tensor) -> tuple[Tensor, Tensor]:
        """Maps of all views in the frame of their originals, where they can be compared pixel by pixel.

        Args:
            maps: (V * E, H, W) floats, one a row.

        Returns:
            The maps, zero where a view has nothing to say, and where it has, both (V * E, H, W). A pixel counts if the view shows it and
            nothing that it is interpolated from was erased.
        """
        return unwarp_shown(maps, self.theta, self.valid)


def draw_explain_set(
    train: Source, val: Source, *, num_explicands: int, views: Sequence[str], seen: Sequence[str], corpus_size: int, foil_size: int,
    num_pairs: int, seed: int, measure_corpus_size: int | None = None, measure_foil_size: int | None = None, num_gallery: int = 0,
    region: Tensor | None = None,
) -> ExplainSet:  # fmt: skip
    """Draw the explain set.

    Args:
        train: corpora and foils come from here.
        val: explicands, pairs and the gallery come from here, as evenly over the classes as their number allows.
        num_explicands: E.
        views: names of ``augmentations.held_out``, ``original`` first.
        seen: the views that the training transform also makes.
        corpus_size: M; classes with fewer than four training images get no corpus.
        foil_size: F.
        num_pairs: P.
        seed: of this draw; independent of what training draws.
        measure_corpus_size: M'; None for half of M. M and M' shrink in proportion where a class has fewer than 2 (M + M') images.
        measure_foil_size: F'; None for a third of F. F and F' shrink in proportion where the corpora leave fewer than F + F' images.
        num_gallery: G; fewer where there are fewer images whose label is known, or fewer images where no label is.
        region: (H, W) bool, watched in every image: see ``data.region``.

    Raises:
        DataError: no image to explain, not even two training images left for the foils, or a region of another size.
    """
    if len(val) == 0:
        raise DataError("the validation split is empty: nothing to explain")
    usable = usable_images(train, val)
    ids = spread(val, usable, num_explicands, generator(seed, "explicands"))
    images = val.load(ids.tolist()).float() / 255
    if region is not None and region.shape != images.shape[-2:]:
        raise DataError(f"the watched region has {tuple(region.shape)} pixels, the images have {tuple(images.shape[-2:])}")
    labels = None if usable is None or val.labels is None else val.labels[ids]
    made = [make_view(name, images, ids=ids, seed=derive_seed(seed, "views")) for name in views]
    theta = torch.cat([view.theta for view in made])
    pairs, pair_labels = draw_pairs(val, usable, num_pairs, generator(seed, "pairs"))
    gallery, gallery_labels = draw_gallery(val, num_gallery, generator(seed, "gallery"))
    needed = sorted({*([] if labels is None else labels.tolist()), *pair_labels.flatten().tolist()})
    corpus_sizes = corpus_size, max(1, corpus_size // 2) if measure_corpus_size is None else measure_corpus_size
    corpora, measure_corpora = draw_corpora(train, needed, corpus_sizes, generator(seed, "corpora"))
    foil_sizes = foil_size, max(1, foil_size // 3) if measure_foil_size is None else measure_foil_size
    foil, measure_foil = draw_foils(train, foil_sizes, torch.cat([corpora, measure_corpora], 1).flatten(), generator(seed, "foil"))
    texts = draw_texts(val, ids, generator(seed, "texts"))
    return ExplainSet(
        ids=ids,
        names=tuple(val.name(index) for index in ids.tolist()),
        views=tuple(views),
        seen=tuple(name in seen for name in views),
        explicands=torch.cat([view.images for view in made]),
        theta=theta,
        valid=torch.cat([view.valid for view in made]),
        masks=_under_views(val.masks(ids.tolist()), theta, len(views)),
        patches=_under_views(val.patches(ids.tolist()), theta, len(views)),
        region=_under_views(None if region is None else region.expand(len(ids), -1, -1), theta, len(views)),
        components=without_components(images),
        labels=labels,
        foil=load_grid(train, foil, like=images),
        measure_foil=load_grid(train, measure_foil, like=images),
        classes=tuple(needed),
        corpora=load_grid(train, corpora, like=images),
        measure_corpora=load_grid(train, measure_corpora, like=images),
        pairs=pairs,
        pair_labels=pair_labels,
        gallery=load_grid(val, gallery, like=images),
        gallery_labels=gallery_labels,
        class_names=val.class_names,
        phrases=texts.phrases,
        absent_phrases=texts.absent,
        text_foil=texts.foil,
        measure_text_foil=texts.measure_foil,
    )


def _under_views(masks: Tensor | None, theta: Tensor, num_views: int) -> Tensor | None:
    return None if masks is None else warp(masks.repeat(num_views, 1, 1), theta)
