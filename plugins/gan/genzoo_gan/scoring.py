"""The critic that the generator's step uses: the current one, or an unrolled one."""

from __future__ import annotations

import abc
from collections.abc import Callable

import torch
from torch import Tensor
from torch.func import functional_call

from genzoo_gan.critics import Critic
from genzoo_gan.views import View

Score = Callable[[View], Tensor]


class Judge(abc.ABC):
    """Abstract base class: the scores that a generator's step uses."""

    @abc.abstractmethod
    def __call__(self, real: View, fake: View) -> Score:
        """Return the scoring of views, for a step that generates ``fake``."""


class PresentCritic(Judge):
    """The current critic.

    Arguments:
        critic: The critic.
    """

    def __init__(self, critic: Critic) -> None:
        self.critic = critic

    def __call__(self, real: View, fake: View) -> Score:
        """Return the critic."""
        return self.critic


class FutureCritic(Judge):
    """The critic after K plain gradient steps of its own, θ_{k+1} = θ_k − η ∇_θ L(θ_k).

    The steps depend on the fakes and are differentiated through, so that the generator takes the
    critic's response to its step into account.

    | Unrolled Generative Adversarial Networks (Metz, Poole, Pfau, Sohl-Dickstein, 2017)

    Arguments:
        critic: The critic, which is not changed.
        loss: L, from scores of real and fake examples.
        num_steps: K; with 0 it is the current critic.
        lr: η.
    """

    def __init__(
        self,
        critic: Critic,
        loss: Callable[[Tensor, Tensor], Tensor],
        num_steps: int,
        lr: float,
    ) -> None:
        self.critic, self.loss = critic, loss
        self.num_steps, self.lr = num_steps, lr

    def __call__(self, real: View, fake: View) -> Score:
        """Return the scoring by θ_K."""
        theta: dict[str, Tensor] = dict(self.critic.named_parameters())
        for _ in range(self.num_steps):
            score = self._scoring(theta)
            loss = self.loss(score(real), score(fake))
            grads = torch.autograd.grad(loss, list(theta.values()), create_graph=True)
            steps = zip(theta.items(), grads, strict=True)
            theta = {name: value - self.lr * grad for (name, value), grad in steps}
        return self._scoring(theta)

    def _scoring(self, theta: dict[str, Tensor]) -> Score:
        def score(view: View) -> Tensor:
            out: Tensor = functional_call(self.critic, theta, (view,))
            return out

        return score
