"""Gradient penalties of a critic."""

from __future__ import annotations

import abc

import torch
from torch import Tensor

from genzoo.plugin import Step
from genzoo_gan.critics import Critic
from genzoo_gan.views import View, between


class Penalty(abc.ABC):
    """Abstract base class of penalties that are added to a critic's loss."""

    @abc.abstractmethod
    def __call__(self, critic: Critic, real: View, fake: View, step: Step) -> Tensor:
        """Return a scalar, the mean over the examples or the packs."""


class R1(Penalty):
    """γ/2 E‖∇D(x)‖² at the data: at the equilibrium of the game the critic is flat.

    | Which Training Methods for GANs do actually Converge? (Mescheder, Geiger, Nowozin, 2018)

    Arguments:
        gamma: γ.
    """

    def __init__(self, gamma: float) -> None:
        self.gamma = gamma

    def __call__(self, critic: Critic, real: View, fake: View, step: Step) -> Tensor:
        """Return the penalty at the real examples."""
        return 0.5 * self.gamma * slopes(critic, real).square().mean()


class Fading(Penalty):
    """A penalty whose weight falls linearly to 0 during training.

    At first the critic has a small gradient everywhere, and attracts the generator to every mode;
    without the penalty it can be as steep as narrow modes need.

    Arguments:
        penalty: The penalty.
        share: The share of training after which its weight is 0.
    """

    def __init__(self, penalty: Penalty, share: float) -> None:
        self.penalty, self.share = penalty, share

    def __call__(self, critic: Critic, real: View, fake: View, step: Step) -> Tensor:
        """Return the penalty at its current weight; once that is 0, the critic is not called."""
        weight = 1 - step.index / (self.share * step.total)
        if weight <= 0:
            return real.x.new_zeros(())
        return weight * self.penalty(critic, real, fake, step)


class GradientPenalty(Penalty):
    """λ E(‖∇D(x̂)‖ − 1)² at x̂ = t x + (1 − t) x̃, t ~ U(0, 1), between the data and the fakes.

    The examples of a pack lie on one straight line between two packs: they share t.

    | Improved Training of Wasserstein GANs
    | (Gulrajani, Ahmed, Arjovsky, Dumoulin, Courville, 2017)

    Arguments:
        weight: λ.
    """

    def __init__(self, weight: float) -> None:
        self.weight = weight

    def __call__(self, critic: Critic, real: View, fake: View, step: Step) -> Tensor:
        """Return the penalty at points between the two."""
        x, m = real.x, critic.packing
        t = torch.rand(len(x) // m, generator=step.generator, device=x.device, dtype=x.dtype)
        t = t.repeat_interleave(m)
        return self.weight * (slopes(critic, between(real, fake, t)) - 1).square().mean()


def slopes(critic: Critic, view: View) -> Tensor:
    """Return ‖∇D‖ with respect to examples and codes, for each score, differentiable."""
    at = view.with_gradient()
    scores = critic(at)
    grads = torch.autograd.grad(scores.sum(), at.continuous(), create_graph=True)
    # A pack's gradient is with respect to all of its examples, which are consecutive.
    flat = [grad.reshape(len(scores), -1) for grad in grads]
    norms: Tensor = torch.linalg.vector_norm(torch.cat(flat, dim=1), dim=1)
    return norms
