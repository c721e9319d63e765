"""Models that make an example of a code, whatever teaches them."""

from __future__ import annotations

import abc
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import torch
from torch import Tensor

from genzoo import (
    Bounds,
    Component,
    Config,
    DataSpec,
    GenerativeModel,
    Values,
    batch_size_for,
)
from genzoo_gan.generators import GENERATORS
from genzoo_gan.labels import one_hot

Width = Annotated[int, Bounds(1, 2**16)]
Widths = Annotated[tuple[Width, ...], Bounds(0, 32)]
Network = Literal["flat", "convolutional", "residual"]
NumClasses = Annotated[int, Bounds(1, 2**20)]
_OUTPUT = {"unit": "sigmoid", "real": "identity"}


@dataclass(frozen=True, kw_only=True)
class GeneratorConfig(Config):
    """A generator."""

    event_shape: Annotated[tuple[Annotated[int, Bounds(1, 2**20)], ...], Bounds(1, 8)]
    """The shape of one example; (C, H, W) for images."""
    latent_dim: Annotated[int, Bounds(1, 2**16)] = 64
    """The size of a code z."""
    hidden_dims: Widths = (256, 256)
    """The generator's widths from the code to the example; its channels for images."""
    network: Network = "flat"
    """Fully connected layers, transposed convolutions (DCGAN), or residual blocks."""
    batch_norm: bool = False
    """Whether the generator's layers are normalised over the batch."""
    output: Literal["identity", "sigmoid"] = "identity"
    """What the generator ends with: sigmoid for data in [0, 1], which is theirs by default."""


class LatentModel(GenerativeModel, abc.ABC):
    """x = G(z), or G(z, y) given labels y, with z ~ N(0, I); abstract.

    Arguments:
        config: Shapes and the generator's layers.

    Attributes:
        generator: G.
    """

    kind = frozenset({"unit", "real"})

    def __init__(self, config: GeneratorConfig) -> None:
        super().__init__(config)
        self.generator = GENERATORS[config.network](
            config.latent_dim + self.num_labels,
            config.hidden_dims,
            config.event_shape,
            config.batch_norm,
        )

    @classmethod
    def configure(cls, spec: DataSpec, **overrides: Any) -> Any:
        """Return a config that fits the data: a sigmoid in the end for values in [0, 1]."""
        return super().configure(
            spec, **{"output": _OUTPUT.get(spec.kind, "identity"), **overrides}
        )

    @property
    def event_values(self) -> Values:
        """What a row holds: values in [0, 1] where the generator ends with a sigmoid."""
        return Values("unit" if self.config.output == "sigmoid" else "real", self.event_shape)

    @property
    def num_labels(self) -> int:
        """The number of labels that the generator is given one of; 0 where it is given none."""
        return int(self.config.num_classes) if self.condition_kind == "label" else 0

    @property
    def default_batch_size(self) -> int:
        """How many codes are decoded at once, by the generator's widest layer."""
        return batch_size_for(self.generator.widest)

    @classmethod
    def default_sampler(cls, config: GeneratorConfig) -> Component:
        """Return codes from the prior, decoded."""
        return Component(name="latent")

    def latent(self, num: int, generator: torch.Generator) -> Tensor:
        """Draw codes z ~ N(0, I), (num, latent_dim)."""
        shape = (num, self.config.latent_dim)
        return torch.randn(shape, generator=generator, device=self.device, dtype=self.dtype)

    def generate(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        """Return G(z), or G(z, y), for codes (B, L) and one-hot labels (B, C)."""
        x: Tensor = self.generator(z if y is None else torch.cat([z, y], dim=1))
        return x.sigmoid() if self.config.output == "sigmoid" else x

    def decode(self, z: Tensor, *, condition: Any = None) -> Tensor:
        """Return G(z), (B, *event_shape), for codes (B, L), given labels where it takes any.

        Raises:
            ConditionError: The condition is missing, superfluous or no label.
        """
        z = self.checked_codes(z, (self.config.latent_dim,))
        return self.generate(z, self.checked(condition, len(z)))

    def checked(self, condition: Any, num: int) -> Tensor | None:
        """Return labels as one-hot vectors (num, C); None where the model takes none.

        Raises:
            ConditionError: The condition is missing, superfluous or no label.
        """
        given = self.checked_condition(condition, num)
        return None if given is None else one_hot(given, self.num_labels, next(self.parameters()))
