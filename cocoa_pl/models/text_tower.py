"""A small transformer over words: the text side of encoders that are trained here."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class TextTower(nn.Module):
    """Tokens (n, T), 0 where there is none, to projections (n, out_dim): pre-norm blocks, and the mean over the words.

    Args:
        num_tokens: how many different ones there are.
        context_length: T at most.
        width: of the blocks.
        num_layers: blocks.
        num_heads: of attention.
        out_dim: length of a projection.
    """

    def __init__(self, *, num_tokens: int, context_length: int, width: int, num_layers: int, num_heads: int, out_dim: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(num_tokens, width)
        self.positions = nn.Parameter(torch.empty(context_length, width))
        self.blocks = nn.ModuleList(
            nn.TransformerEncoderLayer(width, num_heads, 4 * width, dropout=0.0, activation="gelu", batch_first=True, norm_first=True)
            for _ in range(num_layers)
        )
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, out_dim, bias=False)
        nn.init.normal_(self.embedding.weight, std=1.0)
        nn.init.normal_(self.positions, std=0.3)

    def forward(self, tokens: Tensor) -> Tensor:
        """Tokens (n, T) to projections (n, out_dim)."""
        tokens = tokens[:, : int((tokens != 0).sum(1).max())]  # nothing but filling comes after the longest text
        absent = tokens == 0
        hidden = self.embedding(tokens) + self.positions[: tokens.shape[1]]
        for block in self.blocks:
            hidden = block(hidden, src_key_padding_mask=absent)
        there = (~absent)[:, :, None].to(hidden.dtype)
        projections: Tensor = self.head((self.norm(hidden) * there).sum(1) / there.sum(1))
        return projections
