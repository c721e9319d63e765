"""Estimators that differentiate the draws: reparameterisation, and two with less variance."""

from __future__ import annotations

import abc
from dataclasses import dataclass
from typing import Any

from genzoo.plugin import CapabilityError, Config
from genzoo_vae.estimators.estimator import Estimated, Estimator, Problem, Subject, require
from genzoo_vae.families.continuous import ContinuousFamily

REMEDY = "For discrete latents use score-function, gumbel-softmax, straight-through or rebar."


@dataclass(frozen=True, kw_only=True)
class PathwiseConfig(Config):
    """An estimator without values to choose."""


class Reparameterised(Estimator[PathwiseConfig]):
    """∇ E_q[F(z)] = E_ε[∇ F(g(ε; φ))], with z = g(ε; φ): the draws are differentiated.

    The noise ε has no parameters. Location-scale families, the log-normal and the exponential are
    such functions of noise; the gamma is differentiated implicitly.

    | Auto-Encoding Variational Bayes (Kingma, Welling, 2014)
    """

    Config = PathwiseConfig
    title = "reparameterised"

    def check(self, subject: Subject) -> None:
        """Raise CapabilityError for discrete latents."""
        require(self, subject.families, ContinuousFamily, REMEDY)

    def estimate(self, problem: Problem) -> Estimated:
        """Return −F at differentiable draws."""
        draws = problem.drawn()
        f = problem.expectation.value(draws)
        return problem.estimated(f, draws)


class _OneLayer(Reparameterised, abc.ABC):
    """Abstract base class: no gradient through the parameters of log q at one layer's draws."""

    samples_kl = True

    def check(self, subject: Subject) -> None:
        """Raise CapabilityError for discrete latents, and for more than one layer."""
        super().check(subject)
        if len(subject.families) > 1:
            raise CapabilityError(
                f"The estimator {self.title} is for one layer of latents; this posterior has "
                f"{len(subject.families)}. Use reparameterised."
            )


class StickingTheLanding(_OneLayer):
    """Reparameterisation without the score of q: ∇_φ acts on z only, not on log q_φ itself.

    The term that is left out has expectation 0 for the evidence bound. Where q is the posterior,
    the estimate of its gradient has no variance. For more than one importance-weighted draw the
    estimate is biased; use `DoublyReparameterised` there.

    | Sticking the Landing: Simple, Lower-Variance Gradient Estimators for Variational Inference
    | (Roeder, Wu, Duvenaud, 2017)
    """

    title = "sticking-the-landing"

    def estimate(self, problem: Problem) -> Estimated:
        """Return −F at differentiable draws, with log q of fixed parameters."""
        draws = problem.drawn()
        f = problem.expectation.value(draws.stopped())
        return problem.estimated(f, draws)


class DoublyReparameterised(_OneLayer):
    """DReG: ∇_φ L_K = E[Σ_k w̃_k² ∂ log w_k/∂z_k · ∇_φ z_k], with normalised weights w̃.

    It is unbiased for every K, and its signal does not vanish as K grows. The gradient by the
    parameters of p has the weights w̃_k, as usual. For the evidence bound it is
    `StickingTheLanding`.

    | Doubly Reparameterized Gradient Estimators for Monte Carlo Objectives
    | (Tucker, Lawson, Gu, Maddison, 2019)
    """

    title = "doubly-reparameterised"

    def estimate(self, problem: Problem) -> Estimated:
        """Return −F, whose gradient is weighted once more where it reaches the draws."""
        draws = problem.drawn()
        f = problem.expectation.value(draws.stopped())
        weights = problem.aggregate.path_weights(f.detach())
        (z,) = draws.z
        if z.requires_grad:
            hooked: Any = z  # torch does not annotate the method.
            hooked.register_hook(lambda grad: grad * weights[..., None])
        return problem.estimated(f, draws)
