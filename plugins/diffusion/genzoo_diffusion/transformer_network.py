"""A transformer whose norms are set by the time and the class, with cross-attention to a text."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genzoo.plugin import ConfigError
from genzoo_diffusion.conditioning import Signal
from genzoo_diffusion.networks import TimeEmbedding

_STD = 0.02
_PER_BLOCK = 6
_SHIFT, _SCALE, _GATE = 0, 1, 2


class AdaptiveTransformer(nn.Module):
    """A transformer over N tokens, in which each attends to all.

    Each block is

        h ← h + γ₁ attention(σ₁ LN(h) + β₁),
        h ← h + cross-attention(LN(h), text)                  with texts,
        h ← h + γ₂ W₂ gelu(W₁ (σ₂ LN(h) + β₂)),

    where the shifts β, scales σ and gates γ of all blocks are one linear map of silu(c) plus a
    learned table, and c is the sum of the embeddings of time and class. The result is
    σ LN(h) + β. Without a time and without classes the table alone is learned. At first all
    scales are 1, shifts and gates 0, and so is what cross-attention adds: a block is the identity.

    | Scalable Diffusion Models with Transformers (Peebles, Xie, 2023)
    | High-Resolution Image Synthesis with Latent Diffusion Models
    | (Rombach, Blattmann, Lorenz, Esser, Ommer, 2022), for the attention to a text

    Arguments:
        width: W, the size of the vector of a token.
        num_layers: The number of blocks.
        num_heads: The number of heads of attention, which must divide W.
        mlp_ratio: The width of the layer between W₁ and W₂, in units of W.
        dropout: The share of values that training sets to zero in what a block adds to h.
        num_tokens: N; each position has a learned vector.
        has_time: Whether there is a time.
        time_features: Sinusoidal time features, or random Fourier ones.
        num_timesteps: T.
        num_classes: The number of class embeddings, including the null class; None without
            classes.
        text_width: D, the size of a text's states; None without texts.

    Attributes:
        pos_embed: The vectors of the positions, (N, W).
        table: Shift, scale and gate of the parts of each block, and shift and scale of the
            result, ((6 num_layers + 2) W,). Like other scales it has no weight decay, which is
            for matrices.
        modulation: From silu(c) to what is added to the table; None without time and classes.
        blocks: The blocks.
    """

    def __init__(
        self,
        *,
        width: int,
        num_layers: int,
        num_heads: int,
        mlp_ratio: int,
        dropout: float,
        num_tokens: int,
        has_time: bool = True,
        time_features: str = "sinusoidal",
        num_timesteps: int = 1000,
        num_classes: int | None = None,
        text_width: int | None = None,
    ) -> None:
        super().__init__()
        self.pos_embed = nn.Parameter(_STD * torch.randn(num_tokens, width))
        self.time = TimeEmbedding(width, time_features, num_timesteps) if has_time else None
        self.classes = None if num_classes is None else nn.Embedding(num_classes, width)
        if self.classes is not None:
            nn.init.normal_(self.classes.weight, std=_STD)
        self.table = nn.Parameter(_identity(num_layers, width))
        self.modulation = None
        if has_time or num_classes is not None:
            self.modulation = nn.Linear(width, self.table.numel(), bias=False)
            nn.init.zeros_(self.modulation.weight)
        self.blocks = nn.ModuleList(
            Block(width, num_heads, mlp_ratio, dropout, text_width) for _ in range(num_layers)
        )

    def forward(self, h: Tensor, t: Tensor | None, signal: Signal) -> Tensor:
        """Return the vectors (B, N, W) after the last norm.

        Arguments:
            h: The vectors of the tokens, (B, N, W).
            t: Times (B,); None for a network without a time.
            signal: Labels, and the states of texts, if the network has them.

        Raises:
            ConfigError: The time, the labels or the texts that the network needs are missing.
        """
        told = self._modulations(t, signal)
        h = h + self.pos_embed
        for i, block in enumerate(self.blocks):
            h = block(h, told[_PER_BLOCK * i : _PER_BLOCK * (i + 1)], signal)
        return _norm(h, told[-2:])

    def _modulations(self, t: Tensor | None, signal: Signal) -> Sequence[Tensor]:
        """Return all shifts, scales and gates, (B or 1, 1, W) each."""
        told = self.table[None]
        if self.modulation is not None:
            told = told + self.modulation(F.silu(self._condition(t, signal)))
        return told.view(len(told), -1, 1, self.pos_embed.shape[1]).unbind(1)

    def _condition(self, t: Tensor | None, signal: Signal) -> Tensor:
        """Return c, (B, W)."""
        parts = []
        if self.time is not None:
            if t is None:
                raise ConfigError("A network with a time needs the time of each row; t is None.")
            parts.append(self.time(t))
        if self.classes is not None:
            if signal.labels is None:
                raise ConfigError("A network of classes needs a signal with labels.")
            parts.append(self.classes(signal.labels))
        found: Tensor = sum(parts[1:], start=parts[0])
        return found


class Block(nn.Module):
    """Self-attention, attention to a text if there is one, and two layers; see above.

    Arguments:
        width: W.
        num_heads: The number of heads of attention.
        mlp_ratio: The width of the hidden layer, in units of W.
        dropout: The share of values that training sets to zero.
        text_width: D; None without texts.
    """

    def __init__(
        self, width: int, num_heads: int, mlp_ratio: int, dropout: float, text_width: int | None
    ) -> None:
        super().__init__()
        self.attn = SelfAttention(width, num_heads)
        self.cross_attn = None
        if text_width is not None:
            self.cross_attn = CrossAttention(width, num_heads, text_width)
        self.mlp = Mlp(width, mlp_ratio)
        # Even a dropout of 0 is an operation.
        self.drop = nn.Dropout(dropout) if dropout else nn.Identity()

    def forward(self, h: Tensor, told: Sequence[Tensor], signal: Signal) -> Tensor:
        """Return the vectors (B, N, W) after the block.

        Arguments:
            h: Vectors (B, N, W).
            told: Shift, scale and gate of the attention, then those of the two layers.
            signal: The states of texts.
        """
        h = torch.addcmul(h, told[_GATE], self.drop(self.attn(_norm(h, told))))
        if self.cross_attn is not None:
            h = h + self.drop(self.cross_attn(F.layer_norm(h, h.shape[-1:]), signal))
        told = told[_PER_BLOCK // 2 :]
        return torch.addcmul(h, told[_GATE], self.drop(self.mlp(_norm(h, told))))


class SelfAttention(nn.Module):
    """softmax(q kᵀ / √d) v in each head, of all tokens to all.

    Arguments:
        width: W.
        num_heads: The number of heads.
    """

    def __init__(self, width: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.qkv, self.proj = _linear(width, 3 * width), _linear(width, width)

    def forward(self, h: Tensor) -> Tensor:
        """Return what the tokens attend to, (B, N, W)."""
        parts = self.qkv(h).unflatten(-1, (3, self.num_heads, -1))
        q, k, v = parts.permute(2, 0, 3, 1, 4).unbind(0)
        found = F.scaled_dot_product_attention(q, k, v)
        out: Tensor = self.proj(found.transpose(1, 2).flatten(2))
        return out


class CrossAttention(nn.Module):
    """Attention of all tokens to the states of a text that its mask lets them see.

    A text without such states adds no more than the bias.

    Arguments:
        width: W.
        num_heads: The number of heads.
        text_width: D.
    """

    def __init__(self, width: int, num_heads: int, text_width: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.q, self.kv = _linear(width, width), _linear(text_width, 2 * width)
        self.proj = _linear(width, width)
        nn.init.zeros_(self.proj.weight)

    def forward(self, h: Tensor, signal: Signal) -> Tensor:
        """Return what the tokens attend to, (B, N, W).

        Raises:
            ConfigError: The signal has no text.
        """
        if signal.tokens is None:
            raise ConfigError("A network that is conditioned on texts needs a signal with tokens.")
        q = self.q(h).unflatten(-1, (self.num_heads, -1)).transpose(1, 2)
        text = signal.tokens.to(self.kv.weight.dtype)
        both = self.kv(text).unflatten(-1, (2, self.num_heads, -1))
        k, v = both.permute(2, 0, 3, 1, 4).unbind(0)
        mask = None if signal.mask is None else signal.mask[:, None, None, :]
        found = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        out: Tensor = self.proj(found.transpose(1, 2).flatten(2))
        return out


class Mlp(nn.Module):
    """W₂ gelu(W₁ h).

    Arguments:
        width: W.
        ratio: The width of the hidden layer, in units of W.
    """

    def __init__(self, width: int, ratio: int) -> None:
        super().__init__()
        self.fc1, self.fc2 = _linear(width, ratio * width), _linear(ratio * width, width)

    def forward(self, h: Tensor) -> Tensor:
        """Return vectors (B, N, W)."""
        out: Tensor = self.fc2(F.gelu(self.fc1(h)))
        return out


def _norm(h: Tensor, told: Sequence[Tensor]) -> Tensor:
    """Return σ LN(h) + β."""
    return torch.addcmul(told[_SHIFT], told[_SCALE], F.layer_norm(h, h.shape[-1:]))


def _linear(inputs: int, outputs: int) -> nn.Linear:
    """Return a linear layer with Glorot's weights and without a bias at first."""
    layer = nn.Linear(inputs, outputs)
    nn.init.xavier_uniform_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer


def _identity(num_layers: int, width: int) -> Tensor:
    """Return a table of scales 1, of shifts and gates 0, ((6 num_layers + 2) W,)."""
    table = torch.zeros(_PER_BLOCK * num_layers + 2, width)
    table[_SCALE::3] = 1
    return table.flatten()
