"""Layers of causal attention, for whole rows and one place after another."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

_STD = 0.02


class Block(nn.Module):
    """A layer: h ← h + attention(LN(h)), then h ← h + W₂ gelu(W₁ LN(h)).

    A place attends to itself and to those before it, softmax(q kᵀ / √d) v in each head.

    Arguments:
        width: W, the size of a vector.
        num_heads: The number of heads.
        ratio: The width of the hidden layer, in units of W.
        dropout: The share of values that training sets to zero.
        num_layers: The number of layers of the network. The weights that add to h start smaller
            by √(2 num_layers), so that the sum of all layers keeps its size.
    """

    def __init__(
        self, width: int, num_heads: int, ratio: int, dropout: float, num_layers: int
    ) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.norm, self.hidden_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, ratio * width), nn.Linear(ratio * width, width)
        self.drop = nn.Dropout(dropout)
        for layer in (self.qkv, self.up):
            nn.init.normal_(layer.weight, std=_STD)
            nn.init.zeros_(layer.bias)
        for layer in (self.out, self.down):
            nn.init.normal_(layer.weight, std=_STD * (2 * num_layers) ** -0.5)
            nn.init.zeros_(layer.bias)

    def forward(self, h: Tensor) -> Tensor:
        """Return the vectors (B, D, W) after the layer."""
        q, k, v = self.heads(h)
        found = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.after(h, found)

    def heads(self, h: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return queries, keys and values of vectors (B, D, W), (B, heads, D, W / heads) each."""
        found = self.qkv(self.norm(h)).unflatten(-1, (3, self.num_heads, -1))
        q, k, v = found.permute(2, 0, 3, 1, 4).unbind(0)
        return q, k, v

    def after(self, h: Tensor, attended: Tensor) -> Tensor:
        """Return the vectors (B, D, W) after the layer by what each head attended to."""
        h = h + self.drop(self.out(attended.transpose(1, 2).flatten(2)))
        more = self.down(F.gelu(self.up(self.hidden_norm(h))))
        found: Tensor = h + self.drop(more)
        return found


class Cache:
    """The keys and values of a layer at the places so far.

    Arguments:
        block: The layer.
        num: The number of rows.
        num_places: The number of places.
    """

    def __init__(self, block: Block, num: int, num_places: int) -> None:
        self.block = block
        size = block.out.in_features // block.num_heads
        shape = (2, num, block.num_heads, num_places, size)
        self.keys, self.values = block.out.weight.new_zeros(shape)

    def step(self, index: int, h: Tensor) -> Tensor:
        """Return the vectors (B, W) of the next place after the layer."""
        h = h[:, None]
        q, k, v = self.block.heads(h)
        self.keys[:, :, index], self.values[:, :, index] = k[:, :, 0], v[:, :, 0]
        known = slice(0, index + 1)
        found = F.scaled_dot_product_attention(q, self.keys[:, :, known], self.values[:, :, known])
        return self.block.after(h, found)[:, 0]
