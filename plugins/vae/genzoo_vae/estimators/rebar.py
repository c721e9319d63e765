"""REBAR: a score-function estimator with a relaxation as its control variate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor

from genzoo.plugin import Bounds, CapabilityError, Config
from genzoo_vae.estimators.estimator import (
    Estimated,
    Estimator,
    Problem,
    Subject,
    require,
    showing,
)
from genzoo_vae.estimators.expectation import Draws, Layer
from genzoo_vae.estimators.relaxed import Temperature, discrete
from genzoo_vae.families.discrete import DiscreteFamily


@dataclass(frozen=True, kw_only=True)
class REBARConfig(Config):
    """REBAR."""

    temperature: Temperature = 0.5
    """The temperature of the relaxation, above 0."""
    decay: Annotated[float, Bounds(0.0, 1.0)] = 0.99
    """The decay of the running means from which the weight η of the control variate follows."""


class REBAR(Estimator[REBARConfig]):
    """Unbiased gradients by a relaxed control variate, for one layer of discrete latents.

    With perturbed logits g, the draw b = hard(g), the relaxation c(g) = F(soft(g)), and g̃ drawn
    given b,

        ∇_φ E[F] = E[(F(b) − η c(g̃)) ∇_φ log q(b) + η ∇_φ c(g) − η ∇_φ c(g̃)].

    The expectation is the same for every η. η minimises the variance of the gradient by the
    parameters of q, from running means of earlier updates.

    | REBAR: Low-Variance, Unbiased Gradient Estimates for Discrete Latent Variable Models
    | (Tucker, Mnih, Maddison, Lawson, Sohl-Dickstein, 2017)
    """

    Config = REBARConfig
    title = "rebar"
    is_relaxed = True

    def check(self, subject: Subject) -> None:
        """Raise CapabilityError for continuous latents, and for more than one layer."""
        require(
            self, subject.families, DiscreteFamily, "For continuous latents use reparameterised."
        )
        if len(subject.families) > 1:
            raise CapabilityError(
                f"The estimator rebar is for one layer of latents; this posterior has "
                f"{len(subject.families)}. Use score-function or gumbel-softmax."
            )

    def estimate(self, problem: Problem) -> Estimated:
        """Return −F with the gradient of REBAR, shown as −F."""
        layer, aggregate = problem.expectation.layer(()), problem.aggregate
        # The control variate is differentiated by the parameters of q alone: its derivatives by
        # all others have expectation 0.
        parameters = layer.parameters.detach().requires_grad_()
        with torch.enable_grad():
            b, c, again = self._relaxations(problem, layer, parameters)
            draws = Draws((layer,), (b,))
            f = problem.value_for_score(draws)
            log_q = layer.family.log_prob(parameters, b)
            reward, control = aggregate.signals(f.detach()), aggregate.signals(again.detach())
            of_f = _grad((reward * log_q).sum(), parameters)
            difference = (aggregate.value(c) - aggregate.value(again)).sum()
            of_c = _grad(difference - (control * log_q).sum(), parameters)
        gradient = of_f + self._eta(of_f, of_c, problem) * of_c
        bound = aggregate.value(f)
        surrogate = bound.sum() + (gradient * layer.parameters).sum()
        return Estimated(showing(-surrogate / len(bound), -bound), draws, f.detach())

    def _relaxations(
        self, problem: Problem, layer: Layer, parameters: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return the draw b, and f at the relaxation of g and of g̃, (K, B) each."""
        family, generator = discrete(layer), problem.step.generator
        g = family.perturb(parameters, problem.num_samples, generator)
        b = family.harden(g)
        again = family.reperturb(parameters, b, generator)
        fixed = (Layer(family, layer.parameters.detach()),)

        def value(perturbed: Tensor) -> Tensor:
            return problem.expectation.value(
                Draws(fixed, (family.soften(perturbed, self.config.temperature),))
            )

        return b, value(g), value(again)

    def _eta(self, of_f: Tensor, of_c: Tensor, problem: Problem) -> Tensor:
        """Return η = −E[a · c] / E[c · c] of earlier updates, 1 at the first one.

        a is the gradient without and c that of the control variate, for each row.
        """
        name, memory = f"rebar_{problem.step.slot}", problem.memory
        now = torch.stack([-(of_f * of_c).sum(), (of_c * of_c).sum()])
        kept = memory.process_state().get(name)
        # Means of this update would depend on its draws, and bias it.
        known = torch.zeros_like(now) if kept is None else kept
        memory.set_process_buffer(name, self.config.decay * known + (1 - self.config.decay) * now)
        return torch.where(known[1] > 0, known[0] / known[1], torch.ones_like(known[0]))


def _grad(value: Tensor, parameters: Tensor) -> Tensor:
    (found,) = torch.autograd.grad(value, parameters, retain_graph=True)
    return found
