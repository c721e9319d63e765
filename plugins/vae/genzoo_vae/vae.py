"""The variational autoencoder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

import torch
from torch import Tensor
from torch.distributions import Independent, Normal

from genzoo.plugin import (
    Batch,
    Binary,
    Bounds,
    Component,
    Conditions,
    ConditionSpaces,
    Config,
    DataInfo,
    GenerativeModel,
    Label,
    LogProb,
    Real,
    Space,
    Stage,
    Unit,
    batch_size_for,
)
from genzoo_vae.condition_vectors import SPACES, num_values, vectors_of
from genzoo_vae.likelihoods import check_likelihood, independent, make_likelihood, usual
from genzoo_vae.networks import FlatDecoder, FlatEncoder, ImageDecoder, ImageEncoder

_Width = Annotated[int, Bounds(1, 2**16)]
_MOST_CODES = 20
_FEW_VALUES = 256


@dataclass(frozen=True, kw_only=True)
class VAEConfig(Config):
    """A variational autoencoder."""

    event: Space
    """The space of the data; of shape (C, H, W) for images."""
    latent_dim: Annotated[int, Bounds(1, 2**16)] = _MOST_CODES
    """The size of a code z."""
    hidden_dims: Annotated[tuple[_Width, ...], Bounds(0, 32)] = (400,)
    """The widths of the encoder's hidden layers, or the numbers of channels; the decoder mirrors
    them."""
    network: Literal["flat", "image"] = "flat"
    """Fully connected layers, or convolutions."""
    activation: Literal["relu", "tanh", "silu", "softplus"] = "relu"
    """The activation of the hidden layers."""
    likelihood: Literal["bernoulli", "gaussian", "discretized-logistic"] | None = None
    """p(x | z): for zeros and ones, real values, or grey levels; by default the one that fits the
    data."""
    conditions: ConditionSpaces = field(default_factory=dict)
    """The space of each condition."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.likelihood is None:  # The stored config names a likelihood.
            object.__setattr__(self, "likelihood", usual(self.event))
        check_likelihood(self.likelihood or "", self.event)


