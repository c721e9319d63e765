"""Autoencoder: one layer of latents, between an encoder and a decoder."""

from __future__ import annotations

import abc
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, TypeVar

import torch
from torch import Tensor, nn
from torch.distributions import Independent

from genzoo.plugin import (
    Batch,
    Binary,
    Bounds,
    Categorical,
    Component,
    ConditionSpaces,
    Config,
    DataInfo,
    Group,
    ModelSpec,
    Real,
    Space,
    Unit,
    batch_size_for,
)
from genzoo_vae.condition_vectors import SPACES, num_values
from genzoo_vae.families.family import Family
from genzoo_vae.latents import LatentModel
from genzoo_vae.likelihoods import (
    Likelihood,
    check_likelihood,
    independent,
    make_likelihood,
    usual,
)
from genzoo_vae.nested_likelihood import Codes, NestedLikelihood, fitted
from genzoo_vae.network_values import network_shape, network_values
from genzoo_vae.networks import FlatDecoder, FlatEncoder, ImageDecoder, ImageEncoder
from genzoo_vae.posteriors.posterior import GROUP, amortised
from genzoo_vae.posteriors.proposal import Rows

Width = Annotated[int, Bounds(1, 2**16)]


@dataclass(frozen=True, kw_only=True)
class AutoencoderConfig(Config):
    """An encoder and a decoder."""

    event: Space
    """The space of the data; of shape (C, H, W) for images."""
    latent_dim: Width = 20
    """The size of a code z."""
    hidden_dims: Annotated[tuple[Width, ...], Bounds(0, 32)] = (400,)
    """The widths of the encoder's hidden layers, or the numbers of channels; the decoder mirrors
    them."""
    network: Literal["flat", "image"] = "flat"
    """Fully connected layers, or convolutions."""
    activation: Literal["relu", "tanh", "silu", "softplus"] = "relu"
    """The activation of the hidden layers."""
    likelihood: Literal["bernoulli", "categorical", "gaussian", "discretized-logistic"] | None = (
        None
    )
    """p(x | z): for zeros and ones, categories, real values, or grey levels; by default the one
    that fits the data."""
    posterior: Annotated[Component, Group(GROUP)] = field(default_factory=amortised)
    """How q(z | x) is found: by the encoder, by optimisation for each example, or by both."""
    decoder: ModelSpec | None = None
    """A model with an exact likelihood as p(x | z), such as pixelcnn, in the place of the decoder
    that mirrors the encoder."""
    conditions: ConditionSpaces = field(default_factory=dict)
    """The space of each condition."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.likelihood is None:  # The stored config names a likelihood.
            object.__setattr__(self, "likelihood", usual(self.event))
        check_likelihood(self.likelihood or "", self.event)
        if self.decoder is not None:
            size = self.num_code_values + num_values(self.conditions)
            object.__setattr__(self, "decoder", fitted(self.decoder, self.event, size))

    @property
    def num_code_values(self) -> int:
        """The number of values of a code, as the decoder sees it."""
        return self.latent_dim


C = TypeVar("C", bound=AutoencoderConfig)


class Autoencoder(LatentModel[C]):
    """Abstract base class: p(x, z) = p(z) p(x | z), with one layer of latents.

    The decoder's outputs start from the data's mean: each has its own learned offset. Both
    networks take conditions as vectors, labels as one-hot vectors. Categories of x are one-hot
    codes for the encoder, and logits of the decoder.

    Arguments:
        config: Spaces, networks and likelihood.

    Attributes:
        encoder: The network from x to the parameters of q(z | x); None if it is not used.
        decoder: The network from z to the parameters of p(x | z).
        observation: The family of p(x | z).
    """

    event_spaces = (Binary, Categorical, Real, Unit)
    condition_spaces = SPACES
    data_seen: Tensor

    def __init__(self, config: C) -> None:
        super().__init__(config)
        shape, family = network_shape(config.event), self.families[0]
        conditions = num_values(config.conditions)
        encoder, decoder = (
            (ImageEncoder, ImageDecoder)
            if config.network == "image"
            else (FlatEncoder, FlatDecoder)
        )
        hidden, activation = config.hidden_dims, config.activation
        self.encoder = (
            encoder(shape, hidden, conditions, family.num_parameters, activation)
            if self.inference.is_recognised
            else None
        )
        self.decoder: nn.Module
        self.observation: Likelihood
        if config.decoder is None:
            self.decoder = decoder(family.num_values, hidden, conditions, shape, activation)
            self.observation = make_likelihood(config.likelihood or "", config.event)
        else:
            size = family.num_values + conditions
            self.decoder = Codes(size)
            self.observation = NestedLikelihood(config.decoder, config.event, size)
        self.register_buffer("data_seen", torch.zeros((), dtype=torch.bool))
        self.inference.check(self)

    @property
    def default_batch_size(self) -> int:
        """The number of codes that are decoded at once, by the decoder's widest layer."""
        if isinstance(self.observation, NestedLikelihood):
            return int(self.observation.model.default_batch_size)
        widest: Any = self.decoder.widest
        return batch_size_for(widest)

    @property
    @abc.abstractmethod
    def families(self) -> tuple[Family]:
        """The distribution of the codes."""

    @property
    def is_mass(self) -> bool:
        """Whether the likelihood is that of discrete data."""
        if isinstance(self.observation, NestedLikelihood):
            return self.event.is_discrete
        return self.observation.discrete

    # Conditionals

    def outputs(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        """Return the parameters of p(x | z), (B, *event_shape), for codes (B, *shape).

        Those of categories have K channels for each of the event. With a model as the decoder,
        they are the codes themselves.
        """
        out: Tensor = self.decoder(z.flatten(1), y)
        return out

    def log_likelihood(self, rows: Rows, z: Tensor) -> Tensor:
        """Return log p(x | z), (K, B), for codes (K, B, *shape)."""
        num, size = z.shape[:2]
        y = None if rows.y is None else rows.y.expand(num, *rows.y.shape).flatten(0, 1)
        outputs = self.outputs(z.flatten(0, 1), y)
        return self.observation.log_prob(outputs.view(num, size, *outputs.shape[1:]), rows.x)

    def recognise(self, level: int, rows: Rows, below: Sequence[Tensor]) -> Tensor:
        """Return the parameters of q(z | x), (1, B, P)."""
        if self.encoder is None:
            raise TypeError(f"The posterior {self.inference.title} has no recognition network.")
        return self.posterior_parameters(rows.x, rows.y)[None]

    def posterior_parameters(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """Return the parameters of q(z | x), (B, P), from the encoder.

        A subclass with a network of its own overrides this.

        Arguments:
            x: Examples (B, *event_shape).
            y: Vectors of the conditions (B, C), if there are any.
        """
        encoder: Any = self.encoder
        found: Tensor = encoder(network_values(self.event, x, self.dtype), y)
        return found

    def recognition_parameters(self) -> list[nn.Parameter]:
        """Return the parameters of the encoder."""
        return [] if self.encoder is None else list(self.encoder.parameters())

    def draw_below(
        self, z: Tensor, y: Tensor | None, generator: torch.Generator
    ) -> tuple[Tensor, ...]:
        """Draw x given codes, and return it with them."""
        return self.observation.draw(self.outputs(z, y), generator), z

    def mean_below(self, z: Tensor, y: Tensor | None) -> Tensor:
        """Return the mean of p(x | z); of categories the most probable ones."""
        return self.observation.mean(self.outputs(z, y))

    def likelihood(self, z: Tensor, *, condition: Any = None) -> Independent[Any]:
        """Return p(x | z), a distribution of examples (B, *event_shape), for codes (B, *shape)."""
        outputs = self.outputs(z, self.checked(condition, z.shape[0]))
        return independent(self.observation(outputs), len(self.event_shape))

    # Data

    def needs_data_init(self) -> bool:
        """Whether the statistics of the data are still missing."""
        return not bool(self.data_seen)

    @torch.no_grad()
    def init_from_data(self, batch: Batch, info: DataInfo) -> None:
        """Initialise the decoder's outputs to the data's mean, or to frequencies of categories."""
        if isinstance(self.observation, NestedLikelihood):
            self.observation.start_from(batch, info)
        elif isinstance(self.decoder, (FlatDecoder, ImageDecoder)):
            mean = self.observation.mean_of(batch["x"], info)
            location = self.observation.location(mean.to(self.device, self.dtype))
            self.decoder.start_from(location)
        self.data_seen.fill_(True)
