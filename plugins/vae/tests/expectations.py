"""Small expectations whose gradients are known."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from genzoo.plugin import Step
from genzoo_vae.estimators.estimator import Problem
from genzoo_vae.estimators.expectation import Draws, Expectation, Layer
from genzoo_vae.families.family import Family


class Kept:
    """Keeps tensors by name, as an objective does."""

    def __init__(self, **kept):
        self.kept = kept

    def set_process_buffer(self, name, value):
        self.kept[name] = value

    def process_state(self):
        return dict(self.kept)


def step(seed=0, index=0, total=100, slot=0):
    return Step(index, total, slot, torch.Generator().manual_seed(seed))


@dataclass(frozen=True)
class OneLayer(Expectation):
    """E_q[f(z)] of one layer with the same parameters (P,) in each of B rows."""

    family: Family
    parameters: Tensor
    f: object
    rows: int = 1

    @property
    def num_layers(self):
        return 1

    def layer(self, drawn):
        return Layer(self.family, self.parameters.expand(1, self.rows, -1))

    def value(self, draws):
        return self.f(draws)


def gradients(estimator, expectation, aggregate, num_samples=1, memory=None, seed=0):
    """Return the estimate of ∇ E[F] by the parameters in each row, (B, P)."""
    rows = expectation.parameters.detach().expand(expectation.rows, -1).clone().requires_grad_()
    each = replace(expectation, parameters=rows)
    problem = Problem(each, num_samples, aggregate, step(seed), memory or Kept())
    found = estimator.estimate(problem)
    (grad,) = torch.autograd.grad(found.loss, rows)
    return -grad * expectation.rows


def enumerated(expectation, aggregate, num_samples=1):
    """Return ∇ E[F] by the parameters, (P,), from the sum over all values of K draws."""
    family = expectation.family
    parameters = expectation.parameters.detach().clone().requires_grad_()
    states = family.states(parameters.device, parameters.dtype)
    choice = torch.cartesian_prod(*[torch.arange(len(states))] * num_samples)
    z = states[choice.view(-1, num_samples).T]
    layer = Layer(family, parameters.expand(1, z.shape[1], -1))
    draws = Draws((layer,), (z,))
    total = (draws.log_q.sum(0).exp() * aggregate.value(expectation.value(draws))).sum()
    return torch.autograd.grad(total, parameters)[0]


def z_scores(estimates, truth):
    """Return (mean − truth) / standard error of estimates (N, P)."""
    error = estimates.std(0) / len(estimates) ** 0.5
    return (estimates.mean(0) - truth) / error
