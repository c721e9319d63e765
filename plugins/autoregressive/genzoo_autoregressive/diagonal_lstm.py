"""The diagonal BiLSTM, whose states run over an image from its upper corners."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from genzoo_autoregressive.image_lstm import ImageLSTM, LSTMSteps, cell


class DiagonalBiLSTM(ImageLSTM):
    """A diagonal BiLSTM: two LSTMs that see all pixels before a pixel.

    The states of the first one run from the upper left corner: those of a pixel follow from the
    pixel to its left and the one above,

        (o, f, i, g)_{rs} = K (h_{r−1,s}, h_{r,s−1}) + W x_{rs} + b,
        c_{rs} = σ(f) ⊙ c_{r,s−1} + σ(i) ⊙ tanh(g),  h_{rs} = σ(o) ⊙ tanh(c_{rs}).

    Those of the second one run from the upper right corner, so a pixel must not see its own row
    by them: its features are those of the pixel above, and a linear map of what the first
    convolution sees of the rows above. (The paper moves the states down by a row. Then the last
    pixel of a row is hidden from most pixels of the next one.) States outside the image are zero.
    The output is a linear map of both sums. All pixels of a diagonal are computed at once.

    | Pixel Recurrent Neural Networks (van den Oord, Kalchbrenner, Kavukcuoglu, 2016)

    Attributes:
        from_left: The first LSTM.
        from_right: The second LSTM.
        rows: The linear map of the rows above.
        out: The linear map.
    """

    def __init__(self, width: int) -> None:
        super().__init__(width)
        self.from_left, self.from_right = _Diagonal(width), _Diagonal(width)
        self.rows = nn.Linear(width, width)
        self.out = nn.Linear(width, width)

    def forward(self, features: Tensor, above: Tensor, bias: Tensor | None) -> Tensor:
        """Return the outputs of all pixels."""
        x, rows = features.permute(0, 2, 3, 1), self.rows(above.permute(0, 2, 3, 1))
        rows = rows + torch.cat([torch.zeros_like(x[:, :1]), x[:, :-1]], dim=1)
        right = self.from_right(rows.flip(2), bias).flip(2)
        outputs: Tensor = self.out(self.from_left(x, bias) + right)
        return outputs.permute(0, 3, 1, 2)

    def steps(self, num: int, width: int, bias: Tensor | None) -> LSTMSteps:
        """Return the outputs of one pixel after another."""
        return _DiagonalSteps(self, num, width, bias)


class _Diagonal(nn.Module):
    """An LSTM whose states run from the upper left corner.

    Arguments:
        width: F.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.inputs = nn.Linear(width, 4 * width)
        self.above = nn.Linear(width, 4 * width, bias=False)
        self.left = nn.Linear(width, 4 * width, bias=False)

    def forward(self, x: Tensor, bias: Tensor | None) -> Tensor:
        """Return h of all pixels, (B, H, W, F), by features (B, H, W, F)."""
        height, width = x.shape[1:3]
        gates = self.gates(x, bias[:, None, None] if bias is not None else None)
        rows = torch.arange(height, device=x.device)
        h = c = torch.zeros_like(x[:, :, 0])
        found = []
        for diagonal in range(height + width - 1):
            columns = diagonal - rows
            inside = ((columns >= 0) & (columns < width))[:, None]
            of_diagonal = gates[:, rows, columns.clamp(0, width - 1)]
            above = torch.cat([torch.zeros_like(h[:, :1]), h[:, :-1]], dim=1)
            h, c = cell(of_diagonal + self.before(above, h), c, dim=-1)
            h, c = h * inside, c * inside
            found.append(h)
        skewed = torch.stack(found, dim=2)  # Pixel (r, s) is at (r, r + s).
        columns = torch.arange(width, device=x.device)
        return skewed[:, rows[:, None], rows[:, None] + columns]

    def gates(self, x: Tensor, bias: Tensor | None) -> Tensor:
        """Return what features add to the gates."""
        found: Tensor = self.inputs(x)
        return found if bias is None else found + bias

    def before(self, above: Tensor, left: Tensor) -> Tensor:
        """Return what the states above and to the left add to the gates."""
        found: Tensor = self.above(above) + self.left(left)
        return found


class _DiagonalSteps(LSTMSteps):
    """The states of both LSTMs, of the row above and of the row so far.

    Arguments:
        layer: The layer.
        num: The number of images.
        width: The number of pixels in a row.
        bias: A bias of the gates.
    """

    def __init__(self, layer: DiagonalBiLSTM, num: int, width: int, bias: Tensor | None) -> None:
        self.layer, self.bias = layer, bias
        self.x, self.left, self.right = layer.out.weight.new_zeros(3, num, width, layer.width)

    def begin_row(self, above: Tensor) -> None:
        """Run the second LSTM over the row, from its right end."""
        net, bias = self.layer.from_right, None if self.bias is None else self.bias[:, None]
        gates = net.gates(self.layer.rows(above.transpose(1, 2)) + self.x, bias)
        h = c = torch.zeros_like(self.x[:, 0])
        for column in reversed(range(self.x.shape[1])):
            h, c = cell(gates[:, column] + net.before(self.right[:, column], h), c)
            self.right[:, column] = h
        self.h = self.c = torch.zeros_like(h)

    def step(self, column: int, features: Tensor) -> Tensor:
        """Return the output at the next pixel."""
        net = self.layer.from_left
        self.x[:, column] = features
        gates = net.gates(features, self.bias)
        self.h, self.c = cell(gates + net.before(self.left[:, column], self.h), self.c)
        self.left[:, column] = self.h
        output: Tensor = self.layer.out(self.h + self.right[:, column])
        return output
