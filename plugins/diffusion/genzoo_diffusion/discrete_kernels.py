"""The kernels of discrete diffusion: what replaces a category, and how that is undone."""

from __future__ import annotations

import abc

import torch
import torch.nn.functional as F
from torch import Tensor


class Kernel(abc.ABC):
    """Abstract base class: each place keeps its category with probability α, else it is replaced.

    q(x_t | x_0) = α_t [x_t = x_0] + (1 − α_t) π(x_t) at each place, independently, where π is the
    law of a replaced place. A reverse step from time t to s < t draws each place from

        p(x_s | x_t) = Σ_v p(x_0 = v | x_t) q(x_s | x_t, x_0 = v),

    which is exact for one place if p(x_0 | x_t) is.

    | Structured Denoising Diffusion Models in Discrete State-Spaces
    | (Austin, Johnson, Ho, Tarlow, van den Berg, 2021)

    Arguments:
        num_categories: K.

    Attributes:
        num_states: The number of values of a place: K, and possibly a mask.
        uses_time: Whether p(x_0 | x_t) depends on t besides x_t.
    """

    num_states: int
    uses_time: bool

    def __init__(self, num_categories: int) -> None:
        self.num_categories = num_categories

    @abc.abstractmethod
    def replaced(self, like: Tensor, generator: torch.Generator) -> Tensor:
        """Return draws from π, int64, of the shape of ``like``."""

    @abc.abstractmethod
    def reverse(self, x_t: Tensor, p: Tensor, alpha_s: Tensor, alpha_t: Tensor) -> Tensor:
        """Return p(x_s | x_t), (B, *shape, num_states), of each place.

        Arguments:
            x_t: The state, (B, *shape).
            p: p(x_0 | x_t), (B, *shape, K).
            alpha_s: α at the time s of each row, broadcastable to the state.
            alpha_t: α at the time t.
        """

    @abc.abstractmethod
    def divergence(
        self, x_0: Tensor, x_t: Tensor, log_p: Tensor, alpha_s: Tensor, alpha_t: Tensor
    ) -> Tensor:
        """Return KL(q(x_s | x_t, x_0) ‖ p(x_s | x_t)) of each row, (B,), in nats.

        Arguments:
            x_0: The data, (B, *shape).
            x_t: The state.
            log_p: log p(x_0 | x_t), (B, *shape, K).
            alpha_s: α at the time s of each row, broadcastable to the state.
            alpha_t: α at the time t.
        """

    @abc.abstractmethod
    def rate(
        self, x_0: Tensor, x_t: Tensor, log_p: Tensor, alpha: Tensor, slope: Tensor
    ) -> Tensor:
        """Return the divergence for each unit of time, as s tends to t, of each row, (B,).

        Arguments:
            x_0: The data, (B, *shape).
            x_t: The state.
            log_p: log p(x_0 | x_t), (B, *shape, K).
            alpha: α(t) of each row, broadcastable to the state.
            slope: −α'(t).
        """

    @abc.abstractmethod
    def prior_divergence(self, alpha: float) -> float:
        """Return KL(q(x_1 | x_0) ‖ π) of one place, in nats, if α(1) is ``alpha``."""

    def noised(self, x: Tensor, keep: Tensor, generator: torch.Generator) -> Tensor:
        """Return a draw from q(x_t | x_s) for states (B, *shape).

        Arguments:
            x: The state x_s.
            keep: α_t / α_s, broadcastable to the state.
            generator: The generator of the draws.
        """
        u = torch.rand(x.shape, generator=generator, device=x.device, dtype=keep.dtype)
        return torch.where(u < keep, x, self.replaced(x, generator))


class Absorbing(Kernel):
    """A replaced place is masked: π is the mask K, from which no place returns.

    A masked place stays masked with probability (1 − α_s) / (1 − α_t) in a reverse step, else it
    is drawn from p(x_0 | x_t); other places are kept. p(x_0 | x_t) does not depend on t: the state
    shows which places are masked, and nothing else matters.

    | Simple and Effective Masked Diffusion Language Models (Sahoo et al., 2024)
    | Your Absorbing Discrete Diffusion Secretly Models the Conditional Distributions of Clean Data
    | (Ou et al., 2025)
    """

    uses_time = False

    def __init__(self, num_categories: int) -> None:
        super().__init__(num_categories)
        self.num_states = num_categories + 1
        self.mask = num_categories

    def replaced(self, like: Tensor, generator: torch.Generator) -> Tensor:
        """Return masks."""
        return torch.full_like(like, self.mask)

    def reverse(self, x_t: Tensor, p: Tensor, alpha_s: Tensor, alpha_t: Tensor) -> Tensor:
        """Return p(x_s | x_t): masked places are shown with the rate above, others are kept."""
        shown = ((alpha_s - alpha_t) / (1 - alpha_t)).expand(x_t.shape).unsqueeze(-1).to(p.dtype)
        masked = torch.cat([shown * p, 1 - shown], dim=-1)
        kept = F.one_hot(x_t, self.num_states).to(p.dtype)
        return torch.where((x_t == self.mask).unsqueeze(-1), masked, kept)

    def divergence(
        self, x_0: Tensor, x_t: Tensor, log_p: Tensor, alpha_s: Tensor, alpha_t: Tensor
    ) -> Tensor:
        """Return the weighted cross-entropy (α_s − α_t) / (1 − α_t) Σ −log p of masked places."""
        weight = (alpha_s - alpha_t) / (1 - alpha_t)
        return (weight * self.surprise(x_0, x_t, log_p)).flatten(1).sum(1)

    def rate(
        self, x_0: Tensor, x_t: Tensor, log_p: Tensor, alpha: Tensor, slope: Tensor
    ) -> Tensor:
        """Return −α' / (1 − α) Σ −log p of masked places."""
        return (slope / (1 - alpha) * self.surprise(x_0, x_t, log_p)).flatten(1).sum(1)

    def prior_divergence(self, alpha: float) -> float:
        """Return 0 if no place is kept, else infinity: π never draws a place that is shown."""
        return 0.0 if alpha == 0 else float("inf")

    def surprise(self, x_0: Tensor, x_t: Tensor, log_p: Tensor) -> Tensor:
        """Return −log p(x_0 | x_t) of masked places, 0 of others, (B, *shape)."""
        at_data = log_p.gather(-1, x_0.unsqueeze(-1)).squeeze(-1)
        return torch.where(x_t == self.mask, -at_data, 0.0)


