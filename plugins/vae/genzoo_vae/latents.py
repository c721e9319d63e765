"""LatentModel: a model of examples with layers of latents."""

from __future__ import annotations

import abc
from collections.abc import Callable, Sequence
from typing import Any, Literal, TypeVar

import torch
from torch import Tensor, nn

from genzoo.plugin import (
    CapabilityError,
    Conditions,
    Config,
    DataError,
    GenerativeModel,
    LogProb,
    Space,
    Step,
    make,
)
from genzoo_vae import importance
from genzoo_vae.condition_vectors import vectors_of
from genzoo_vae.estimators.estimator import Estimator
from genzoo_vae.estimators.expectation import Draws, Expectation, Layer
from genzoo_vae.families.family import Family
from genzoo_vae.network_values import network_values
from genzoo_vae.posteriors.posterior import GROUP, Posterior
from genzoo_vae.posteriors.proposal import Proposal, Rows

C = TypeVar("C", bound=Config)
AT_THE_END = 10**9
"""The index of a step after training, at which temperatures are at their last value."""


class LatentModel(GenerativeModel[C]):
    """Abstract base class: p(x, z_1, …, z_L) = p(x | z_1) p(z_1 | z_2) … p(z_L), and a posterior.

    Level 0 is z_1, next to x. Values of a level have the shape (K, B, *shape of its family): K
    draws for each of B rows.

    Arguments:
        config: A config with a field ``posterior``, a component of ``genzoo_vae.posteriors``.

    Attributes:
        inference: The posterior that the config names.
    """

    default_num_samples = 500

    def __init__(self, config: C) -> None:
        super().__init__(config)
        given: Any = config
        self.inference: Posterior[Any] = make(GROUP, given.posterior)

    # What a member defines

    @property
    @abc.abstractmethod
    def families(self) -> tuple[Family, ...]:
        """The distributions of the layers, from the one next to x to the top."""

    @property
    @abc.abstractmethod
    def is_mass(self) -> bool:
        """Whether p(x) is a probability, not a density."""

    @property
    def takes_relaxed(self) -> bool:
        """Whether log p(x, z) is defined for relaxed values of discrete z; True by default."""
        return True

    @property
    def has_independent_prior(self) -> bool:
        """Whether `prior_parameters` decide each layer of p(z), given the one above it.

        True by default; not with units that depend on others of their layer.
        """
        return True

    @abc.abstractmethod
    def log_likelihood(self, rows: Rows, z: Tensor) -> Tensor:
        """Return log p(x | z_1), (K, B), for values z_1 (K, B, *shape)."""

    @abc.abstractmethod
    def prior_parameters(self, level: int, above: Tensor | None, y: Tensor | None) -> Tensor:
        """Return the parameters of p(z_l | z_{l+1}), (K or 1, B or 1, P).

        Arguments:
            level: The level; without a level above it, the parameters are those of p(z_L).
            above: The values of the level above, (K, B, *shape); None for the top.
            y: Vectors of the conditions, (B, C), if there are any.
        """

    @abc.abstractmethod
    def recognise(self, level: int, rows: Rows, below: Sequence[Tensor]) -> Tensor:
        """Return the parameters of q(z_l | z_{l−1}, x), (K or 1, B, P).

        Arguments:
            level: The level.
            rows: The rows.
            below: The values of the levels below, (K, B, *shape) each.
        """

    @property
    @abc.abstractmethod
    def has_closed_kl(self) -> bool:
        """Whether the KL divergence of a factorised q from p(z) has a closed form."""

    @abc.abstractmethod
    def kl(self, parameters: Tensor, y: Tensor | None) -> Tensor:
        """Return KL(q(z_j) ‖ p(z_j)) of each latent, (K or 1, B, D), if `has_closed_kl`."""

    @abc.abstractmethod
    def recognition_parameters(self) -> list[nn.Parameter]:
        """Return the parameters of the recognition networks."""

    @abc.abstractmethod
    def draw_top(self, num: int, y: Tensor | None, generator: torch.Generator) -> Tensor:
        """Draw the top layer from the prior, (num, *shape)."""

    @abc.abstractmethod
    def draw_below(
        self, z: Tensor, y: Tensor | None, generator: torch.Generator
    ) -> tuple[Tensor, ...]:
        """Draw what is below the top layer: x (B, *event_shape), then the layers from z_1 up.

        Arguments:
            z: Values of the top layer, (B, *shape), which are the last of the result.
            y: Vectors of the conditions, (B, C), if there are any.
            generator: The generator.
        """

    @abc.abstractmethod
    def mean_below(self, z: Tensor, y: Tensor | None) -> Tensor:
        """Return the mean of x, (B, *event_shape), with means of the layers between.

        Arguments:
            z: Values of the top layer, (B, *shape).
            y: Vectors of the conditions, (B, C), if there are any.
        """

    def log_prior(self, z: Sequence[Tensor], y: Tensor | None) -> Tensor:
        """Return log p(z) = Σ_l log p(z_l | z_{l+1}), (K, B)."""
        above: Sequence[Tensor | None] = [*z[1:], None]
        pairs = enumerate(zip(self.families, z, above, strict=True))
        first, *rest = (
            family.log_prob(self.prior_parameters(level, up, y), value)
            for level, (family, value, up) in pairs
        )
        return sum(rest, start=first)

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

        It is below log p(x) in expectation and rises with K.

        | Importance Weighted Autoencoders (Burda, Grosse, Salakhutdinov, 2016)

        Arguments:
            x: Examples (N, *event_shape).
            condition: Rows of each condition by name, one per example or one for all.
            generator: The generator of the noise, on the model's device.
            num_samples: K; 500 by default.

        Raises:
            DataError: The examples have values to which the likelihood assigns probability 0.
        """
        self.check_rows(x)
        num_samples = self.checked_num_samples(num_samples)
        y = self.checked(condition, x.shape[0])
        return importance.estimate(self, x, y, generator, num_samples)

    def weigher(self, rows: Rows, generator: torch.Generator) -> importance.Weigher:
        """Return a function from K to log w, (K, B): log p(x, z) − log q(z | x) at K draws."""
        proposal = self.inference.proposal(self, rows, evaluation_step(generator))
        problem = Integrand(self, rows, proposal)

        def log_weights(num: int) -> Tensor:
            draws = problem.drawn(num, generator)
            size = importance.draws_at_once(self, len(rows.x), num)
            parts = (draws.part(first, first + size) for first in range(0, num, size))
            return torch.cat([problem.value(part) for part in parts])

        return log_weights

    # Conditions

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

    # Codes

    @property
    def codes(self) -> Space:
        """The space of the values of the top layer."""
        return self.families[-1].codes

    def inferred(self, x: Tensor, *, condition: Any = None) -> Tensor:
        """Return the parameters of q of the top layer, (B, P), with means of the layers below.

        For one layer, q(z | x) has exactly these parameters.
        """
        x = self.checked_rows(x)
        rows = Rows(x, self.checked(condition, x.shape[0]))
        # A fixed seed: an optimised posterior starts at a random point.
        generator = torch.Generator(device=self.device).manual_seed(0)
        proposal = self.inference.proposal(self, rows, evaluation_step(generator))
        draws = Integrand(self, rows, proposal).draw(
            lambda layer: layer.family.mean(layer.parameters)
        )
        top = proposal.order.index(len(self.families) - 1)
        return draws.layers[top].parameters[0].expand(x.shape[0], -1)

    def values_of(self, codes: Tensor) -> Tensor:
        """Check codes, and return them as values of the top layer, (B, *shape).

        Raises:
            DataError: They have another shape, or values that the family does not have.
        """
        family = self.families[-1]
        if codes.is_floating_point():
            z = self.checked_codes(codes, family.shape)
            if family.is_positive and bool((z < 0).any()):
                raise DataError(
                    f"The codes of this {type(self).__name__} are {family.title} latents, which "
                    f"are not below 0, got {z.min().item():.3g}. Give codes from 0 up, such as "
                    "those of encode; in a shell use --view codes or interpolation."
                )
            return z
        self.check_rows(codes, space=self.codes)
        return family.from_codes(codes.to(self.device)).to(self.dtype)

    def decode(self, z: Tensor, *, condition: Any = None) -> Tensor:
        """Return the mean of x given codes of the top layer, (B, *event_shape).

        Categories have no mean: they are the most probable ones of each place.

        Raises:
            DataError: The codes have another shape, or values that the family does not have.
            NotFiniteSampleError: A logit of a category is not finite.
        """
        z = self.values_of(z)
        return self.mean_below(z, self.checked(condition, z.shape[0]))

    def draw_codes(
        self, x: Tensor, *, condition: Any = None, generator: torch.Generator
    ) -> Tensor:
        """Draw the top layer given examples, (B, *codes.event_shape)."""
        x = self.checked_rows(x)
        rows = Rows(x, self.checked(condition, x.shape[0]))
        proposal = self.inference.proposal(self, rows, evaluation_step(generator))
        problem = Integrand(self, rows, proposal)
        draws = problem.drawn(1, generator)
        return self.families[-1].to_codes(problem.by_level(draws)[-1][0])


class Integrand(Expectation):
    """The expectation E_q[log p(x, z) − β log q(z | x)/p(z)] of a model, for B rows.

    Arguments:
        model: The model.
        rows: The examples.
        proposal: q.
        has_closed_kl: Whether the KL term is left out, because its closed form is added.
        kl_weight: β.
        extra: A function of z_1 that is added to log p(x | z), (K, B); none by default.
    """

    def __init__(
        self,
        model: LatentModel[Any],
        rows: Rows,
        proposal: Proposal,
        has_closed_kl: bool = False,
        kl_weight: float = 1.0,
        extra: Callable[[Rows, Tensor], Tensor] | None = None,
    ) -> None:
        self.model, self.rows, self.proposal = model, rows, proposal
        self.has_closed_kl, self.kl_weight, self.extra = has_closed_kl, kl_weight, extra

    @property
    def num_layers(self) -> int:
        """The number of layers of latents."""
        return len(self.model.families)

    def layer(self, drawn: Sequence[Tensor]) -> Layer:
        """Return the next layer of the proposal."""
        return self.proposal.layer(drawn)

    def value(self, draws: Draws) -> Tensor:
        """Return log p(x | z), or log p(x | z) + β (log p(z) − log q(z | x)), (K, B)."""
        z = self.by_level(draws)
        log_p = self.model.log_likelihood(self.rows, z[0])
        if self.extra is not None:
            log_p = log_p + self.extra(self.rows, z[0])
        if self.has_closed_kl or self.proposal.is_prior:
            return log_p
        return log_p - self.kl_weight * (draws.log_q - self.model.log_prior(z, self.rows.y))

    def apart(self, draws: Draws) -> tuple[Tensor, Tensor]:
        """Return the means of log p(x | z) and of log q(z | x) − log p(z) at draws."""
        z = self.by_level(draws)
        log_p = self.model.log_likelihood(self.rows, z[0]).mean()
        if self.proposal.is_prior:
            return log_p, torch.zeros_like(log_p)
        return log_p, (draws.log_q - self.model.log_prior(z, self.rows.y)).mean()

    def by_level(self, draws: Draws) -> tuple[Tensor, ...]:
        """Return values from the layer next to x to the top."""
        return tuple(draws.z[self.proposal.order.index(i)] for i in range(self.num_layers))

    @property
    def inputs(self) -> Tensor:
        """The examples as a network sees them and the vectors of their conditions, (B, D)."""
        x = network_values(self.model.event, self.rows.x, self.model.dtype).flatten(1)
        return x if self.rows.y is None else torch.cat([x, self.rows.y], dim=1)


def evaluation_step(generator: torch.Generator) -> Step:
    """Return a step after training, for what is computed in an evaluation."""
    return Step(AT_THE_END, 1, 0, generator)


def check_relaxed(estimator: Estimator[Any], model: LatentModel[Any]) -> None:
    """Raise CapabilityError for an estimator with relaxed draws of codes that have none."""
    if estimator.is_relaxed and not model.takes_relaxed:
        raise CapabilityError(
            f"The estimator {estimator.title} needs log p(x, z) at relaxed codes, which this "
            f"{type(model).__name__} does not define. Use score-function."
        )
