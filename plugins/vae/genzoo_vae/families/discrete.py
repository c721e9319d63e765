"""Families of discrete latents, with their continuous relaxations."""

from __future__ import annotations

import abc

import torch
import torch.nn.functional as F
from torch import Tensor

from genzoo.plugin import Binary, Categorical, Space
from genzoo_vae.families.family import Family


class DiscreteFamily(Family):
    """Abstract base class: latents with finitely many values.

    A draw is the hard function of perturbed logits g, whose noise has no parameters: the sign for
    a Bernoulli, the largest for a categorical. A relaxation replaces it by a soft function of a
    temperature. `log_prob` is linear in z, which extends it to relaxed values.

    | Categorical Reparameterization with Gumbel-Softmax (Jang, Gu, Poole, 2017)
    | The Concrete Distribution (Maddison, Mnih, Teh, 2017)
    """

    @property
    @abc.abstractmethod
    def num_states(self) -> int:
        """The number of values of the whole layer."""

    @abc.abstractmethod
    def states(self, device: torch.device, dtype: torch.dtype) -> Tensor:
        """Return all values, (num_states, *shape)."""

    @abc.abstractmethod
    def kl(self, parameters: Tensor, prior: Tensor) -> Tensor:
        """Return KL(q(z_j) ‖ p(z_j)), (..., D), for parameters of both."""

    @abc.abstractmethod
    def with_each(self, mean: Tensor) -> Tensor:
        """Return copies of a mean (*shape) with each value of each latent in turn, (F, *shape)."""

    @abc.abstractmethod
    def perturb(self, parameters: Tensor, num: int, generator: torch.Generator) -> Tensor:
        """Return g = logits + noise, (K, B, *shape), differentiable in the parameters."""

    @abc.abstractmethod
    def reperturb(self, parameters: Tensor, z: Tensor, generator: torch.Generator) -> Tensor:
        """Return g drawn given that its hard value is z, differentiable in the parameters.

        | REBAR: Low-Variance, Unbiased Gradient Estimates for Discrete Latent Variable Models
        | (Tucker, Mnih, Maddison, Lawson, Sohl-Dickstein, 2017)
        """

    @abc.abstractmethod
    def indicators(self, z: Tensor, place: int) -> Tensor:
        """Return which value each z has at a place, as one-hot vectors (..., C)."""

    @abc.abstractmethod
    def log_p_at(self, parameters: Tensor, place: int) -> Tensor:
        """Return the log-probability of each value at a place, (..., C)."""

    @abc.abstractmethod
    def set_at(self, parameters: Tensor, place: int, logits: Tensor) -> None:
        """Set the parameters of a place from unnormalised log-probabilities (..., C)."""

    @abc.abstractmethod
    def harden(self, g: Tensor) -> Tensor:
        """Return the value of perturbed logits, without a gradient."""

    @abc.abstractmethod
    def soften(self, g: Tensor, temperature: float) -> Tensor:
        """Return the relaxed value of perturbed logits."""


