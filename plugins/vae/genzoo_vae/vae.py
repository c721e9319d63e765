"""The variational autoencoder."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.distributions import Independent, Normal

from genzoo import (
    Batch,
    Bounds,
    Component,
    Config,
    ConfigError,
    DataError,
    DataSpec,
    GenerativeModel,
    LogProb,
    Stage,
    Values,
    batch_size_for,
)
from genzoo.log_prob import checked_draws
from genzoo_vae.likelihoods import independent, make_likelihood
from genzoo_vae.networks import FlatDecoder, FlatEncoder, ImageDecoder, ImageEncoder

_Width = Annotated[int, Bounds(1, 2**16)]
_OF_KIND = {"binary": "bernoulli", "unit": "gaussian", "real": "gaussian"}


@dataclass(frozen=True, kw_only=True)
class VAEConfig(Config):
    """A variational autoencoder."""

    event_shape: Annotated[tuple[Annotated[int, Bounds(1, 2**20)], ...], Bounds(1, 8)]
    """The shape of one example; (C, H, W) for images."""
    latent_dim: Annotated[int, Bounds(1, 2**16)] = 20
    """The size of a code z."""
    hidden_dims: Annotated[tuple[_Width, ...], Bounds(0, 32)] = (400,)
    """The widths of the encoder's hidden layers, or their channels; the decoder mirrors them."""
    network: Literal["flat", "image"] = "flat"
    """Fully connected layers, or convolutions."""
    activation: Literal["relu", "tanh", "silu", "softplus"] = "relu"
    """The activation of the hidden layers."""
    likelihood: Literal["bernoulli", "gaussian", "discretized-logistic"] | None = None
    """p(x | z): of zeros and ones, of real values, of grey levels; the data's own by default."""
    levels: Annotated[int | None, Bounds(2, 2**16)] = None
    """How many grey levels there are, of which discretized-logistic is a distribution."""
    condition: Literal["none", "label"] = "none"
    """What the model is conditioned on."""
    num_classes: Annotated[int | None, Bounds(1, 2**20)] = None
    """The number of labels, where it is conditioned on them."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.likelihood is None:  # No data have a say: what is stored names a likelihood.
            object.__setattr__(self, "likelihood", "bernoulli")
        if self.condition == "label" and self.num_classes is None:
            raise ConfigError("VAEConfig: condition='label' needs num_classes.")
        if self.likelihood == "discretized-logistic" and self.levels is None:
            raise ConfigError(
                "VAEConfig: likelihood='discretized-logistic' needs levels, such as 256 for bytes."
            )


class VAE(GenerativeModel):
    """A variational autoencoder: p(x, z) = N(z; 0, I) p(x | z), q(z | x) = N(μ(x), diag σ²(x)).

    The decoder's outputs start from the data's mean: each has an offset of its own, learned. Given
    labels, both networks see them as one-hot vectors.

    With no hidden layers and a Gaussian likelihood it is probabilistic principal component
    analysis, whose likelihood is known in closed form.

    | Auto-Encoding Variational Bayes (Kingma, Welling, 2014)
    | Stochastic Backpropagation and Approximate Inference in Deep Generative Models
    | (Rezende, Mohamed, Wierstra, 2014)

    Arguments:
        config: Shapes, networks and likelihood.
    """

    Config = VAEConfig
    kind = frozenset({"binary", "unit", "real"})
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
            "Its likelihood is a lower bound that rises with the number of draws: compare it at "
            "the same number alone."
        ),
        (
            "Likelihoods of zeros and ones, of grey levels and of real values are different "
            "questions, and cannot be compared, in bits per dimension either."
        ),
        (
            "Given z all values are independent, so that a sample shows their noise. The mean "
            "given z, which the sampler prior gives for output = mean, is smoother, and is no "
            "sample."
        ),
    )

    data_seen: Tensor

    def __init__(self, config: VAEConfig) -> None:
        super().__init__(config)
        shape, latent = config.event_shape, config.latent_dim
        labels = config.num_classes or 0 if config.condition == "label" else 0
        encoder, decoder = (
            (ImageEncoder, ImageDecoder)
            if config.network == "image"
            else (FlatEncoder, FlatDecoder)
        )
        hidden, activation = config.hidden_dims, config.activation
        self.encoder = encoder(shape, hidden, labels, 2 * latent, activation)
        self.decoder = decoder(latent, hidden, labels, shape, activation)
        self.observation = make_likelihood(config.likelihood or "bernoulli", config.levels)
        self.register_buffer("data_seen", torch.zeros((), dtype=torch.bool))

    @property
    def condition_kind(self) -> str:
        """What the model is conditioned on."""
        return str(self.config.condition)

    @property
    def event_values(self) -> Values:
        """What a row holds: what the likelihood is a likelihood of."""
        return Values.widest(self.observation.kinds, self.event_shape, self.config.levels)

    @classmethod
    def configure(cls, spec: DataSpec, **overrides: Any) -> Any:
        """Return a config that fits the data: grey levels, real values, or zeros and ones."""
        likelihood = _OF_KIND.get(spec.kind, "gaussian")
        if spec.kind == "unit" and (spec.levels or overrides.get("levels")):
            likelihood = "discretized-logistic"
        values = {"likelihood": likelihood, **overrides}
        return super().configure(spec, **values)

    @classmethod
    def example(cls) -> tuple[VAEConfig, Batch]:
        """Return a small conditional one, and twelve rows for it."""
        generator = torch.Generator().manual_seed(0)
        config = VAEConfig(
            event_shape=(1, 3, 3),
            latent_dim=2,
            hidden_dims=(6,),
            condition="label",
            num_classes=3,
        )
        x = torch.rand(12, 1, 3, 3, generator=generator).round()
        return config, {"x": x, "label": torch.arange(12) % 3}

    @classmethod
    def default_stages(cls, config: VAEConfig) -> tuple[Stage, ...]:
        """Return the evidence lower bound, by Adam."""
        return (
            Stage(
                objective=Component(name="elbo"),
                trainer={"steps": 10_000, "batch_size": 100, "schedule": "linear"},
            ),
        )

    @property
    def default_batch_size(self) -> int:
        """How many codes are decoded at once, by the decoder's widest layer."""
        return batch_size_for(self.decoder.widest)

    @classmethod
    def default_sampler(cls, config: VAEConfig) -> Component:
        """Return ancestral sampling."""
        return Component(name="prior")

    def check_data(self, spec: DataSpec) -> None:
        """Raise DataError where the data are not what the likelihood is a likelihood of."""
        super().check_data(spec)
        if spec.kind not in self.observation.kinds:
            fitting = _OF_KIND[spec.kind]
            remedy = "Make" if spec.kind == "binary" else "Binarise them, or make"
            raise DataError(
                f"The likelihood {self.config.likelihood!r} is for "
                f"{' or '.join(sorted(self.observation.kinds))} data; these are {spec.kind}. "
                f"{remedy} the model with likelihood={fitting!r}."
            )
        levels = self.config.levels
        discrete = self.config.likelihood == "discretized-logistic"
        if discrete and spec.levels is not None and levels != spec.levels:
            raise DataError(f"The model has {levels} grey levels; these data have {spec.levels}.")

    # Conditionals

    def moments(self, x: Tensor, y: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return the mean and the log-variance of q(z | x), (B, L) each.

        Arguments:
            x: Examples (B, *event_shape).
            y: One-hot labels (B, C), where the model is conditioned.
        """
        mean, log_variance = self.encoder(x, y).chunk(2, dim=1)
        return mean, log_variance

    def outputs(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        """Return the parameters of p(x | z), (B, *event_shape), for codes (B, L)."""
        out: Tensor = self.decoder(z, y)
        return out

    def posterior(self, x: Tensor, *, condition: Any = None) -> Independent[Normal]:
        """Return q(z | x), a distribution of codes (B, L), for examples (B, *event_shape)."""
        mean, log_variance = self.moments(x, self.checked(condition, len(x)))
        return independent(Normal(mean, (0.5 * log_variance).exp()), 1)

    def likelihood(self, z: Tensor, *, condition: Any = None) -> Independent[Any]:
        """Return p(x | z), a distribution of examples (B, *event_shape), for codes (B, L)."""
        outputs = self.outputs(z, self.checked(condition, len(z)))
        return independent(self.observation(outputs), len(self.event_shape))

    def prior(self) -> Independent[Normal]:
        """Return p(z), a distribution of one code (L,)."""
        zeros = torch.zeros(self.config.latent_dim, device=self.device, dtype=self.dtype)
        return independent(Normal(zeros, torch.ones_like(zeros)), 1)

    def encode(self, x: Tensor, *, condition: Any = None) -> Tensor:
        """Return the mean of q(z | x), (B, L)."""
        x = self.checked_rows(x)
        return self.moments(x, self.checked(condition, len(x)))[0]

    def decode(self, z: Tensor, *, condition: Any = None) -> Tensor:
        """Return the mean of p(x | z), (B, *event_shape)."""
        z = self.checked_codes(z, (self.config.latent_dim,))
        outputs = self.outputs(z, self.checked(condition, len(z)))
        mean: Tensor = self.observation(outputs).mean
        return mean

    # Likelihood

    def log_prob(
        self,
        x: Tensor,
        *,
        condition: Any = None,
        generator: torch.Generator | None = None,
        num_samples: int | None = None,
    ) -> LogProb:
        """Return log (1/K) Σ_k p(x, z_k) / q(z_k | x), z_k ~ q(z | x), of each example, in nats.

        In expectation that is below log p(x), and it rises with K. With gradients enabled it is
        minus the loss of the objective "iwae" with K samples.

        | Importance Weighted Autoencoders (Burda, Grosse, Salakhutdinov, 2016)

        Arguments:
            x: Examples (N, *event_shape).
            condition: One label for each of them, where the model is conditioned.
            generator: Where the noise comes from, on the model's device.
            num_samples: K; 500 by default.

        Raises:
            DataError: The examples hold values that the likelihood has no probability for.
        """
        from genzoo_vae.importance import estimate

        self.check_rows(x)
        num_samples = checked_draws(num_samples, self.default_num_samples)
        return estimate(self, x, self.checked(condition, len(x)), generator, num_samples)

    # Conditions and data

    def checked(self, condition: Any, num: int) -> Tensor | None:
        """Return labels as one-hot vectors (num, C), after a look at them; None where none are.

        Raises:
            ConditionError: A label is missing, superfluous, or out of range.
        """
        labels = self.checked_condition(condition, num)
        return None if labels is None else self.one_hot(labels)

    def one_hot(self, labels: Tensor) -> Tensor:
        """Return labels (B,) as one-hot vectors (B, C) of the parameters' type."""
        return F.one_hot(labels.long(), self.config.num_classes).to(self.dtype)

    def needs_data_init(self) -> bool:
        """Whether no data have been seen yet."""
        return not bool(self.data_seen)

    @torch.no_grad()
    def init_from_data(self, batch: Batch, spec: DataSpec) -> None:
        """Let the decoder start from the data's mean."""
        mean = batch["x"].mean(0) if spec.mean is None else spec.mean
        self.decoder.start_from(self.observation.location(mean.to(self.device, self.dtype)))
        self.data_seen.fill_(True)
