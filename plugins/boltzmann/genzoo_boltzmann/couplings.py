"""The weights between two blocks of units, and their products."""

from __future__ import annotations

import abc
import functools

import torch
from torch import Tensor

from genzoo_boltzmann.sparse_binary import binary_addmm, few_ones


class Coupling(abc.ABC):
    """Abstract base class: the bilinear term of a machine's energy, with its weights detached.

    Class attributes:
        dtype: The dtype of the weights.
        device: Their device.
    """

    dtype: torch.dtype
    device: torch.device

    @property
    @abc.abstractmethod
    def largest_field(self) -> float:
        """A bound of the fields of hidden units, over all visible states; may be infinite."""

    @abc.abstractmethod
    def hidden(self, v: Tensor) -> Tensor:
        """Return the fields of the hidden units, biases included, (B, H), for v (B, V)."""

    @abc.abstractmethod
    def visible(self, bias: Tensor, h: Tensor, beta: float = 1.0) -> Tensor:
        """Return bias + β times the fields of the visible units, (B, V), for h (B, H)."""


class Dense(Coupling):
    """vᵀWh + cᵀh.

    Arguments:
        W: The weights, (V, H).
        c: The biases of the hidden units, (H,).
        dtype: The dtype of the products; by default that of the weights.
    """

    def __init__(self, W: Tensor, c: Tensor, dtype: torch.dtype | None = None) -> None:
        self.dtype, self.device = dtype or W.dtype, W.device
        self.W, self.c = W.detach().to(self.dtype), c.detach().to(self.dtype)

    @property
    def largest_field(self) -> float:
        """Infinity: visible values need not be bounded."""
        return float("inf")

    def hidden(self, v: Tensor) -> Tensor:
        """Return c + vᵀW, (B, H)."""
        return torch.addmm(self.c, v, self.W)

    def visible(self, bias: Tensor, h: Tensor, beta: float = 1.0) -> Tensor:
        """Return bias + β Wh, (B, V)."""
        return torch.addmm(bias, h, self.W.T, alpha=beta)


class BinaryDense(Dense):
    """vᵀWh + cᵀh for v of zeros and ones, with sums of rows of W where these are faster."""

    @functools.cached_property
    def largest_field(self) -> float:
        """The largest |c + vᵀW| over all v."""
        return float((self.W.abs().sum(0) + self.c.abs()).max())

    def hidden(self, v: Tensor) -> Tensor:
        """Return c + vᵀW, (B, H)."""
        return binary_addmm(self.c, v, self.W, few_ones(v, self.W))
