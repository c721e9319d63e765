"""PixelCNN: gated convolutions of the pixels above and to the left, without a blind spot."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Annotated, Any

import torch
from torch import Tensor, nn

from genzoo.plugin import Batch, Binary, Bounds, ConfigError, Label
from genzoo_autoregressive.causal import Above, Left, Window, with_ones
from genzoo_autoregressive.condition_vectors import ConditionVectors
from genzoo_autoregressive.pixels import FeatureSteps, Heads, PixelConfig, PixelModel


@dataclass(frozen=True, kw_only=True)
class PixelCNNConfig(PixelConfig):
    """A gated PixelCNN."""

    kernel_size: Annotated[int, Bounds(3, 63)] = 3
    """k, odd: a layer sees ⌊k/2⌋ rows above and ⌊k/2⌋ columns on each side."""
    first_kernel_size: Annotated[int, Bounds(3, 63)] = 7
    """k of the first layer."""
    dropout: Annotated[float, Bounds(0.0, 0.95)] = 0.0
    """The share of values that training sets to zero after each gate."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("kernel_size", "first_kernel_size"):
            if getattr(self, name) % 2 == 0:
                raise ConfigError(
                    f"{type(self).__name__}.{name} is {getattr(self, name)}. Give an odd number: "
                    "a kernel has as many columns on the left as on the right."
                )


class PixelCNN(PixelModel[PixelCNNConfig]):
    """A gated PixelCNN.

    Two stacks of convolutions. The vertical one sees the rows above a pixel, in the shape of a
    rectangle, so that no pixel is missed; the horizontal one sees the pixels to the left and, in
    each layer, the vertical stack at the same pixel. Each layer has the gate

        y = tanh(a) ⊙ σ(b), (a, b) = W * x + V y(condition),

    to which its input is added; the outputs of all layers of the horizontal stack are summed.

    | Conditional Image Generation with PixelCNN Decoders (van den Oord, Kalchbrenner, Vinyals,
    | Espeholt, Graves, Kavukcuoglu, 2016)

    Arguments:
        config: The space of the images, the layers and the kernels.

    Attributes:
        layers: The layers, from below.
    """

    Config = PixelCNNConfig
    papers = (
        (
            "Aaron van den Oord, Nal Kalchbrenner, Oriol Vinyals, Lasse Espeholt, Alex Graves, "
            "Koray Kavukcuoglu. Conditional Image Generation with PixelCNN Decoders. NeurIPS, "
            "2016."
        ),
    )

    def __init__(self, config: PixelCNNConfig) -> None:
        super().__init__(config)
        width, sizes = config.hidden_channels, [config.kernel_size] * (config.num_layers - 1)
        self.layers = nn.ModuleList(
            [
                _Layer(self.num_inputs + 1, config, config.first_kernel_size, first=True),
                *(_Layer(width, config, size, first=False) for size in sizes),
            ]
        )
        self.heads = Heads(width, self.num_values, self.output)
        self.vectors = ConditionVectors(config.conditions, config.num_layers * 4 * width)

    @classmethod
    def example(cls) -> tuple[PixelCNNConfig, Batch]:
        """Return a small conditional config, and twelve images."""
        config = PixelCNNConfig(
            event=Binary(shape=(1, 4, 4)),
            hidden_channels=4,
            num_layers=2,
            first_kernel_size=3,
            conditions={"label": Label(num_classes=3)},
        )
        x = torch.rand(12, 1, 4, 4, generator=torch.Generator().manual_seed(0)).round()
        return config, {"x": x, "label": torch.arange(12) % 3}

    @property
    def widest(self) -> int:
        """The number of values of a gate before it, for one image."""
        return self.widest_with(2 * self.config.hidden_channels)

    @property
    def widest_step(self) -> int:
        """The number of values of the rows that are kept of an image."""
        rows: int = sum(layer.above.rows + 1 for layer in self.stack())
        return max(rows * self.config.grid[1] * self.config.hidden_channels, self.num_places)

    @property
    def condition_vectors(self) -> ConditionVectors:
        """Biases of the gates of all layers."""
        return self.vectors

    def stack(self) -> list[Any]:
        """Return the layers, from below."""
        return list(self.layers)

    def biases(self, given: Tensor | None) -> list[tuple[Tensor | None, Tensor | None]]:
        """Return the biases (B, 2F) of both gates of each layer by the conditions."""
        if given is None:
            return [(None, None)] * len(self.layers)
        parts = given.chunk(2 * len(self.layers), dim=-1)
        return list(zip(parts[::2], parts[1::2], strict=True))

    def features(self, image: Tensor, given: Tensor | None) -> Tensor:
        """Return the sum of the horizontal stack's outputs."""
        above = left = with_ones(image)
        skips: list[Tensor] = []
        for layer, biases in zip(self.layers, self.biases(given), strict=True):
            above, left, skip = layer(above, left, biases)
            skips.append(skip)
        return functools.reduce(torch.add, skips)

    def feature_steps(self, num: int, given: Tensor | None) -> FeatureSteps:
        """Return features that keep the rows above, and the row so far."""
        return _Growing(self, num, given)


