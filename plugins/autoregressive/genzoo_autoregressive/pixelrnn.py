"""PixelRNN: recurrent layers over an image, row by row or along its diagonals."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

import torch
from torch import Tensor, nn

from genzoo.plugin import Batch, Binary, Bounds, ConfigError, Label
from genzoo_autoregressive.causal import Above, Left, Window, with_ones
from genzoo_autoregressive.condition_vectors import ConditionVectors
from genzoo_autoregressive.diagonal_lstm import DiagonalBiLSTM
from genzoo_autoregressive.image_lstm import ImageLSTM
from genzoo_autoregressive.pixels import FeatureSteps, Heads, PixelConfig, PixelModel
from genzoo_autoregressive.row_lstm import RowLSTM

_LAYERS: dict[str, type[ImageLSTM]] = {"row": RowLSTM, "diagonal": DiagonalBiLSTM}


@dataclass(frozen=True, kw_only=True)
class PixelRNNConfig(PixelConfig):
    """A PixelRNN."""

    layer: Literal["row", "diagonal"] = "row"
    """The layers: row LSTMs, which are faster, or diagonal BiLSTMs, which see all pixels before
    a pixel."""
    num_layers: Annotated[int, Bounds(1, 2**8)] = 2
    """The number of layers."""
    first_kernel_size: Annotated[int, Bounds(3, 63)] = 7
    """k, odd: the convolution below the layers sees ⌊k/2⌋ rows above and ⌊k/2⌋ columns on each
    side."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.first_kernel_size % 2 == 0:
            raise ConfigError(
                f"{type(self).__name__}.first_kernel_size is {self.first_kernel_size}. Give an "
                "odd number: a kernel has as many columns on the left as on the right."
            )


class PixelRNN(PixelModel[PixelRNNConfig]):
    """A PixelRNN: LSTMs whose states run over an image.

    A masked convolution of the image, then layers with a residual connection each. `RowLSTM` and
    `DiagonalBiLSTM` have the formulas of the two layers.

    | Pixel Recurrent Neural Networks (van den Oord, Kalchbrenner, Kavukcuoglu, 2016)

    Arguments:
        config: The space of the images, and the layers.

    Attributes:
        above, left: The masked convolution, of the rows above and of the pixels to the left.
        layers: The layers, from below.
    """

    Config = PixelRNNConfig
    papers = (
        (
            "Aaron van den Oord, Nal Kalchbrenner, Koray Kavukcuoglu. Pixel Recurrent Neural "
            "Networks. ICML, 2016."
        ),
    )

    def __init__(self, config: PixelRNNConfig) -> None:
        super().__init__(config)
        width, size = config.hidden_channels, config.first_kernel_size
        self.above = Above(self.num_inputs + 1, width, size, own=False)
        self.left = Left(self.num_inputs + 1, width, size, own=False)
        layer = _LAYERS[config.layer]
        self.layers = nn.ModuleList(layer(width) for _ in range(config.num_layers))
        self.heads = Heads(width, self.num_values, self.output)
        self.vectors = ConditionVectors(config.conditions, (1 + 4 * config.num_layers) * width)

    @classmethod
    def example(cls) -> tuple[PixelRNNConfig, Batch]:
        """Return a small conditional config, and twelve images."""
        config = PixelRNNConfig(
            event=Binary(shape=(1, 4, 4)),
            hidden_channels=4,
            first_kernel_size=3,
            conditions={"label": Label(num_classes=3)},
        )
        x = torch.rand(12, 1, 4, 4, generator=torch.Generator().manual_seed(0)).round()
        return config, {"x": x, "label": torch.arange(12) % 3}

    @property
    def widest(self) -> int:
        """The number of values of the gates of a layer, for one image."""
        return self.widest_with(8 * self.config.hidden_channels)

    @property
    def widest_step(self) -> int:
        """The number of values of the states and features that are kept of an image."""
        c = self.config
        return max(4 * c.num_layers * c.grid[1] * c.hidden_channels, self.num_places)

    @property
    def condition_vectors(self) -> ConditionVectors:
        """Biases of the first convolution and of the gates of all layers."""
        return self.vectors

    def biases(self, given: Tensor | None) -> tuple[Tensor | None, list[Tensor | None]]:
        """Return the biases of the convolution (B, F), and of each layer's gates (B, 4F)."""
        width, num = self.config.hidden_channels, self.config.num_layers
        if given is None:
            return None, [None] * num
        return given[:, :width], list(given[:, width:].chunk(num, dim=-1))

    def features(self, image: Tensor, given: Tensor | None) -> Tensor:
        """Return the features after the last layer."""
        image = with_ones(image)
        first, biases = self.biases(given)
        above: Tensor = self.above(image)
        if first is not None:
            above = above + first[..., None, None]
        h: Tensor = above + self.left(image)
        for layer, bias in zip(self.layers, biases, strict=True):
            h = h + layer(h, above, bias)
        return h

    def feature_steps(self, num: int, given: Tensor | None) -> FeatureSteps:
        """Return features that keep the states of the row above, and of the row so far."""
        return _Growing(self, num, given)


class _Growing(FeatureSteps):
    """Features of one pixel after another, with the states of all layers.

    Arguments:
        net: The model.
        num: The number of images.
        given: The vectors of the conditions.
    """

    def __init__(self, net: PixelRNN, num: int, given: Tensor | None) -> None:
        self.net, like = net, net.heads.V
        width = net.config.grid[1]
        self.first, biases = net.biases(given)
        layers: list[Any] = list(net.layers)
        self.states = [
            layer.steps(num, width, bias) for layer, bias in zip(layers, biases, strict=True)
        ]
        self.window = Window(num, net.left.left, width, net.num_inputs + 1, like)
        self.rows = like.new_zeros(num, net.num_inputs + 1, net.above.rows, width)
        self.image = like.new_zeros(num, net.num_inputs + 1, width)
        self.columns = net.left.columns()

    def features(self, row: int, column: int) -> Tensor:
        """Return the features of a pixel after the last layer."""
        if column == 0:
            self._begin(row)
        h = torch.addmm(self.above[..., column], self.window.before(column), self.columns)
        for state in self.states:
            h = h + state.step(column, h)
        return h

    def put(self, row: int, column: int, inputs: Tensor) -> None:
        """Take the values of a pixel."""
        self.image[:, :-1, column] = inputs
        self.image[:, -1, column] = 1
        self.window.put(column, self.image[:, :, column])

    def _begin(self, row: int) -> None:
        """Begin a row: the convolution of the rows above, and the states of the last one."""
        if row:
            self.rows = torch.cat([self.rows[:, :, 1:], self.image[:, :, None]], dim=2)
        self.above = self.net.above.of_rows(self.rows)
        if self.first is not None:
            self.above = self.above + self.first[..., None]
        for state in self.states:
            state.begin_row(self.above)
