"""What the models that play against a critic have in common."""

from __future__ import annotations

import abc
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

import torch
from torch import Tensor

from genzoo import Batch, Bounds, Config, DataSpec, GenerativeModel, Named, Sampler, Stage
from genzoo_gan.generators import GENERATORS
from genzoo_gan.views import View

Width = Annotated[int, Bounds(1, 2**16)]
Widths = Annotated[tuple[Width, ...], Bounds(0, 32)]
Network = Literal["flat", "convolutional", "residual"]
_OUTPUT = {"unit": "sigmoid", "real": "identity"}


@dataclass(frozen=True, kw_only=True)
class GeneratorConfig(Config):
    """A generator."""

    event_shape: Annotated[tuple[Annotated[int, Bounds(1, 2**20)], ...], Bounds(1, 8)]
    """The shape of one example; (C, H, W) for images."""
    latent_dim: Annotated[int, Bounds(1, 2**16)] = 64
    """The size of a code z."""
    hidden_dims: Widths = (256, 256)
    """The generator's widths from the code to the example; for images channels, each doubled."""
    network: Network = "flat"
    """Fully connected layers, transposed convolutions (DCGAN), or residual blocks."""
    batch_norm: bool = False
    """Whether the generator's layers are normalised over the batch."""
    output: Literal["identity", "sigmoid"] = "identity"
    """What the generator ends with: sigmoid for data in [0, 1], which is theirs by default."""


class AdversarialModel(GenerativeModel, abc.ABC):
    """x = G(z) with z ~ N(0, I), learned by a game against a critic; abstract.

    The critic is the objective's: it exists only while training. The model says what a critic is
    shown, of its own and of the data, so that every game can be played by every such model.

    | Generative Adversarial Networks (Goodfellow et al., 2014)

    Class attributes:
        encodes: Whether the real views depend on the model's parameters too.
    """

    kind = frozenset({"unit", "real"})
    encodes: ClassVar[bool] = False

    def __init__(self, config: GeneratorConfig) -> None:
        super().__init__(config)
        self.generator = GENERATORS[config.network](
            config.latent_dim + self.num_classes,
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

    @classmethod
    def default_stages(cls) -> tuple[Stage, ...]:
        """Return the non-saturating game."""
        return (
            Stage(
                objective=Named(name="non-saturating"),
                trainer={"steps": 20_000, "batch_size": 64},
            ),
        )

    @property
    def num_classes(self) -> int:
        """The number of labels that the generator is given; 0 for none."""
        known = self.config.num_classes if self.condition_kind == "label" else 0
        return int(known)

    def sampler(self) -> Sampler:
        """Return codes from the prior, decoded."""
        from genzoo_gan.samplers import Latent

        return Latent()

    def latent(self, num: int, generator: torch.Generator) -> Tensor:
        """Draw codes z ~ N(0, I), (num, latent_dim)."""
        shape = (num, self.config.latent_dim)
        return torch.randn(shape, generator=generator, device=self.device, dtype=self.dtype)

    def generate(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        """Return G(z), or G(z, y), for codes (B, L) and one-hot labels (B, C)."""
        x: Tensor = self.generator(z if y is None else torch.cat([z, y], dim=1))
        return x.sigmoid() if self.config.output == "sigmoid" else x

    @abc.abstractmethod
    def decode(self, z: Tensor, *, condition: Any = None) -> Tensor:
        """Return G(z), (B, *event_shape), for codes (B, L)."""

    @abc.abstractmethod
    def fake(self, z: Tensor, batch: Batch) -> View:
        """Return what the critic is shown of the model: examples for codes (B, L)."""

    @abc.abstractmethod
    def real(self, batch: Batch) -> View:
        """Return what the critic is shown of the data."""
