"""The variational autoencoder with discrete latents."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import torch
from torch import Tensor, nn

from genzoo.plugin import (
    Batch,
    Binary,
    Bounds,
    CapabilityError,
    Categorical,
    Component,
    ConfigError,
    DataInfo,
    ModelSpec,
    Stage,
    make,
    trusted,
)
from genzoo_vae.autoencoder import Autoencoder, AutoencoderConfig
from genzoo_vae.condition_vectors import num_values
from genzoo_vae.families.discrete import BernoulliFamily, CategoricalFamily, DiscreteFamily

_MOST_CODES, _FEW_VALUES, _VALUES_PER_BIT = 200, 256, 4


@dataclass(frozen=True, kw_only=True)
class DiscreteVAEConfig(AutoencoderConfig):
    """A variational autoencoder with discrete latents."""

    latent_dim: Annotated[int, Bounds(1, 2**16)] = _MOST_CODES
    """The number of latents of a code z."""
    num_categories: Annotated[int, Bounds(2, 2**12)] = 2
    """The number of values of each latent; 2 are a bit."""
    prior: ModelSpec | None = None
    """A model of codes with an exact likelihood that learns along, such as made; by default
    independent latents with learned probabilities."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.prior is not None and "event" not in self.prior.config:
            fitted = self.prior.fitted(DataInfo(fields={"x": _family(self).codes}))
            object.__setattr__(self, "prior", fitted)

    @property
    def num_code_values(self) -> int:
        """The number of values of a code, as the decoder sees it."""
        return _family(self).num_values