class Uniform(Kernel):
    """A replaced place has any of the K categories, each with probability 1 / K.

    With q_t(x | v) = α_t [x = v] + (1 − α_t) / K, one reverse step draws x_s from

        q(x_t | x_s) Σ_v q_s(x_s | v) p(x_0 = v | x_t) / q_t(x_t | v).

    In continuous time a place x jumps to y ≠ x at the rate (β / K) Σ_v p(v | x) q_t(y | v) /
    q_t(x | v), with β = −α' / α. Divergences are computed in float64, since they are small
    differences.

    | A Continuous Time Framework for Discrete Denoising Models (Campbell et al., 2022)
    | Simple Guidance Mechanisms for Discrete Diffusion Models (Schiff et al., 2025)
    """

    uses_time = True

    def __init__(self, num_categories: int) -> None:
        super().__init__(num_categories)
        self.num_states = num_categories

    def log_noise(self, x_t: Tensor, alpha: Tensor) -> Tensor:
        """Return log q_t(x_t | v) of all v at each place, (B, *shape, K), in float64."""
        other = torch.log((1 - _places(alpha, x_t).double()) / self.num_categories)
        same = torch.log(_places(alpha, x_t).double() + other.exp())
        return torch.where(F.one_hot(x_t, self.num_categories).bool(), same, other)

    def replaced(self, like: Tensor, generator: torch.Generator) -> Tensor:
        """Return uniform draws of categories."""
        return torch.randint(
            self.num_categories, like.shape, generator=generator, device=like.device
        )

    def reverse(self, x_t: Tensor, p: Tensor, alpha_s: Tensor, alpha_t: Tensor) -> Tensor:
        """Return p(x_s | x_t)."""
        K, here = self.num_categories, F.one_hot(x_t, self.num_categories).to(p.dtype)
        a_s, a_t = (_places(alpha, x_t).to(p.dtype) for alpha in (alpha_s, alpha_t))
        w = p / (a_t * here + (1 - a_t) / K)
        before = a_s * w + (1 - a_s) / K * w.sum(-1, keepdim=True)
        step = a_t / a_s
        return (step * here + (1 - step) / K) * before

    def divergence(
        self, x_0: Tensor, x_t: Tensor, log_p: Tensor, alpha_s: Tensor, alpha_t: Tensor
    ) -> Tensor:
        """Return the divergence of the two categorical laws of x_s, summed over places."""
        truth = F.one_hot(x_0, self.num_categories).double()
        alphas = alpha_s.double(), alpha_t.double()
        q = self.reverse(x_t, truth, *alphas)
        p = self.reverse(x_t, log_p.double().exp(), *alphas)
        return torch.xlogy(q, q / p).flatten(1).sum(1)

    def rate(
        self, x_0: Tensor, x_t: Tensor, log_p: Tensor, alpha: Tensor, slope: Tensor
    ) -> Tensor:
        """Return Σ_y a_y log(a_y / b_y) − a_y + b_y, of the true and the model's rates of jumps.

        With r = b / a − 1 it is Σ a (r − log(1 + r)), which has no cancellation near r = 0.
        """
        K, here = self.num_categories, F.one_hot(x_t, self.num_categories).double()
        alpha, slope = _places(alpha, x_t).double(), _places(slope, x_t).double()
        truth, p = F.one_hot(x_0, K).double(), log_p.double().exp()
        at_x = alpha * here + (1 - alpha) / K
        # Ratios q(y | v) / q(x | v), averaged over v: by the truth, and their error.
        a = self._jumps(truth / at_x, alpha)
        r = self._jumps((p - truth) / at_x, alpha) / a
        each = a * (r - torch.log1p(r)) * (1 - here)
        return (slope / (alpha * K) * each).flatten(1).sum(1)

    def _jumps(self, w: Tensor, alpha: Tensor) -> Tensor:
        """Return Σ_v q_t(y | v) w_v for all y, (B, *shape, K)."""
        return alpha * w + (1 - alpha) / self.num_categories * w.sum(-1, keepdim=True)

    def prior_divergence(self, alpha: float) -> float:
        """Return log K minus the entropy of a place at t = 1."""
        K = self.num_categories
        q = torch.full((K,), (1 - alpha) / K, dtype=torch.float64)
        q[0] += alpha
        return float(torch.xlogy(q, q * K).sum())


def _places(alpha: Tensor, x: Tensor) -> Tensor:
    """Return α of each place, (B, *shape, 1)."""
    return alpha.expand(x.shape).unsqueeze(-1)


KERNELS: dict[str, type[Kernel]] = {"absorbing": Absorbing, "uniform": Uniform}
"""The kernels by name."""
