"""Posteriors that are computed, not optimised: recognition networks, and the prior."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from genzoo.plugin import Config, ConfigError, Step
from genzoo_vae.latents import LatentModel
from genzoo_vae.posteriors.posterior import Posterior
from genzoo_vae.posteriors.proposal import FromPrior, Proposal, Recognised, Rows


@dataclass(frozen=True, kw_only=True)
class ComputedConfig(Config):
    """A posterior without values to choose."""


class Amortised(Posterior[ComputedConfig]):
    """Recognition networks, q_φ(z_1 | x) q_φ(z_2 | z_1) …: one pass for any example.

    | The Helmholtz Machine (Dayan, Hinton, Neal, Zemel, 1995)
    """

    Config = ComputedConfig
    title = "amortised"
    is_recognised = True

    def proposal(self, model: LatentModel[Any], rows: Rows, step: Step) -> Proposal:
        """Return what the recognition networks say."""
        return Recognised(model, rows)


class FromThePrior(Posterior[ComputedConfig]):
    """q = p(z | y), for structured prediction: the condition y decides the latents.

    The bound is then log (1/K) Σ p(x | z_k) with z_k ~ p(z | y), and x is not looked at.

    | Techniques for Learning Binary Stochastic Feedforward Neural Networks
    | (Raiko, Berglund, Alain, Dinh, 2015)
    """

    Config = ComputedConfig
    title = "prior"
    is_recognised = False

    def check(self, model: LatentModel[Any]) -> None:
        """Raise ConfigError without a condition, and for latents that depend on each other."""
        if not model.conditions:
            raise ConfigError(
                "The posterior prior draws latents without looking at x, so the model needs a "
                "condition that decides them. Give --model.conditions, or posterior='amortised'."
            )
        if not model.has_independent_prior:
            raise ConfigError(
                "The posterior prior draws the latents of a layer independently, and those of "
                f"this {type(model).__name__} depend on each other in p(z). Use independent "
                "latents (no autoregressive layers, no model as the prior), or "
                "posterior='amortised'."
            )

    def proposal(self, model: LatentModel[Any], rows: Rows, step: Step) -> Proposal:
        """Return the prior."""
        return FromPrior(model, rows)