class DiscreteVAE(Autoencoder[DiscreteVAEConfig]):
    """A variational autoencoder with bits or categories as latents: p(x, z) = p(z) p(x | z).

    q(z | x) = ∏_j q(z_j | x) has the encoder's logits. The prior is learned: independent latents
    with logits of their own, or a model of the zoo over codes, such as an autoregressive one.

    Draws of z are not differentiable, so the objective has an estimator of the gradient by the
    encoder's parameters: see `genzoo list genzoo_vae.estimators`.

    | Categorical Reparameterization with Gumbel-Softmax (Jang, Gu, Poole, 2017)
    | The Concrete Distribution (Maddison, Mnih, Teh, 2017)

    Arguments:
        config: Spaces, networks, likelihood, latents and prior.

    Raises:
        ConfigError: The prior is not a model of these codes, or has no exact likelihood.
    """

    Config = DiscreteVAEConfig
    papers = (
        (
            "Eric Jang, Shixiang Gu, Ben Poole. Categorical Reparameterization with "
            "Gumbel-Softmax. ICLR, 2017."
        ),
        (
            "Chris J. Maddison, Andriy Mnih, Yee Whye Teh. The Concrete Distribution: A "
            "Continuous Relaxation of Discrete Random Variables. ICLR, 2017."
        ),
    )
    limits = (
        (
            "Its likelihood is a lower bound that rises with the number of draws: compare it only "
            "at equal numbers."
        ),
        (
            "Given z, all values are independent, so a sample shows their noise. The mean "
            "given z, which the sampler prior returns for output = mean, is smoother but not a "
            "sample."
        ),
        "Codes are discrete: samples do not change smoothly from one code to the next.",
    )

    def __init__(self, config: DiscreteVAEConfig) -> None:
        self._families = (_family(config),)
        super().__init__(config)
        num = self._families[0].num_parameters
        self.prior_logits = nn.Parameter(torch.zeros(num)) if config.prior is None else None
        self.prior_model: Any = None
        if config.prior is not None:
            self.prior_model = _checked(config.prior, self)

    @property
    def families(self) -> tuple[DiscreteFamily]:
        """The family of the codes."""
        return self._families

    @classmethod
    def configure(
        cls, info: DataInfo, conditions: Sequence[str] | None = None, **overrides: Any
    ) -> Any:
        """Return a config that fits the data.

        Rows of at most 256 values have a bit for every four values, whose prior is a model: codes
        that no row has would be decoded to blends of several rows. Larger rows have 200 bits that
        are independent in the prior.

        Raises:
            ConfigError: The requested likelihood does not fit these data.
        """
        cls.check_event(info)
        size = info[cls.event_field].num_dims
        if size <= _FEW_VALUES and overrides.get("network") != "image":
            prior = {"prior": {"name": "made"}, "latent_dim": max(2, size // _VALUES_PER_BIT)}
            own = {"latent_dim", "num_categories", "prior"} & overrides.keys()
            overrides = {"hidden_dims": (256, 256, 256), **({} if own else prior), **overrides}
        if overrides.get("likelihood") == "gaussian":
            overrides = {"event": info[cls.event_field].relaxed(), **overrides}
        return super().configure(info, conditions, **overrides)

    @classmethod
    def example(cls) -> tuple[DiscreteVAEConfig, Batch]:
        """Return a small config with three latents of three categories, and twelve rows."""
        generator = torch.Generator().manual_seed(0)
        config = DiscreteVAEConfig(
            event=Binary(shape=(1, 3, 3)), latent_dim=3, num_categories=3, hidden_dims=(6,)
        )
        return config, {"x": torch.rand(12, 1, 3, 3, generator=generator).round()}

    @classmethod
    def default_stages(cls, config: DiscreteVAEConfig) -> tuple[Stage, ...]:
        """Return the evidence lower bound with relaxed draws.

        With a model as the prior, it is the importance-weighted bound by the score, with VIMCO's
        baseline, as the likelihood of such a model is not defined for relaxed codes.
        """
        trainer = {"max_steps": 10_000, "batch_size": 100, "lr_scheduler": "linear"}
        objective = Component(name="elbo", config={"estimator": {"name": "gumbel-softmax"}})
        if config.prior is not None:
            estimator = {"name": "score-function", "config": {"baseline": "leave-one-out"}}
            objective = Component(name="iwae", config={"num_samples": 4, "estimator": estimator})
            trainer = {**trainer, "max_steps": 6000}
        return (Stage(objective=objective, trainer=trainer),)

    @classmethod
    def default_sampler(cls, config: DiscreteVAEConfig) -> Component:
        """Return ancestral sampling."""
        return Component(name="prior")

    @classmethod
    def preview_sampler(cls, config: DiscreteVAEConfig) -> Component:
        """Return ancestral sampling of means: values that are drawn given z hide them by noise."""
        return Component(name="prior", config={"output": "mean"})

    # Conditionals

    @property
    def takes_relaxed(self) -> bool:
        """Not with a model as the prior, whose likelihood is that of codes only."""
        return self.config.prior is None

    @property
    def has_independent_prior(self) -> bool:
        """Not with a model as the prior."""
        return self.config.prior is None

    @property
    def has_closed_kl(self) -> bool:
        """Whether the prior's latents are independent."""
        return self.prior_model is None

    def prior_parameters(self, level: int, above: Tensor | None, y: Tensor | None) -> Tensor:
        """Return the logits of the prior, (1, 1, P).

        Raises:
            CapabilityError: The prior is a model, which has no logits of independent latents.
        """
        if self.prior_logits is None:
            raise CapabilityError(
                "The prior of this discrete-vae is a model, so its latents are not independent."
            )
        return self.prior_logits[None, None]

    def kl(self, parameters: Tensor, y: Tensor | None) -> Tensor:
        """Return KL(q(z_j) ‖ p(z_j)), (K or 1, B, D)."""
        return self.families[0].kl(parameters, self.prior_parameters(0, None, y))

    def log_prior(self, z: Sequence[Tensor], y: Tensor | None) -> Tensor:
        """Return log p(z), (K, B)."""
        if self.prior_model is None:
            return super().log_prior(z, y)
        codes = self.families[0].to_codes(z[0])
        with trusted():
            values: Tensor = self.prior_model.log_prob(codes.flatten(0, 1)).values
        return values.to(self.device, self.dtype).view(codes.shape[:2])

    def draw_top(self, num: int, y: Tensor | None, generator: torch.Generator) -> Tensor:
        """Draw z from the prior, (num, *shape)."""
        family = self.families[0]
        if self.prior_logits is not None:
            return family.draw(self.prior_logits.expand(1, num, -1), 1, generator)[0]
        model = self.prior_model
        sampler = make("samplers", type(model).default_sampler(model.config))
        states = sampler.trajectory(model, num, generator=generator)
        (last,) = deque(states, maxlen=1)
        return family.from_codes(model.to_data(last)).to(self.dtype)

    # Codes

    @torch.no_grad()
    def filters(self) -> Tensor:
        """Return how much each value of each latent changes the mean of x, (F, *event_shape).

        That is E[x | z_j = c] − E[x] with the other latents at the mean of the prior, or of equal
        probabilities if the prior is a model. A bit has one filter, for 1 in the place of 0.

        Raises:
            CapabilityError: The decoder is a model, whose mean has no closed form, or x are
                categories, which have no mean.
        """
        if isinstance(self.event, Categorical):
            raise CapabilityError(
                "Filters are differences of means of x, which categories do not have. Use --view "
                "codes or interpolation."
            )
        if self.config.decoder is not None:
            raise CapabilityError(
                f"Filters are differences of means of x given z, which the decoder "
                f"{self.config.decoder.name} does not have. Use --view codes or interpolation."
            )
        family, logits = self.families[0], self.prior_logits
        usual = torch.zeros(family.num_parameters, device=self.device, dtype=self.dtype)
        mean = family.mean(usual if logits is None else logits)
        y = torch.zeros(1, num_values(self.conditions), device=self.device, dtype=self.dtype)
        values = torch.stack([*family.with_each(mean), mean])
        x = self.mean_below(values, y.expand(len(values), -1) if y.numel() else None)
        if isinstance(family, BernoulliFamily):
            return x[:-1:2] - x[1:-1:2]
        return x[:-1] - x[-1:]

    def encode(self, x: Tensor, *, condition: Any = None) -> Tensor:
        """Return the probabilities of bits, or the most likely categories, (B, D)."""
        family, parameters = self.families[0], self.inferred(x, condition=condition)
        mean = family.mean(parameters)
        return mean if isinstance(family, BernoulliFamily) else family.to_codes(mean)


def _family(config: DiscreteVAEConfig) -> DiscreteFamily:
    if config.num_categories == 2:
        return BernoulliFamily(config.latent_dim)
    return CategoricalFamily(config.latent_dim, config.num_categories)


def _checked(spec: ModelSpec, model: DiscreteVAE) -> Any:
    """Return the model of a prior.

    Raises:
        ConfigError: It does not have an exact likelihood, or is not of these codes.
    """
    prior: Any = spec.build()
    if prior.log_prob_kind != "exact":
        raise ConfigError(
            f"The prior of discrete-vae needs an exact likelihood, which {spec.name} does not "
            "have. Use an autoregressive model, such as made."
        )
    if prior.conditions or prior.event != model.codes:
        raise ConfigError(
            f"The prior {spec.name} is a model of {prior.event.describe()}; the codes are "
            f"{model.codes.describe()}. Leave out its event and conditions."
        )
    return prior
