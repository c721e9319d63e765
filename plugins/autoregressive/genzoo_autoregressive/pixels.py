"""The abstract base class of models that read an image pixel by pixel."""

from __future__ import annotations

import abc
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genzoo.plugin import Bounds, ConfigError, Stage
from genzoo_autoregressive import suiting
from genzoo_autoregressive.chains import Chain, Steps, rank_of
from genzoo_autoregressive.configs import AutoregressiveConfig
from genzoo_autoregressive.model import Autoregressive
from genzoo_autoregressive.outputs import Output


@dataclass(frozen=True, kw_only=True)
class PixelConfig(AutoregressiveConfig):
    """A model that reads an image pixel by pixel, or patch by patch."""

    patch_size: Annotated[int, Bounds(1, 64)] = 1
    """The height and width of a patch. The network sees patches as its pixels, which makes it
    faster; the values of a patch are drawn one after another, as the channels of a pixel are."""
    hidden_channels: Annotated[int, Bounds(1, 2**12)] = 32
    """The number of feature maps of each layer."""
    num_layers: Annotated[int, Bounds(1, 2**8)] = 5
    """The number of layers."""

    def __post_init__(self) -> None:
        super().__post_init__()
        shape, size, who = self.event.event_shape, self.patch_size, type(self).__name__
        if len(shape) != 3:
            raise ConfigError(
                f"{who} reads images (channels, height, width), not rows of shape {shape}. Use "
                "made or transformer."
            )
        if shape[1] % size or shape[2] % size:
            raise ConfigError(
                f"{who}.patch_size={size} does not divide images of {shape[1]} × {shape[2]}. "
                "Choose another patch_size."
            )

    @property
    def grid(self) -> tuple[int, int]:
        """The numbers of rows and columns of patches."""
        _, height, width = self.event.event_shape
        return height // self.patch_size, width // self.patch_size

    def places(self) -> list[int]:
        """Return the places patch by patch, and pixel by pixel in a patch.

        The channels of a pixel follow each other.
        """
        channels, height, width = self.event.event_shape
        size = self.patch_size
        return [
            channel * height * width + (size * row + y) * width + size * column + x
            for row in range(height // size)
            for column in range(width // size)
            for y in range(size)
            for x in range(size)
            for channel in range(channels)
        ]


C = TypeVar("C", bound=PixelConfig)


class PixelModel(Autoregressive[C], abc.ABC):
    """A model whose network has features for each pixel, of all pixels before it.

    The features of a pixel depend on the pixels above it and on those to its left. `Heads` turn
    them into the parameters of the pixel's values, each given those before it in the pixel.

    With patches, a pixel is a patch. Subclasses implement `features`, `feature_steps` and
    `condition_vectors`; they create `heads`.

    Attributes:
        heads: From features to parameters.
    """

    heads: Heads
    places: Tensor
    rank: Tensor
    limits = (
        "Samples take a step for each value, however many processors there are.",
        (
            "Likelihoods of zeros and ones, of categories and of grey levels are different "
            "quantities and cannot be compared, also in bits per dimension."
        ),
    )

    def __init__(self, config: C) -> None:
        super().__init__(config)
        # On the device, so that an update copies nothing to it.
        places = torch.tensor(self.order)
        self.register_buffer("places", places, persistent=False)
        self.register_buffer("rank", rank_of(places), persistent=False)

    @property
    def num_values(self) -> int:
        """The number of values of a patch."""
        return self.num_places // math.prod(self.config.grid)

    @property
    def num_inputs(self) -> int:
        """The number of values that the network receives of a patch."""
        return self.num_values * self.output.num_inputs

    def widest_with(self, num_maps: int) -> int:
        """Return the number of values of the widest of a layer, the heads and the parameters."""
        patches = math.prod(self.config.grid)
        most = max(num_maps, self.heads.hidden.out_features)
        return max(patches * most, self.num_places * self.output.num_parameters)

    @abc.abstractmethod
    def features(self, image: Tensor, given: Tensor | None) -> Tensor:
        """Return the features of all patches, (B, F, H, W), each of those before it.

        Arguments:
            image: The inputs of patches, (B, N, H, W).
            given: The vectors of the conditions.
        """

    @abc.abstractmethod
    def feature_steps(self, num: int, given: Tensor | None) -> FeatureSteps:
        """Return the features of one patch after another, of ``num`` rows."""

    @classmethod
    def default_stages(cls, config: C) -> tuple[Stage, ...]:
        """Return maximum likelihood; see `suiting.image_learning`."""
        return (suiting.image_learning(config.event),)

    def chains(self) -> Sequence[Chain]:
        """Return the one chain."""
        return [_Pixels(self)]

    def patches(self, x: Tensor) -> Tensor:
        """Return flat rows (B, D) as the network receives them, (B, H, W, N)."""
        inputs = self.output.inputs(x, self.dtype)[:, self.places]
        return inputs.reshape(len(x), *self.config.grid, self.num_inputs)


class Heads(nn.Module):
    """From the features of a patch to the parameters of its values, one after another.

    Value n has a hidden layer of its own, which sees the features and the values before n:

        parameters_n = V_n relu(U_n relu(f) + Σ_{m<n} A_nm x_m + b_n) + c_n.

    Arguments:
        width: F, the number of features, and of hidden units of a value.
        num: N, the number of values of a patch.
        output: The family of distributions.
    """

    mask: Tensor

    def __init__(self, width: int, num: int, output: Output) -> None:
        super().__init__()
        self.num, self.width, self.num_inputs = num, width, output.num_inputs
        self.hidden = nn.Linear(width, num * width)
        self.earlier = (
            nn.Linear(num * output.num_inputs, num * width, bias=False) if num > 1 else None
        )
        self.V = nn.Parameter(torch.empty(num, width, output.num_parameters))
        nn.init.normal_(self.V, std=width**-0.5)
        self.c = nn.Parameter(output.start().repeat(num, 1))
        n = torch.arange(num)
        before = n[:, None] > n[None, :]
        mask = before.repeat_interleave(width, 0).repeat_interleave(output.num_inputs, 1)
        self.register_buffer("mask", mask, persistent=False)

    def forward(self, features: Tensor, inputs: Tensor) -> Tensor:
        """Return the parameters (M, N, P) by features (M, F) and values (M, N E)."""
        hidden = self.sums(features)
        if self.earlier is not None:
            hidden = hidden + F.linear(inputs, self.earlier.weight * self.mask)
        hidden = hidden.view(len(features), self.num, self.width).relu()
        if self.num == 1:
            return torch.addmm(self.c, hidden[:, 0], self.V[0])[:, None]
        return torch.einsum("mnf,nfp->mnp", hidden, self.V) + self.c

    def sums(self, features: Tensor) -> Tensor:
        """Return the sums of the hidden units before any value is known, (M, N F)."""
        found: Tensor = self.hidden(features.relu())
        return found

    def columns(self) -> list[Tensor]:
        """Return what each value adds to the sums of later ones, (E, N F) each."""
        if self.earlier is None:
            return []
        masked = self.earlier.weight * self.mask
        return list(torch.split(masked.T, self.num_inputs))

    def parameters_of(self, n: int, sums: Tensor) -> Tensor:
        """Return the parameters (M, P) of value n by the sums of all hidden units."""
        hidden = sums[:, n * self.width : (n + 1) * self.width].relu()
        return torch.addmm(self.c[n], hidden, self.V[n])


class FeatureSteps(abc.ABC):
    """Abstract base class: the features of one patch after another, with what they share.

    For each patch in raster order `features` is called once, then `put` once.
    """

    @abc.abstractmethod
    def features(self, row: int, column: int) -> Tensor:
        """Return the features of a patch, (B, F), given the patches before it."""

    @abc.abstractmethod
    def put(self, row: int, column: int, inputs: Tensor) -> None:
        """Take the inputs (B, N E) of a patch."""


class _Pixels(Chain):
    """The factors of a model.

    Arguments:
        net: The model.
    """

    def __init__(self, net: PixelModel[Any]) -> None:
        super().__init__(net.places)
        self.net = net

    def parameters(self, x: Tensor, given: Tensor | None) -> Tensor:
        """Return the parameters of all places, (B, D, P)."""
        net = self.net
        patches = net.patches(x)
        found = net.features(patches.permute(0, 3, 1, 2), given).permute(0, 2, 3, 1)
        parameters: Tensor = net.heads(found.flatten(0, 2), patches.flatten(0, 2))
        in_order = parameters.reshape(len(x), net.num_places, -1)
        return in_order[:, net.rank]

    def steps(self, x: Tensor, given: Tensor | None) -> Steps:
        """Return the features of patches that keep what later ones share."""
        return _ValueSteps(self.net, len(x), given)


class _ValueSteps(Steps):
    """The parameters of one value after another: features once a patch, then its heads.

    Arguments:
        net: The model.
        num: The number of rows.
        given: The vectors of the conditions.
    """

    def __init__(self, net: PixelModel[Any], num: int, given: Tensor | None) -> None:
        self.net: PixelModel[Any] = net
        self.found = net.feature_steps(num, given)
        self.columns = net.heads.columns()
        self.inputs: list[Tensor] = []
        self.sums: Tensor | None = None

    def parameters(self, index: int) -> Tensor:
        """Return the parameters of a value."""
        return self.net.heads.parameters_of(index % self.net.num_values, self._sums(index))

    def put(self, index: int, values: Tensor) -> None:
        """Take a value; the last one of a patch completes it."""
        n, sums = index % self.net.num_values, self._sums(index)
        inputs = self.net.output.inputs(values, self.net.dtype)
        self.inputs.append(inputs)
        if n + 1 < self.net.num_values:
            self.sums = torch.addmm(sums, inputs, self.columns[n])
            return
        self.found.put(*self._patch(index), torch.cat(self.inputs, dim=-1))
        self.inputs, self.sums = [], None

    def _sums(self, index: int) -> Tensor:
        """Return the sums of the heads of the patch of a value."""
        if self.sums is None:
            features = self.found.features(*self._patch(index))
            self.sums = self.net.heads.sums(features)
        found: Tensor = self.sums
        return found

    def _patch(self, index: int) -> tuple[int, int]:
        """Return the row and column of the patch of a value."""
        columns: int = self.net.config.grid[1]
        return divmod(index // self.net.num_values, columns)
