"""Which process of a run this is, before its trainer is there."""

from __future__ import annotations

import os

from pytorch_lightning.utilities import rank_zero_only


def is_first() -> bool:
    """Whether this is process zero, the one that writes. Of a node that a person started by NODE_RANK, Lightning knows no rank yet."""
    return getattr(rank_zero_only, "rank", 0) == 0 and os.environ.get("NODE_RANK", "0") == "0"