class BernoulliFamily(DiscreteFamily):
    """Zeros and ones with logits (..., D); the noise is logistic."""

    title = "Bernoulli"

    @property
    def num_parameters(self) -> int:
        """D."""
        return self.size

    @property
    def codes(self) -> Space:
        """Zeros and ones, (D,)."""
        return Binary(shape=(self.size,))

    @property
    def num_states(self) -> int:
        """2^D."""
        return int(2**self.size)

    def states(self, device: torch.device, dtype: torch.dtype) -> Tensor:
        """Return all rows of zeros and ones."""
        numbers = torch.arange(self.num_states, device=device)[:, None]
        bits = numbers >> torch.arange(self.size, device=device)
        return (bits & 1).to(dtype)

    def draw(self, parameters: Tensor, num: int, generator: torch.Generator) -> Tensor:
        """Draw z_j = 1 with probability σ(logit_j)."""
        p = parameters.detach().sigmoid()
        return _uniform(p, num, generator).lt_(p)

    def log_prob(self, parameters: Tensor, z: Tensor) -> Tensor:
        """Return Σ z logit − softplus(logit)."""
        if parameters.shape == z.shape and not z.requires_grad:
            bce = F.binary_cross_entropy_with_logits(parameters, z, reduction="none")
            return -bce.sum(-1)
        return (z * parameters).sum(-1) - F.softplus(parameters).sum(-1)

    def mean(self, parameters: Tensor) -> Tensor:
        """Return the probabilities of 1."""
        return parameters.sigmoid()

    def kl(self, parameters: Tensor, prior: Tensor) -> Tensor:
        """Return p (logit − prior logit) − softplus(logit) + softplus(prior logit)."""
        inner = parameters.sigmoid() * (parameters - prior)
        return inner - F.softplus(parameters) + F.softplus(prior)

    def with_each(self, mean: Tensor) -> Tensor:
        """Return 1 and 0 for each bit, (2D, D)."""
        copies = mean.repeat(self.size, 2, 1)
        places = torch.arange(self.size)
        copies[places, 0, places], copies[places, 1, places] = 1.0, 0.0
        return copies.flatten(0, 1)

    def perturb(self, parameters: Tensor, num: int, generator: torch.Generator) -> Tensor:
        """Return logit + log u − log(1 − u), with u uniform."""
        return parameters + _logistic(parameters, num, generator)

    def reperturb(self, parameters: Tensor, z: Tensor, generator: torch.Generator) -> Tensor:
        """Return a draw of the logistic distribution around the logit, cut off at 0."""
        noise = _logistic(z, len(z), generator)
        above = F.softplus(noise + F.softplus(parameters))
        below = -F.softplus(noise + F.softplus(-parameters))
        return torch.where(z > 0.5, above, below)

    def indicators(self, z: Tensor, place: int) -> Tensor:
        """Return (1 − z_j, z_j), (..., 2)."""
        return torch.stack([1 - z[..., place], z[..., place]], -1)

    def log_p_at(self, parameters: Tensor, place: int) -> Tensor:
        """Return log σ(−logit) and log σ(logit), (..., 2)."""
        logit = parameters[..., place]
        return F.logsigmoid(torch.stack([-logit, logit], -1))

    def set_at(self, parameters: Tensor, place: int, logits: Tensor) -> None:
        """Set the logit to the difference."""
        parameters[..., place] = logits[..., 1] - logits[..., 0]

    def harden(self, g: Tensor) -> Tensor:
        """Return 1 where g > 0."""
        return (g.detach() > 0).to(g.dtype)

    def soften(self, g: Tensor, temperature: float) -> Tensor:
        """Return σ(g / τ)."""
        return (g / temperature).sigmoid()


