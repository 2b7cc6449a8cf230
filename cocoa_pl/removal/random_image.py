"""Removal by another image: what a marginal expectation puts in the place of absent pixels."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor

from cocoa_pl.errors import DataError
from cocoa_pl.rng import generator


@dataclass(frozen=True, eq=False)
class RandomImage:
    """Absent pixels show another image: one drawn from a pool of training images, the same for all explicands.

    One draw of the marginal removal (Lundberg & Lee, NeurIPS 2017; Covert, Lundberg & Lee, JMLR 2021), in which absent pixels follow their
    distribution over the data whatever is left; other seeds give other draws. No labels are needed.

    Args:
        pool: images (P, C, H, W), floats in [0, 1] or bytes; the one drawn is resized where the explicands have another size.
        seed: which image is drawn.

    Raises:
        DataError: the pool is empty, of a wrong shape, or holds floats outside [0, 1].

    Example:
        >>> pool = torch.full((5, 3, 4, 4), 51, dtype=torch.uint8)
        >>> RandomImage(pool)(torch.rand(2, 3, 4, 4))[1, 2, 0].tolist()
        [0.20000000298023224, 0.20000000298023224, 0.20000000298023224, 0.20000000298023224]
    """

    pool: Tensor = field(repr=False)
    seed: int = 0

    def __post_init__(self) -> None:
        if self.pool.ndim != 4 or not self.pool.numel():
            raise DataError(f"pool {tuple(self.pool.shape)}: must be (P, C, H, W) with P at least 1")
        if self.pool.dtype != torch.uint8 and not bool(((self.pool >= 0) & (self.pool <= 1)).all()):
            raise DataError(f"pool of type {self.pool.dtype} holds values outside [0, 1]: must be floats in [0, 1] or bytes (torch.uint8)")

    def __call__(self, explicands: Tensor) -> Tensor:
        """Explicands (N, C, H, W) in [0, 1] to the drawn image, N times.

        Raises:
            DataError: the pool's images have another number of channels.
        """
        if explicands.shape[1] != self.pool.shape[1]:
            raise DataError(f"images in the pool have {self.pool.shape[1]} channels and explicands {explicands.shape[1]}: must be alike")
        drawn = int(torch.randint(len(self.pool), (), generator=generator(self.seed, "random image")))
        image = self.pool[drawn : drawn + 1].float()
        if image.shape[2:] != explicands.shape[2:]:
            image = F.interpolate(image, explicands.shape[2:], mode="bilinear", antialias=True)
        return (image / 255 if self.pool.dtype == torch.uint8 else image).to(explicands).repeat(len(explicands), 1, 1, 1)
