"""What the recurrent layers of an image share."""

from __future__ import annotations

import abc

from torch import Tensor, nn


class ImageLSTM(nn.Module, abc.ABC):
    """Abstract base class: a layer of LSTM cells, one for each pixel of an image.

    The output at a pixel depends on the features of the pixels before it and of the pixel itself.

    Arguments:
        width: F, the number of features, and of values of a state.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width

    @abc.abstractmethod
    def forward(self, features: Tensor, above: Tensor, bias: Tensor | None) -> Tensor:
        """Return the outputs of all pixels, (B, F, H, W).

        Arguments:
            features: Features of the pixels before a pixel, (B, F, H, W).
            above: Features of the rows above a pixel alone, (B, F, H, W).
            bias: A bias (B, 4F) of the gates.
        """

    @abc.abstractmethod
    def steps(self, num: int, width: int, bias: Tensor | None) -> LSTMSteps:
        """Return the outputs of one pixel after another.

        Arguments:
            num: The number of images.
            width: The number of pixels in a row.
            bias: A bias (B, 4F) of the gates.
        """


class LSTMSteps(abc.ABC):
    """Abstract base class: the outputs of a layer at one pixel after another, with its states."""

    @abc.abstractmethod
    def begin_row(self, above: Tensor) -> None:
        """Begin a row, with the features (B, F, W) of the rows above alone."""

    @abc.abstractmethod
    def step(self, column: int, features: Tensor) -> Tensor:
        """Return the output (B, F) at the next pixel of the row, by its features (B, F)."""


def cell(gates: Tensor, c: Tensor, dim: int = 1) -> tuple[Tensor, Tensor]:
    """Return the new states h = o ⊙ tanh(c') and c' = f ⊙ c + i ⊙ g of LSTM cells.

    Arguments:
        gates: The sums of o, f, i and g in this order, 4F along ``dim``.
        c: The memory, F along ``dim``.
        dim: The dimension of the values of a state.
    """
    o, f, i, g = gates.chunk(4, dim=dim)
    c = f.sigmoid() * c + i.sigmoid() * g.tanh()
    return o.sigmoid() * c.tanh(), c
