"""Blocks of units that are independent given their fields, at every temperature."""

from __future__ import annotations

import abc
import functools
import math

import torch
import torch.nn.functional as F
from torch import Tensor

from genzoo_boltzmann.couplings import Coupling
from genzoo_boltzmann.fast_bernoulli import bernoulli

# The largest error of one hidden unit's part of `BernoulliHidden.change` by the fast identity in
# float32, over all fields and temperatures: 3e-7 at an exponent of 1, 6e-6 at 4, 4e-5 at 6, 1e-3
# at 10, 0.2 at 16, and infinite from 17. Up to 4 it is that of two softplus in float32, or less.
SAFE_EXPONENT = 4.0


class VisibleUnits(abc.ABC):
    """Abstract base class: visible units between their base, g₀ at β = 0, and g₁ at β = 1."""

    @property
    @abc.abstractmethod
    def log_z0(self) -> float:
        """Log Σ exp g₀(v) over all v, or the integral, in nats."""

    @abc.abstractmethod
    def start(self, num: int, generator: torch.Generator) -> Tensor:
        """Draw v ∝ exp g₀(v), (num, V)."""

    @abc.abstractmethod
    def draw(
        self, coupling: Coupling, h: Tensor, beta: float | Tensor, generator: torch.Generator
    ) -> Tensor:
        """Draw v ~ p_β(v | h), (B, V); ``beta`` may differ by row, (B,)."""

    @abc.abstractmethod
    def log_weight(self, v: Tensor, beta: float | Tensor) -> Tensor:
        """Return (1 − β) g₀(v) + β g₁(v), (B,)."""

    @abc.abstractmethod
    def change(self, v: Tensor, old: float, new: float) -> Tensor:
        """Return `log_weight` at ``new`` minus that at ``old``, (B,), in float64."""


class HiddenUnits(abc.ABC):
    """Abstract base class: hidden units whose states are equally likely without a field."""

    @property
    @abc.abstractmethod
    def log_num_states(self) -> float:
        """The logarithm of the number of states of the block."""

    @abc.abstractmethod
    def probabilities(self, field: Tensor) -> Tensor:
        """Return the probability that each unit is on, (B, H), for fields (B, H)."""

    @abc.abstractmethod
    def draw(self, p: Tensor, generator: torch.Generator) -> Tensor:
        """Draw the units, (B, H), from their `probabilities`."""

    @abc.abstractmethod
    def log_sum(self, field: Tensor) -> Tensor:
        """Return log Σ_h exp(fieldᵀh), (B,), in float64."""

    @abc.abstractmethod
    def change(self, field: Tensor, p: Tensor, old: float, new: float, exponent: float) -> Tensor:
        """Return `log_sum` of new · field minus that of old · field, (B,), in float64.

        Arguments:
            field: The fields at β = 1, which may be overwritten.
            p: The probabilities at ``new``.
            old: The temperature before.
            new: The temperature after.
            exponent: A bound of |(new − old) · field|.
        """


class BernoulliVisible(VisibleUnits):
    """Zeros and ones, g₀ = aᵀv and g₁ = bᵀv.

    Arguments:
        b: The biases at β = 1, (V,).
        rates: The probabilities of ones at β = 0, (V,).
    """

    def __init__(self, b: Tensor, rates: Tensor) -> None:
        self.b, self.rates = b, rates

    @functools.cached_property
    def a(self) -> Tensor:
        """The biases at β = 0, (V,)."""
        return torch.logit(self.rates)

    @property
    def log_z0(self) -> float:
        """Σ_i log(1 + exp a_i)."""
        return float(F.softplus(self.a.double()).sum())

    def start(self, num: int, generator: torch.Generator) -> Tensor:
        """Draw v with probabilities σ(a), (num, V)."""
        return bernoulli(self.a.sigmoid().expand(num, -1), generator)

    def draw(
        self, coupling: Coupling, h: Tensor, beta: float | Tensor, generator: torch.Generator
    ) -> Tensor:
        """Draw v with probabilities σ((1 − β)a + β(b + Wh)), (B, V)."""
        if isinstance(beta, Tensor):
            column = beta[:, None]
            logits = (1 - column) * self.a + column * coupling.visible(self.b, h)
        else:
            bias = self.b if beta == 1 else torch.lerp(self.a, self.b, beta)
            logits = coupling.visible(bias, h, beta)
        return bernoulli(logits.sigmoid_(), generator)

    def log_weight(self, v: Tensor, beta: float | Tensor) -> Tensor:
        """Return (1 − β) aᵀv + β bᵀv, (B,)."""
        return (1 - beta) * (v @ self.a) + beta * (v @ self.b)

    def change(self, v: Tensor, old: float, new: float) -> Tensor:
        """Return (new − old)(b − a)ᵀv, (B,), in float64."""
        return (v @ (self.b - self.a)).double() * (new - old)


class BernoulliHidden(HiddenUnits):
    """Zeros and ones.

    Arguments:
        num: The number of units.
    """

    def __init__(self, num: int) -> None:
        self.num = num

    @property
    def log_num_states(self) -> float:
        """H log 2."""
        return self.num * math.log(2)

    def probabilities(self, field: Tensor) -> Tensor:
        """Return σ(field), (B, H)."""
        return field.sigmoid()

    def draw(self, p: Tensor, generator: torch.Generator) -> Tensor:
        """Draw zeros and ones, (B, H)."""
        return bernoulli(p, generator)

    def log_sum(self, field: Tensor) -> Tensor:
        """Return Σ_j log(1 + exp field_j), (B,), in float64."""
        return F.softplus(field).sum(1, dtype=torch.float64)

    def change(self, field: Tensor, p: Tensor, old: float, new: float, exponent: float) -> Tensor:
        """Return Σ_j log(1 + e^{new f}) − log(1 + e^{old f}), (B,), using p = σ(new f) once more.

        It is −Σ_j log(1 + p(e^{(old − new) f} − 1)), which is cheaper than two softplus. For a
        large exponent the argument of the logarithm suffers from cancellation, so two softplus in
        float64 are used.
        """
        if exponent > SAFE_EXPONENT:
            f = field.double()
            return (F.softplus(f * new) - F.softplus(f * old)).sum(1)
        factor = field.mul_(old - new).expm1_().mul_(p).log1p_()
        return factor.sum(1, dtype=torch.float64).neg_()
