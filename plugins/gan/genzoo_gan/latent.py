"""The base class of models with a generator, for every objective."""

from __future__ import annotations

import abc
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal, TypeVar

import torch
from torch import Tensor

from genzoo.plugin import (
    Bounds,
    Component,
    Config,
    ConfigError,
    DataInfo,
    GenerativeModel,
    Real,
    Space,
    Unit,
    batch_size_for,
)
from genzoo_gan.generators import GENERATORS
from genzoo_gan.labels import num_labels, one_hot
from genzoo_gan.outputs import OUTPUTS, fitting
from genzoo_gan.spaces import without_levels
from genzoo_gan.suiting import suited

Width = Annotated[int, Bounds(1, 2**16)]
Widths = Annotated[tuple[Width, ...], Bounds(0, 32)]
Network = Literal["flat", "convolutional", "residual"]
NumClasses = Annotated[int, Bounds(1, 2**20)]


@dataclass(frozen=True, kw_only=True)
class GeneratorConfig(Config):
    """A generator."""

    event: Space
    """The space of the data; of shape (C, H, W) for images."""
    latent_dim: Annotated[int, Bounds(1, 2**16)] = 64
    """The size of a code z."""
    hidden_dims: Widths = (256, 256)
    """The generator's widths from the code to the example; its channels for images."""
    network: Network = "flat"
    """Fully connected layers, transposed convolutions (DCGAN) or residual blocks."""
    batch_norm: bool = False
    """Whether the generator has batch normalisation."""
    output: Literal["identity", "sigmoid", "gumbel-softmax"] | None = None
    """The generator's output: by default sigmoid for data in [0, 1], gumbel-softmax for
    categories, else identity."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.output is None:  # The stored config names the output.
            object.__setattr__(self, "output", fitting(self.event))
        elif not isinstance(self.event, OUTPUTS[self.output].spaces):
            makes = OUTPUTS[self.output].makes
            raise ConfigError(
                f"{type(self).__name__}.output={self.output!r} makes {makes}; the data are "
                f"{self.event.describe()}. Leave it out."
            )


G = TypeVar("G", bound=GeneratorConfig)


class LatentModel(GenerativeModel[G], abc.ABC):
    """Abstract base class: x = G(z), or G(z, y) given labels y, with z ~ N(0, I).

    Arguments:
        config: Spaces and the generator's layers.

    Attributes:
        generator: G's network.
        output: What the network's numbers stand for.
    """

    event_spaces: ClassVar[tuple[type[Space], ...]] = (Real, Unit)

    def __init__(self, config: G) -> None:
        super().__init__(config)
        self.output = OUTPUTS[config.output or fitting(config.event)](config.event)
        self.generator = GENERATORS[config.network](
            config.latent_dim + self.num_labels,
            config.hidden_dims,
            self.output.shape,
            config.batch_norm,
        )

    @classmethod
    def configure(
        cls, info: DataInfo, conditions: Sequence[str] | None = None, **overrides: Any
    ) -> Any:
        """Return a config that fits the data, without grey levels; see `suiting.suited`."""
        cls.check_event(info)
        values = {**suited(info[cls.event_field], overrides), **overrides}
        return without_levels(super().configure(info, conditions, **values), overrides)

    @property
    def num_labels(self) -> int:
        """The total size of the one-hot labels of the generator; 0 without labels."""
        return num_labels(self.conditions)

    @property
    def default_batch_size(self) -> int:
        """The number of codes that are decoded at once, by the generator's widest layer."""
        return batch_size_for(self.generator.widest)

    @classmethod
    def default_sampler(cls, config: GeneratorConfig) -> Component:
        """Return the sampler that decodes codes from the prior."""
        return Component(name="latent")

    def latent(self, num: int, generator: torch.Generator) -> Tensor:
        """Draw codes z ~ N(0, I), (num, latent_dim)."""
        shape = (num, self.config.latent_dim)
        return torch.randn(shape, generator=generator, device=self.device, dtype=self.dtype)

    def outputs(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        """Return the network's numbers h for codes (B, L) and one-hot labels (B, C)."""
        h: Tensor = self.generator(z if y is None else torch.cat([z, y], dim=1))
        return h

    def generate(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        """Return G(z), or G(z, y); of categories the most probable ones."""
        return self.output.mode(self.outputs(z, y))

    def decode(self, z: Tensor, *, condition: Any = None) -> Tensor:
        """Return G(z), (B, *event_shape), for codes (B, L), given labels if it takes any.

        Of categories it returns the most probable one at each place.

        Raises:
            ConditionError: The condition is missing, superfluous or not a label.
        """
        z = self.checked_codes(z, (self.config.latent_dim,))
        return self.generate(z, self.checked(condition, z.shape[0]))

    def draw(self, z: Tensor, *, condition: Any = None, generator: torch.Generator) -> Tensor:
        """Draw x (B, *event_shape) for codes (B, L): G(z), or categories given z.

        Raises:
            ConditionError: The condition is missing, superfluous or not a label.
        """
        z = self.checked_codes(z, (self.config.latent_dim,))
        h = self.outputs(z, self.checked(condition, z.shape[0]))
        return self.output.draw(h, generator)

    def checked(self, condition: Any, num: int) -> Tensor | None:
        """Return labels as one-hot vectors (num, C); None if the model takes none.

        Raises:
            ConditionError: The condition is missing, superfluous or not a label.
        """
        given = self.checked_condition(condition, num)
        return one_hot(given, self.conditions, next(self.parameters()))
