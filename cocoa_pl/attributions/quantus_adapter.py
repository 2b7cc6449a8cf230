"""Maps as the arrays that Quantus measures."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from cocoa_pl.errors import DataError


class QuantusArrays(NamedTuple):
    """What the metrics of Quantus (Hedstroem et al., JMLR 2023) are called with."""

    x_batch: NDArray[np.float32]  # (N, C, H, W)
    y_batch: NDArray[np.int64]  # (N,)
    a_batch: NDArray[np.float32]  # (N, 1, H, W)


def quantus_arrays(explicands: Tensor, maps: Tensor, labels: Tensor) -> QuantusArrays:
    """Explicands (N, C, H, W), the maps of one target (N, H, W) and labels (N,) as Quantus takes them.

    Raises:
        DataError: shapes that do not fit.

    Example:
        >>> import torch
        >>> arrays = quantus_arrays(torch.rand(2, 3, 8, 8), torch.rand(2, 8, 8), torch.tensor([0, 4]))
        >>> arrays.a_batch.shape
        (2, 1, 8, 8)
    """
    if explicands.ndim != 4 or maps.shape != (len(explicands), *explicands.shape[2:]) or labels.shape != explicands.shape[:1]:
        shapes = f"explicands {tuple(explicands.shape)}, maps {tuple(maps.shape)}, labels {tuple(labels.shape)}"
        raise DataError(f"{shapes}: must be (N, C, H, W), (N, H, W), the maps of one target, and (N,)")
    x_batch, a_batch = (tensor.detach().float().cpu().numpy() for tensor in (explicands, maps[:, None]))
    return QuantusArrays(x_batch, labels.detach().long().cpu().numpy(), a_batch)