class VAE(GenerativeModel[VAEConfig]):
    """A variational autoencoder: p(x, z) = N(z; 0, I) p(x | z), q(z | x) = N(μ(x), diag σ²(x)).

    The decoder's outputs start from the data's mean: each has its own learned offset. Both
    networks take conditions as vectors, labels as one-hot vectors.

    Without hidden layers and with a Gaussian likelihood, it is probabilistic principal component
    analysis, whose likelihood is known in closed form.

    | Auto-Encoding Variational Bayes (Kingma, Welling, 2014)
    | Stochastic Backpropagation and Approximate Inference in Deep Generative Models
    | (Rezende, Mohamed, Wierstra, 2014)

    Arguments:
        config: Spaces, networks and likelihood.
    """

    Config = VAEConfig
    event_spaces = (Binary, Real, Unit)
    condition_spaces = SPACES
    default_num_samples = 500
    papers = (
        "Diederik P. Kingma, Max Welling. Auto-Encoding Variational Bayes. ICLR, 2014.",
        (
            "Danilo Jimenez Rezende, Shakir Mohamed, Daan Wierstra. Stochastic Backpropagation "
            "and Approximate Inference in Deep Generative Models. ICML, 2014."
        ),
        (
            "Yuri Burda, Roger Grosse, Ruslan Salakhutdinov. Importance Weighted Autoencoders. "
            "ICLR, 2016."
        ),
    )
    limits = (
        (
            "Its likelihood is a lower bound that rises with the number of draws: compare it only "
            "at equal numbers."
        ),
        (
            "Likelihoods of zeros and ones, of grey levels and of real values are different "
            "quantities and cannot be compared, also in bits per dimension."
        ),
        (
            "Given z, all values are independent, so a sample shows their noise. The mean "
            "given z, which the sampler prior returns for output = mean, is smoother but not a "
            "sample."
        ),
    )

    data_seen: Tensor

    def __init__(self, config: VAEConfig) -> None:
        super().__init__(config)
        shape, latent = self.event_shape, config.latent_dim
        conditions = num_values(config.conditions)
        encoder, decoder = (
            (ImageEncoder, ImageDecoder)
            if config.network == "image"
            else (FlatEncoder, FlatDecoder)
        )
        hidden, activation = config.hidden_dims, config.activation
        self.encoder = encoder(shape, hidden, conditions, 2 * latent, activation)
        self.decoder = decoder(latent, hidden, conditions, shape, activation)
        self.observation = make_likelihood(config.likelihood or "", config.event)
        self.register_buffer("data_seen", torch.zeros((), dtype=torch.bool))

    @classmethod
    def configure(
        cls, info: DataInfo, conditions: Sequence[str] | None = None, **overrides: Any
    ) -> Any:
        """Return a config that fits the data; for a Gaussian, levels are left out.

        A code has a number for every 20 values, at least 2 and at most 20. The fewer numbers it
        has, the better the codes of the data fill N(0, I); codes far from those of any row are
        decoded to blends of several rows. Few numbers need a decoder that bends: rows of at most
        256 values have three hidden layers of 256 units.

        Raises:
            ConfigError: The requested likelihood does not fit these data.
        """
        cls.check_event(info)
        size = info[cls.event_field].num_dims
        overrides = {"latent_dim": max(2, min(_MOST_CODES, size // 20)), **overrides}
        if size <= _FEW_VALUES and overrides.get("network") != "image":
            overrides = {"hidden_dims": (256, 256, 256), **overrides}
        if overrides.get("likelihood") == "gaussian":
            overrides = {"event": info[cls.event_field].relaxed(), **overrides}
        return super().configure(info, conditions, **overrides)

    @classmethod
    def example(cls) -> tuple[VAEConfig, Batch]:
        """Return a small conditional config, and twelve rows."""
        generator = torch.Generator().manual_seed(0)
        config = VAEConfig(
            event=Binary(shape=(1, 3, 3)),
            latent_dim=2,
            hidden_dims=(6,),
            conditions={"label": Label(num_classes=3)},
        )
        x = torch.rand(12, 1, 3, 3, generator=generator).round()
        return config, {"x": x, "label": torch.arange(12) % 3}

    @classmethod
    def default_stages(cls, config: VAEConfig) -> tuple[Stage, ...]:
        """Return the evidence lower bound with Adam."""
        return (
            Stage(
                objective=Component(name="elbo"),
                trainer={"max_steps": 10_000, "batch_size": 100, "lr_scheduler": "linear"},
            ),
        )

    @property
    def default_batch_size(self) -> int:
        """The number of codes that are decoded at once, by the decoder's widest layer."""
        return batch_size_for(self.decoder.widest)

    @classmethod
    def default_sampler(cls, config: VAEConfig) -> Component:
        """Return ancestral sampling."""
        return Component(name="prior")

    @classmethod
    def preview_sampler(cls, config: VAEConfig) -> Component:
        """Return ancestral sampling of means: values that are drawn given z hide them by noise."""
        return Component(name="prior", config={"output": "mean"})

    # Conditionals

    def moments(self, x: Tensor, y: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return the mean and the log-variance of q(z | x), (B, L) each.

        Arguments:
            x: Examples (B, *event_shape).
            y: Vectors of the conditions (B, C), if there are any.
        """
        mean, log_variance = self.encoder(x, y).chunk(2, dim=1)
        return mean, log_variance

    def outputs(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        """Return the parameters of p(x | z), (B, *event_shape), for codes (B, L)."""
        out: Tensor = self.decoder(z, y)
        return out

    def posterior(self, x: Tensor, *, condition: Any = None) -> Independent[Normal]:
        """Return q(z | x), a distribution of codes (B, L), for examples (B, *event_shape)."""
        mean, log_variance = self.moments(x, self.checked(condition, x.shape[0]))
        return independent(Normal(mean, (0.5 * log_variance).exp()), 1)

    def likelihood(self, z: Tensor, *, condition: Any = None) -> Independent[Any]:
        """Return p(x | z), a distribution of examples (B, *event_shape), for codes (B, L)."""
        outputs = self.outputs(z, self.checked(condition, z.shape[0]))
        return independent(self.observation(outputs), len(self.event_shape))

    def prior(self) -> Independent[Normal]:
        """Return p(z), a distribution of one code (L,)."""
        zeros = torch.zeros(self.config.latent_dim, device=self.device, dtype=self.dtype)
        return independent(Normal(zeros, torch.ones_like(zeros)), 1)

    @property
    def codes(self) -> Space:
        """Codes z, (L,)."""
        return Real(shape=(self.config.latent_dim,))

    def encode(self, x: Tensor, *, condition: Any = None) -> Tensor:
        """Return the mean of q(z | x), (B, L)."""
        x = self.checked_rows(x)
        return self.moments(x, self.checked(condition, x.shape[0]))[0]

    def draw_codes(
        self, x: Tensor, *, condition: Any = None, generator: torch.Generator
    ) -> Tensor:
        """Draw z ~ q(z | x), (B, L)."""
        x = self.checked_rows(x)
        mean, log_variance = self.moments(x, self.checked(condition, x.shape[0]))
        eps = torch.randn(mean.shape, generator=generator, device=mean.device, dtype=mean.dtype)
        return mean + (0.5 * log_variance).exp() * eps

    def decode(self, z: Tensor, *, condition: Any = None) -> Tensor:
        """Return the mean of p(x | z), (B, *event_shape)."""
        z = self.checked_codes(z, self.codes.event_shape)
        outputs = self.outputs(z, self.checked(condition, z.shape[0]))
        mean: Tensor = self.observation(outputs).mean
        return mean

    # Likelihood

    @property
    def log_prob_kind(self) -> Literal["lower bound"]:
        """A lower bound."""
        return "lower bound"

    def log_prob(
        self,
        x: Tensor,
        *,
        condition: Any = None,
        generator: torch.Generator | None = None,
        num_samples: int | None = None,
    ) -> LogProb:
        """Return log (1/K) Σ_k p(x, z_k) / q(z_k | x), z_k ~ q(z | x), of each example, in nats.

        It is below log p(x) in expectation and rises with K. With gradients enabled it is minus
        the loss of the objective "iwae" with K samples.

        | Importance Weighted Autoencoders (Burda, Grosse, Salakhutdinov, 2016)

        Arguments:
            x: Examples (N, *event_shape).
            condition: Rows of each condition by name, one per example or one for all.
            generator: The generator of the noise, on the model's device.
            num_samples: K; 500 by default.

        Raises:
            DataError: The examples have values to which the likelihood assigns probability 0.
        """
        from genzoo_vae.importance import estimate

        self.check_rows(x)
        num_samples = self.checked_num_samples(num_samples)
        return estimate(self, x, self.checked(condition, x.shape[0]), generator, num_samples)

    # Conditions and data

    def checked(self, condition: Any, num: int) -> Tensor | None:
        """Check conditions and return them as vectors (num, C); None if there are none.

        Raises:
            ConditionError: A condition is missing, superfluous, or not in its space.
        """
        return self.vectors(self.checked_condition(condition, num))

    def vectors(self, conditions: Conditions) -> Tensor | None:
        """Return rows of each condition as vectors (B, C) in the parameters' dtype."""
        if not conditions:
            return None
        return vectors_of(conditions, self.conditions, self.dtype)

    def needs_data_init(self) -> bool:
        """Whether the statistics of the data are still missing."""
        return not bool(self.data_seen)

    @torch.no_grad()
    def init_from_data(self, batch: Batch, info: DataInfo) -> None:
        """Initialise the decoder's outputs to the data's mean."""
        mean = info.mean["x"] if "x" in info.mean else batch["x"].mean(0)
        self.decoder.start_from(self.observation.location(mean.to(self.device, self.dtype)))
        self.data_seen.fill_(True)
