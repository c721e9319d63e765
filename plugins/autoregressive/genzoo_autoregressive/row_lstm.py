"""The row LSTM, whose states run from each row of an image to the next one."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genzoo_autoregressive.causal import Left, Window
from genzoo_autoregressive.image_lstm import ImageLSTM, LSTMSteps, cell

_SIZE = 3


class RowLSTM(ImageLSTM):
    """A row LSTM, with kernels of three pixels.

    With the features x_i and the states h_i, c_i of all pixels of row i,

        (o, f, i, g) = K^ss * h_{i−1} + K^is * x_i + b,
        c_i = σ(f) ⊙ c_{i−1} + σ(i) ⊙ tanh(g),  h_i = σ(o) ⊙ tanh(c_i),

    where K^is sees a pixel and the one to its left, and K^ss the three pixels above it. The output
    is a linear map of h. A pixel sees a triangle above it, which begins at one more pixel to the
    left for each layer.

    | Pixel Recurrent Neural Networks (van den Oord, Kalchbrenner, Kavukcuoglu, 2016)

    Attributes:
        inputs: K^is.
        states: K^ss, and b.
        out: The linear map.
    """

    def __init__(self, width: int) -> None:
        super().__init__(width)
        self.inputs = Left(width, 4 * width, _SIZE, own=True)
        self.states = nn.Conv1d(width, 4 * width, _SIZE, padding=_SIZE // 2)
        self.out = nn.Conv2d(width, width, 1)

    def forward(self, features: Tensor, above: Tensor, bias: Tensor | None) -> Tensor:
        """Return the outputs of all pixels."""
        found = self.inputs(features)
        if bias is not None:
            found = found + bias[..., None, None]
        h = c = torch.zeros_like(features[:, :, 0])
        rows = []
        for of_row in found.unbind(2):
            h, c = cell(of_row + self.states(h), c)
            rows.append(h)
        outputs: Tensor = self.out(torch.stack(rows, dim=2))
        return outputs

    def steps(self, num: int, width: int, bias: Tensor | None) -> LSTMSteps:
        """Return the outputs of one pixel after another."""
        return _RowSteps(self, num, width, bias)


class _RowSteps(LSTMSteps):
    """The states of the row above, and those of the row so far.

    Arguments:
        layer: The layer.
        num: The number of images.
        width: The number of pixels in a row.
        bias: A bias of the gates.
    """

    def __init__(self, layer: RowLSTM, num: int, width: int, bias: Tensor | None) -> None:
        self.layer, self.bias = layer, bias
        like = layer.out.weight
        self.window = Window(num, layer.inputs.left, width, layer.width, like)
        self.h, self.c = like.new_zeros(2, num, layer.width, width)
        self.columns = layer.inputs.columns()
        self.weight, self.out_bias = layer.out.weight[..., 0, 0].T, layer.out.bias

    def begin_row(self, above: Tensor) -> None:
        """Compute what the states of the row above add to the gates of this one."""
        self.gates = self.layer.states(self.h)
        if self.bias is not None:
            self.gates = self.gates + self.bias[..., None]
        self.before, self.h = self.c, torch.zeros_like(self.h)
        self.c = torch.zeros_like(self.c)

    def step(self, column: int, features: Tensor) -> Tensor:
        """Return the output at the next pixel."""
        self.window.put(column, features)
        gates = torch.addmm(self.gates[..., column], self.window.through(column), self.columns)
        h, c = cell(gates, self.before[..., column])
        self.h[..., column], self.c[..., column] = h, c
        return F.linear(h, self.weight.T, self.out_bias)
