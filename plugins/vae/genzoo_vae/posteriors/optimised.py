"""Posteriors that are optimised for each example."""

from __future__ import annotations

import abc
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import torch
from torch import Tensor

from genzoo.plugin import Bounds, Component, Config, ConfigError, Group, Step, make
from genzoo_vae import enumeration
from genzoo_vae.estimators.estimator import GROUP as ESTIMATORS, Subject
from genzoo_vae.latents import LatentModel, check_relaxed
from genzoo_vae.posteriors import ascent
from genzoo_vae.posteriors.posterior import Posterior
from genzoo_vae.posteriors.proposal import Factorised, Proposal, Recognised, Rows


@dataclass(frozen=True, kw_only=True)
class OptimisedConfig(Config):
    """A posterior that is optimised for each example."""

    ascent: Literal["gradient", "coordinate"] = "gradient"
    """Gradient ascent on the evidence bound, or the closed-form update of one latent after the
    other, for models whose latents have at most 4,096 values together."""
    num_steps: Annotated[int, Bounds(1, 10**6)] = 20
    """The number of updates; for coordinate ascent, of passes over all latents."""
    lr: Annotated[float, Bounds(1e-8, 1e3)] = 0.1
    """The learning rate of Adam, or the first step that a line search tries."""
    num_samples: Annotated[int, Bounds(1, 10**6)] = 4
    """The number of draws of each gradient; latents that can be summed over need none."""
    estimator: Annotated[Component, Group(ESTIMATORS)] | None = None
    """The estimator of the gradient; by default reparameterised for continuous latents,
    score-function for discrete ones."""


class _Optimised(Posterior[OptimisedConfig], abc.ABC):
    """Abstract base class: ascent on the evidence bound from some start."""

    Config = OptimisedConfig
    is_optimised = True

    def check(self, model: LatentModel[Any]) -> None:
        """Raise if the ascent does not serve the model's latents.

        Raises:
            ConfigError: Coordinate ascent of latents that cannot be summed over.
            CapabilityError: The estimator does not serve the model.
        """
        if self.config.estimator is not None:
            subject = Subject(model.families, self.config.num_samples)
            check_relaxed(make(ESTIMATORS, self.config.estimator, subject), model)
        if self.config.ascent == "coordinate":
            found = enumeration.num_states(model)
            if found > enumeration.MAX_STATES:
                many = _in_words(found)
                raise ConfigError(
                    f"Coordinate ascent sums over all values of the latents; these have {many}, "
                    f"and at most {enumeration.MAX_STATES:,} are allowed. Use ascent='gradient'."
                )

    def proposal(self, model: LatentModel[Any], rows: Rows, step: Step) -> Proposal:
        """Return q at the end of the ascent; its parameters carry no gradient."""
        start, family = self.start(model, rows, step)
        return ascent.ascend(self.config, model, rows, start, family, step)

    @abc.abstractmethod
    def start(
        self, model: LatentModel[Any], rows: Rows, step: Step
    ) -> tuple[Sequence[Tensor], Callable[[Sequence[Tensor]], Proposal]]:
        """Return the first parameters of each layer, (B, P), and the function to a proposal."""


def _in_words(num: float) -> str:
    """Return a number of states in words, of any size."""
    if num == math.inf:
        return "infinitely many"
    # Python does not print integers of more than 4,300 digits.
    return f"{num:,}" if num < 10**12 else f"about 10^{math.log10(num):.0f}"


class MeanField(_Optimised):
    """Mean field: q(z) = ∏_j q(z_j), optimised for each example from a random start.

    The model has no recognition networks. Coordinate ascent sets one latent after the other to its
    optimum given the others, q(z_j) ∝ exp E[log p(x, z)].

    | An Introduction to Variational Methods for Graphical Models
    | (Jordan, Ghahramani, Jaakkola, Saul, 1999)
    """

    title = "mean-field"
    is_recognised = False

    def start(
        self, model: LatentModel[Any], rows: Rows, step: Step
    ) -> tuple[Sequence[Tensor], Callable[[Sequence[Tensor]], Proposal]]:
        """Return small random parameters."""
        first = [
            0.1
            * torch.randn(
                (len(rows.x), family.num_parameters),
                generator=step.generator,
                device=model.device,
                dtype=model.dtype,
            )
            for family in model.families
        ]
        return first, lambda parameters: Factorised(model, parameters)


class SemiAmortised(_Optimised):
    """Amortised and optimised: the recognition networks give the start for each example.

    What is optimised are offsets of their parameters, which start at 0. In training, p learns at
    the optimum, and the networks learn by the bound at the start.

    | On the Challenges of Learning with Inference Networks on Sparse, High-Dimensional Data
    | (Krishnan, Liang, Hoffman, 2018)
    | Semi-Amortized Variational Autoencoders (Kim, Wiseman, Miller, Sontag, Rush, 2018)
    """

    title = "semi-amortised"
    is_recognised = True

    def check(self, model: LatentModel[Any]) -> None:
        """Raise ConfigError for coordinate ascent of several layers."""
        super().check(model)
        if self.config.ascent == "coordinate" and len(model.families) > 1:
            raise ConfigError(
                "Coordinate ascent from recognition networks is for one layer of latents; this "
                f"model has {len(model.families)}. Use ascent='gradient'."
            )

    def start(
        self, model: LatentModel[Any], rows: Rows, step: Step
    ) -> tuple[Sequence[Tensor], Callable[[Sequence[Tensor]], Proposal]]:
        """Return offsets of 0, or for one layer the parameters themselves."""
        if len(model.families) == 1:
            with torch.no_grad():
                found = model.recognise(0, rows, ())[0]
            return [found], lambda parameters: Factorised(model, parameters)
        zeros = [
            torch.zeros(len(rows.x), family.num_parameters, device=model.device, dtype=model.dtype)
            for family in model.families
        ]
        return zeros, lambda offsets: Recognised(model, rows, offsets)