class CategoricalFamily(DiscreteFamily):
    """One of C categories at each of D places, as one-hot values (..., D, C); Gumbel noise.

    Arguments:
        size: D.
        num_categories: C.
    """

    title = "categorical"

    def __init__(self, size: int, num_categories: int) -> None:
        super().__init__(size)
        self.num_categories = num_categories

    @property
    def shape(self) -> tuple[int, ...]:
        """(D, C)."""
        return (self.size, self.num_categories)

    @property
    def num_parameters(self) -> int:
        """D · C."""
        return self.size * self.num_categories

    @property
    def codes(self) -> Space:
        """Categories, (D,)."""
        return Categorical(shape=(self.size,), num_categories=self.num_categories)

    @property
    def num_states(self) -> int:
        """C^D."""
        return int(self.num_categories**self.size)

    def states(self, device: torch.device, dtype: torch.dtype) -> Tensor:
        """Return all rows of one-hot values."""
        each = torch.arange(self.num_categories, device=device)
        rows = torch.cartesian_prod(*[each] * self.size).view(-1, self.size)
        return F.one_hot(rows, self.num_categories).to(dtype)

    def draw(self, parameters: Tensor, num: int, generator: torch.Generator) -> Tensor:
        """Draw a category with the probabilities of the softmax."""
        return self.harden(self.perturb(parameters.detach(), num, generator))

    def log_prob(self, parameters: Tensor, z: Tensor) -> Tensor:
        """Return Σ z log softmax(logits)."""
        return (z * self._log_p(parameters)).sum((-2, -1))

    def mean(self, parameters: Tensor) -> Tensor:
        """Return the probabilities, (..., D, C)."""
        return self._logits(parameters).softmax(-1)

    def kl(self, parameters: Tensor, prior: Tensor) -> Tensor:
        """Return Σ_c p_c (log p_c − log prior_c), (..., D)."""
        log_p = self._log_p(parameters)
        return (log_p.exp() * (log_p - self._log_p(prior))).sum(-1)

    def with_each(self, mean: Tensor) -> Tensor:
        """Return each category of each place, (D · C, D, C)."""
        copies = mean.repeat(self.size, self.num_categories, 1, 1)
        places = torch.arange(self.size)
        copies[places, :, places] = torch.eye(self.num_categories).to(mean)
        return copies.flatten(0, 1)

    def perturb(self, parameters: Tensor, num: int, generator: torch.Generator) -> Tensor:
        """Return log p − log(−log u), with u uniform."""
        log_p = self._log_p(parameters)
        return log_p - _negative_log(log_p, num, generator).log()

    def reperturb(self, parameters: Tensor, z: Tensor, generator: torch.Generator) -> Tensor:
        """Return the Gumbel draw of the largest, and the others below it."""
        log_p = self._log_p(parameters)
        minus_log_u = _negative_log(z, len(z), generator)
        # The largest of the perturbed has the law of −log(−log u) itself, as the p sum to 1.
        largest = (minus_log_u * z).sum(-1, keepdim=True)
        others = -((-log_p).exp() * minus_log_u + largest).log()
        return torch.where(z > 0.5, -largest.log(), others)

    def indicators(self, z: Tensor, place: int) -> Tensor:
        """Return z at the place, (..., C)."""
        return z[..., place, :]

    def log_p_at(self, parameters: Tensor, place: int) -> Tensor:
        """Return log softmax(logits) of the place, (..., C)."""
        return self._log_p(parameters)[..., place, :]

    def set_at(self, parameters: Tensor, place: int, logits: Tensor) -> None:
        """Set the logits."""
        self._logits(parameters)[..., place, :] = logits

    def harden(self, g: Tensor) -> Tensor:
        """Return the largest as a one-hot value."""
        found = g.detach().argmax(-1, keepdim=True)
        return torch.zeros_like(g).scatter_(-1, found, 1.0)

    def soften(self, g: Tensor, temperature: float) -> Tensor:
        """Return softmax(g / τ)."""
        return (g / temperature).softmax(-1)

    def to_codes(self, z: Tensor) -> Tensor:
        """Return the categories, (..., D), int64."""
        return z.argmax(-1)

    def from_codes(self, codes: Tensor) -> Tensor:
        """Return one-hot values, (..., D, C), float32."""
        return F.one_hot(codes, self.num_categories).float()

    def _logits(self, parameters: Tensor) -> Tensor:
        return parameters.view(*parameters.shape[:-1], *self.shape)

    def _log_p(self, parameters: Tensor) -> Tensor:
        return self._logits(parameters).log_softmax(-1)


def _uniform(like: Tensor, num: int, generator: torch.Generator) -> Tensor:
    """Draw uniformly from [0, 1), in the shape (num, B, ...) for a tensor (K, B, ...)."""
    shape = (num, *like.shape[1:])
    return torch.rand(shape, generator=generator, device=like.device, dtype=like.dtype)


def _negative_log(like: Tensor, num: int, generator: torch.Generator) -> Tensor:
    """Return −log u, positive and finite, with u uniform."""
    tiny = torch.finfo(like.dtype).tiny
    return -_uniform(like, num, generator).clamp_min(tiny).log()


def _logistic(like: Tensor, num: int, generator: torch.Generator) -> Tensor:
    """Draw from the standard logistic distribution."""
    u = _uniform(like, num, generator).clamp_min(torch.finfo(like.dtype).tiny)
    return u.log() - torch.log1p(-u)
