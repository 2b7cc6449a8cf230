"""Does a picture find its caption, and a caption its picture?"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat

from cocoa_pl.errors import DataError

_CHUNK = 1024


def recall_at(images: Tensor, texts: Tensor, same: Tensor, *, k: int) -> Tensor:
    """Whether each picture has one of its texts among the k most similar, (n,) floats; the share of them is recall at k.

    Args:
        images: (n, D).
        texts: (n, D); text i is picture i's.
        same: (n,) integers: texts with one number say the same, and any of them counts.
        k: at least 1.

    Raises:
        DataError: shapes that do not fit.

    Example:
        >>> recall_at(torch.eye(3), torch.eye(3)[[1, 0, 2]], torch.arange(3), k=1).tolist()
        [0.0, 0.0, 1.0]
    """
    if images.shape != texts.shape or same.shape != images.shape[:1]:
        raise DataError(
            f"images {tuple(images.shape)}, texts {tuple(texts.shape)}, numbers {tuple(same.shape)}: must be (n, D) twice and (n,)"
        )
    images, texts = F.normalize(images.float(), dim=1), F.normalize(texts.float(), dim=1)
    found = []
    for start in range(0, len(images), _CHUNK):
        part = slice(start, start + _CHUNK)
        nearest = (images[part] @ texts.T).topk(min(k, len(texts)), dim=1).indices
        found.append((same[nearest] == same[part, None]).any(1).float())
    return torch.cat(found)


class Retrieval(Metric):
    """Recall at 1 and 5 of captions for pictures and of pictures for captions, with collected projections of all processes.

    Args:
        prefix: of the names.

    Example:
        >>> metric = Retrieval()
        >>> metric.update(torch.eye(8), torch.eye(8), torch.arange(8)[:, None])
        >>> metric.compute()
        {'val/recall_at_1': 1.0, 'val/recall_at_5': 1.0, 'val/recall_at_1_of_images': 1.0, 'val/recall_at_5_of_images': 1.0}
    """

    full_state_update = False
    images: list[Tensor]
    texts: list[Tensor]
    tokens: list[Tensor]

    def __init__(self, *, prefix: str = "val/", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.prefix = prefix
        for name in ("images", "texts", "tokens"):
            self.add_state(name, default=[], dist_reduce_fx="cat")

    def update(self, images: Tensor, texts: Tensor, tokens: Tensor) -> None:
        """Add projections (B, D) of pictures and of their captions, whose tokens (B, T) tell which captions are the same."""
        self.images.append(images.float())
        self.texts.append(texts.float())
        self.tokens.append(tokens)

    def compute(self) -> dict[str, float]:
        """Metric name to value; NaN for an encoder that has diverged."""
        images, texts = dim_zero_cat(self.images), dim_zero_cat(self.texts)
        same = torch.unique(dim_zero_cat(self.tokens), dim=0, return_inverse=True)[1]
        finite = bool(torch.isfinite(images).all() and torch.isfinite(texts).all())
        return {
            f"{self.prefix}recall_at_{k}{suffix}": float(recall_at(*pair, same, k=k).mean()) if finite else float("nan")
            for suffix, pair in (("", (images, texts)), ("_of_images", (texts, images)))
            for k in (1, 5)
        }
