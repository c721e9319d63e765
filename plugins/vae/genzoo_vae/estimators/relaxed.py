"""Biased estimators that pass a gradient through discrete draws."""

from __future__ import annotations

import abc
import math
from dataclasses import dataclass
from typing import Annotated

from torch import Tensor

from genzoo.plugin import Bounds, Config, Step
from genzoo_vae.estimators.estimator import Estimated, Estimator, Problem, Subject, require
from genzoo_vae.estimators.expectation import Layer
from genzoo_vae.families.discrete import DiscreteFamily

_REMEDY = "For continuous latents use reparameterised."
Temperature = Annotated[float, Bounds(1e-3, 1e3)]


@dataclass(frozen=True, kw_only=True)
class RelaxedConfig(Config):
    """A relaxation of discrete draws."""

    temperature: Temperature = 1.0
    """τ at the first update, above 0: near 0 relaxed draws are nearly discrete, and their gradient
    has a small bias and a large variance."""
    final_temperature: Temperature | None = 0.5
    """τ at the last update; it falls exponentially in between. None keeps the first one."""


@dataclass(frozen=True, kw_only=True)
class StraightThroughConfig(Config):
    """The straight-through estimator has no values to choose."""


class _Relaxed(Estimator[RelaxedConfig], abc.ABC):
    """Abstract base class: F is differentiated at relaxed draws."""

    Config = RelaxedConfig
    is_unbiased = False
    is_relaxed = True

    def check(self, subject: Subject) -> None:
        """Raise CapabilityError for continuous latents."""
        require(self, subject.families, DiscreteFamily, _REMEDY)

    def estimate(self, problem: Problem) -> Estimated:
        """Return −F at relaxed draws."""
        tau = temperature_at(self.config, problem.step)

        def relaxed(layer: Layer) -> Tensor:
            g = discrete(layer).perturb(
                layer.parameters, problem.num_samples, problem.step.generator
            )
            return self.value(discrete(layer), g, tau)

        draws = problem.expectation.draw(relaxed)
        f = problem.expectation.value(draws)
        return problem.estimated(f, draws)

    @abc.abstractmethod
    def value(self, family: DiscreteFamily, g: Tensor, temperature: float) -> Tensor:
        """Return z for perturbed logits."""


class GumbelSoftmax(_Relaxed):
    """Relaxed draws: z = softmax((log p + Gumbel noise) / τ), or σ((logit + noise) / τ).

    The gradient is that of the relaxed model. Its bias for the discrete model falls to 0 with the
    temperature, while its variance grows. Log-probabilities of latents are extended linearly to
    relaxed values. So the loss is that of the relaxed model, and does not bound the likelihood
    of the discrete one; other figures of training and `log_prob` take discrete draws.

    | Categorical Reparameterization with Gumbel-Softmax (Jang, Gu, Poole, 2017)
    | The Concrete Distribution (Maddison, Mnih, Teh, 2017)
    """

    title = "gumbel-softmax"
    draws_codes = False

    def value(self, family: DiscreteFamily, g: Tensor, temperature: float) -> Tensor:
        """Return the relaxed value."""
        return family.soften(g, temperature)


class StraightThroughGumbel(_Relaxed):
    """Discrete draws with the gradient of relaxed ones: z = hard + (soft − stop(soft)).

    | Categorical Reparameterization with Gumbel-Softmax (Jang, Gu, Poole, 2017)
    """

    title = "straight-through-gumbel"

    def value(self, family: DiscreteFamily, g: Tensor, temperature: float) -> Tensor:
        """Return the hard value, with the gradient of the relaxed one."""
        return straight_through(family.harden(g), family.soften(g, temperature))


class StraightThrough(Estimator[StraightThroughConfig]):
    """Discrete draws with the gradient of their mean: z = draw + (E[z] − stop(E[z])).

    | Estimating or Propagating Gradients Through Stochastic Neurons for Conditional Computation
    | (Bengio, Léonard, Courville, 2013)
    """

    Config = StraightThroughConfig
    title = "straight-through"
    is_unbiased = False
    is_relaxed = True

    def check(self, subject: Subject) -> None:
        """Raise CapabilityError for continuous latents."""
        require(self, subject.families, DiscreteFamily, _REMEDY)

    def estimate(self, problem: Problem) -> Estimated:
        """Return −F at discrete draws."""

        def drawn(layer: Layer) -> Tensor:
            z = layer.family.draw(layer.parameters, problem.num_samples, problem.step.generator)
            return straight_through(z, layer.family.mean(layer.parameters))

        draws = problem.expectation.draw(drawn)
        f = problem.expectation.value(draws)
        return problem.estimated(f, draws)


def straight_through(z: Tensor, soft: Tensor) -> Tensor:
    """Return exactly z, with the gradient of ``soft``."""
    return z + (soft - soft.detach())


def temperature_at(config: RelaxedConfig, step: Step) -> float:
    """Return τ at a step: from the first to the last temperature, exponentially."""
    first, last = config.temperature, config.final_temperature
    if last is None:
        return first
    share = min(1.0, step.index / max(1, step.total - 1))
    return first * math.exp(share * math.log(last / first))


def discrete(layer: Layer) -> DiscreteFamily:
    """Return the family of a layer, which `Estimator.check` has found to be discrete."""
    family = layer.family
    if not isinstance(family, DiscreteFamily):
        raise TypeError(f"The family of this layer is {family.title}, which is not discrete.")
    return family
