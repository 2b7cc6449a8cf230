"""Random numbers that are a function of their coordinates, and seeds derived from names.

Every random decision of the project is drawn from an explicit ``torch.Generator`` or from the counter-based hash below. A counter-based
draw depends on nothing but its keys, for instance (seed, epoch, image id, view): the same image gets the same view whatever the batch it is
in, the worker that loads it, the number of processes, or the moment at which a run was resumed.

The hash is SplitMix64 (Steele, Lea & Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014) applied key by key.
"""

from __future__ import annotations

import hashlib

import torch
from torch import Tensor

_GOLDEN = -7046029254386353131  # 0x9E3779B97F4A7C15 as a signed 64-bit integer
_MIX_1 = -4658895280553007687  # 0xBF58476D1CE4E5B9
_MIX_2 = -7723592293110705685  # 0x94D049BB133111EB


def derive_seed(*keys: int | str) -> int:
    """A 63-bit seed that is a function of the keys: independent streams from one seed and a few names.

    Example:
        >>> derive_seed(0, "foil") == derive_seed(0, "foil"), derive_seed(0, "foil") == derive_seed(0, "corpus")
        (True, False)
    """
    plain = tuple(key if isinstance(key, str) else int(key) for key in keys)  # numpy's integers print in ways of their own
    digest = hashlib.blake2b(repr(plain).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1


def generator(*keys: int | str) -> torch.Generator:
    """A CPU generator seeded by :func:`derive_seed`."""
    return torch.Generator().manual_seed(derive_seed(*keys))


def _shift_right(x: Tensor, bits: int) -> Tensor:
    """Logical (zero-filling) right shift of signed 64-bit integers."""
    return (x >> bits) & ((1 << (64 - bits)) - 1)


def _mix(x: Tensor) -> Tensor:
    x = (x ^ _shift_right(x, 30)) * _MIX_1
    x = (x ^ _shift_right(x, 27)) * _MIX_2
    return x ^ _shift_right(x, 31)


def counter_uniform(*keys: int | Tensor, num: int) -> Tensor:
    """Uniform numbers in [0, 1) that are a function of integer keys.

    Args:
        keys: integers or int64 tensors of shape (B,), at least one of them a tensor; together they name B draws.
        num: how many numbers each draw has.

    Returns:
        Tensor (B, num) of float32, on the device of the keys, the same on every device.

    Example:
        >>> ids = torch.tensor([3, 7])
        >>> both, alone = counter_uniform(0, ids, num=4), counter_uniform(0, ids[1:], num=4)
        >>> bool((both[1:] == alone).all())
        True
    """
    tensors = [key for key in keys if isinstance(key, Tensor)]
    state = torch.zeros_like(tensors[0], dtype=torch.int64)
    for key in keys:
        state = _mix(state * 3 + _GOLDEN + (key.to(torch.int64) if isinstance(key, Tensor) else key))
    counters = torch.arange(1, num + 1, device=state.device, dtype=torch.int64)
    bits = _mix(state[:, None] + _GOLDEN * counters[None, :])
    return _shift_right(bits, 40).to(torch.float32) * 2.0**-24