class _Layer(nn.Module):
    """A gated layer of both stacks.

    Arguments:
        num_inputs: The number of maps below.
        config: The number of maps F and the dropout.
        size: k of the kernels.
        first: Whether its input is the image, of which a pixel must not see itself.
    """

    def __init__(self, num_inputs: int, config: PixelCNNConfig, size: int, *, first: bool) -> None:
        super().__init__()
        self.first, width = first, config.hidden_channels
        self.drop = nn.Dropout(config.dropout)
        self.above = Above(num_inputs, 2 * width, size, own=not first)
        self.left = Left(num_inputs, 2 * width, size, own=not first)
        self.across = nn.Conv2d(2 * width, 2 * width, 1)
        self.out = nn.Conv2d(width, 2 * width, 1)

    def forward(
        self, above: Tensor, left: Tensor, biases: tuple[Tensor | None, Tensor | None]
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return the maps of both stacks and what is summed, (B, F, H, W) each."""
        vertical = self.above(above)
        horizontal = self.left(left) + self.across(vertical)
        up = self.drop(gated(vertical, biases[0]))
        more, skip = self.out(self.drop(gated(horizontal, biases[1]))).chunk(2, dim=1)
        if self.first:
            return up, more, skip
        return above + up, left + more, skip

    def row_of(self, rows: Tensor, bias: Tensor | None) -> tuple[Tensor, Tensor]:
        """Return a row of the vertical stack (B, F, W) and what it adds to the other's gates.

        Arguments:
            rows: The rows that it sees, (B, C, R, W).
            bias: The bias of the gate.
        """
        vertical = self.above.of_rows(rows)
        across = torch.nn.functional.conv1d(vertical, self.across.weight[..., 0], self.across.bias)
        up = gated(vertical, bias)
        return (up if self.first else rows[:, :, -1] + up), across


def gated(sums: Tensor, bias: Tensor | None) -> Tensor:
    """Return tanh(a) σ(b) of sums (B, 2F, ...), to which a bias (B, 2F) is added."""
    if bias is not None:
        sums = sums + bias.view(*bias.shape, *[1] * (sums.ndim - 2))
    a, b = sums.chunk(2, dim=1)
    return a.tanh() * b.sigmoid()


class _Growing(FeatureSteps):
    """Features of one pixel after another.

    The vertical stack is computed row by row, the horizontal one pixel by pixel. Kept are the
    rows of each layer that the next row sees, and the pixels of the row so far.

    Arguments:
        net: The model.
        num: The number of images.
        given: The vectors of the conditions.
    """

    def __init__(self, net: PixelCNN, num: int, given: Tensor | None) -> None:
        self.layers = net.stack()
        self.biases, like = net.biases(given), net.heads.V
        width, size = net.config.grid[1], net.config.hidden_channels
        sizes = [net.num_inputs + 1, *[size] * (len(self.layers) - 1)]
        self.rows = [
            like.new_zeros(num, n, layer.above.rows, width)
            for n, layer in zip(sizes, self.layers, strict=True)
        ]
        self.windows = [
            Window(num, layer.left.left, width, n, like)
            for n, layer in zip(sizes, self.layers, strict=True)
        ]
        self.columns = [layer.left.columns() for layer in self.layers]
        self.outs = [(layer.out.weight[..., 0, 0].T, layer.out.bias) for layer in self.layers]
        self.across: list[Tensor] = []
        self.image = like.new_zeros(num, sizes[0], width)

    def features(self, row: int, column: int) -> Tensor:
        """Return the sum of the horizontal stack's outputs at a pixel."""
        if column == 0:
            self._begin(row)
        skips: list[Tensor] = []
        below: Tensor | None = None
        for index, layer in enumerate(self.layers):
            window = self.windows[index]
            if below is None:
                seen = window.before(column)
            else:
                window.put(column, below)
                seen = window.through(column)
            sums = torch.addmm(self.across[index][:, column], seen, self.columns[index])
            weight, bias = self.outs[index]
            found = torch.addmm(bias, gated(sums, self.biases[index][1]), weight)
            more, skip = found.chunk(2, dim=1)
            below = more if layer.first or below is None else below + more
            skips.append(skip)
        return functools.reduce(torch.add, skips)

    def put(self, row: int, column: int, inputs: Tensor) -> None:
        """Take the values of a pixel."""
        self.image[:, :-1, column] = inputs
        self.image[:, -1, column] = 1
        self.windows[0].put(column, self.image[:, :, column])

    def _begin(self, row: int) -> None:
        """Compute a row of the vertical stack."""
        if row:
            self.rows[0] = _pushed(self.rows[0], self.image)
        self.across = []
        for index, layer in enumerate(self.layers):
            up, across = layer.row_of(self.rows[index], self.biases[index][0])
            self.across.append(across.permute(0, 2, 1).contiguous())
            if index + 1 < len(self.layers):
                self.rows[index + 1] = _pushed(self.rows[index + 1], up)


def _pushed(rows: Tensor, row: Tensor) -> Tensor:
    """Return rows (B, C, R, W) without the first one and with another at the end."""
    return torch.cat([rows[:, :, 1:], row[:, :, None]], dim=2)
