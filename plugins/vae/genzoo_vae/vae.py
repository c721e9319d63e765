"""The variational autoencoder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor
from torch.distributions import Independent

from genzoo.plugin import Batch, Binary, Component, DataInfo, Label, Stage
from genzoo_vae.autoencoder import Autoencoder, AutoencoderConfig
from genzoo_vae.families.continuous import CONTINUOUS, ContinuousFamily
from genzoo_vae.likelihoods import independent
from genzoo_vae.posteriors.proposal import Rows

_MOST_CODES = 20
_FEW_VALUES = 256


@dataclass(frozen=True, kw_only=True)
class VAEConfig(AutoencoderConfig):
    """A variational autoencoder."""

    latent: Literal["normal", "laplace", "log-normal", "exponential", "gamma"] = "normal"
    """The family of q(z | x); the prior is its standard member, such as N(0, I)."""


class VAE(Autoencoder[VAEConfig]):
    """A variational autoencoder: p(x, z) = N(z; 0, I) p(x | z), q(z | x) = N(μ(x), diag σ²(x)).

    Other families of latents have their standard member as the prior: Laplace, log-normal,
    exponential and gamma, all with independent latents.

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

    def __init__(self, config: VAEConfig) -> None:
        self._families = (CONTINUOUS[config.latent](config.latent_dim),)
        super().__init__(config)

    @property
    def families(self) -> tuple[ContinuousFamily]:
        """The family of the codes."""
        return self._families

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
        """Return both halves of q's parameters, (B, L) each: for a normal μ and log σ².

        Arguments:
            x: Examples (B, *event_shape).
            y: Vectors of the conditions (B, C), if there are any.
        """
        first, second = self.recognise(0, Rows(x, y), ())[0].chunk(2, dim=1)
        return first, second

    def posterior(self, x: Tensor, *, condition: Any = None) -> Independent[Any]:
        """Return q(z | x), a distribution of codes (B, L), for examples (B, *event_shape)."""
        parameters = self.inferred(x, condition=condition)
        return independent(self.families[0].distribution(parameters), 1)

    def prior(self) -> Independent[Any]:
        """Return p(z), a distribution of one code (L,)."""
        return independent(self.families[0].distribution(self._standard()), 1)

    def prior_parameters(self, level: int, above: Tensor | None, y: Tensor | None) -> Tensor:
        """Return the parameters of the standard member, (1, 1, P)."""
        return self._standard()[None, None]

    @property
    def has_closed_kl(self) -> bool:
        """True."""
        return True

    def kl(self, parameters: Tensor, y: Tensor | None) -> Tensor:
        """Return KL(q(z_j) ‖ p(z_j)), (K or 1, B, L)."""
        return self.families[0].kl(parameters)

    def draw_top(self, num: int, y: Tensor | None, generator: torch.Generator) -> Tensor:
        """Draw z from the standard member of the family, (num, L)."""
        parameters = self._standard().expand(1, num, -1)
        return self.families[0].draw(parameters, 1, generator)[0]

    def encode(self, x: Tensor, *, condition: Any = None) -> Tensor:
        """Return the mean of q(z | x), (B, L)."""
        return self.families[0].mean(self.inferred(x, condition=condition))

    def _standard(self) -> Tensor:
        return torch.zeros(self.families[0].num_parameters, device=self.device, dtype=self.dtype)
