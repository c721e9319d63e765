"""The restricted Boltzmann machine with real visible units and binary hidden units."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genzoo.plugin import (
    Batch,
    Binary,
    Bounds,
    Config,
    DataInfo,
    Real,
    Space,
    Stage,
    Unit,
    batch_size_for,
)
from genzoo_boltzmann import enumeration, suiting
from genzoo_boltzmann.couplings import Dense
from genzoo_boltzmann.gaussian_units import GaussianVisible
from genzoo_boltzmann.machine import Gradients, Phase
from genzoo_boltzmann.natural_gradient import Statistics, Term
from genzoo_boltzmann.path import TwoBlockPath
from genzoo_boltzmann.precision import full_precision
from genzoo_boltzmann.two_blocks import TwoBlockMachine
from genzoo_boltzmann.units import BernoulliHidden

# The least variance of a unit, as a share of the mean variance of all: some may be constant.
_VARIANCE_FLOOR = 1e-4
# σ² follows the other parameters at this share of their rate: at the same rate it falls before
# the weights have found what the variance is for, and the chains stop mixing.
_VARIANCE_RATE = 0.1
# How many σ hidden units may move a visible unit at first.
_MOST_MOVED = 5.0


@dataclass(frozen=True, kw_only=True)
class GaussianRBMConfig(Config):
    """A Gaussian-Bernoulli restricted Boltzmann machine."""

    event: Space
    """Real numbers or grey values of any shape; each place is a visible unit."""
    num_hidden: Annotated[int, Bounds(1, 2**20)] = 128
    """The number of hidden units."""


class GaussianRBM(TwoBlockMachine[GaussianRBMConfig]):
    """A Gaussian-Bernoulli RBM, E(v, h) = Σ_i (v_i − b_i)²/2σ_i² − (v/σ²)ᵀWh − cᵀh.

    v_i given h is normal with mean (b + Wh)_i and variance σ_i²; p(h_j = 1 | v) = σ(c +
    Wᵀ(v/σ²))_j. So p(v) is a mixture of 2^H normal densities that share their variances, and it
    is exact if the hidden units can be enumerated. Parameters: ``W`` (visible × hidden), ``b``,
    ``c`` and ``log_var`` = log σ², which are learned together.

    Mean and variance of each visible unit over the training data are buffers: chains and annealed
    importance sampling start from them.

    | Improved Learning of Gaussian-Bernoulli Restricted Boltzmann Machines
    | (Cho, Ilin, Raiko, 2011)
    | Gaussian-binary Restricted Boltzmann Machines for Modeling Natural Image Statistics
    | (Melchior, Wang, Wiskott, 2017)

    Arguments:
        config: The space of the data and the number of hidden units.
    """

    Config = GaussianRBMConfig
    event_spaces = (Real, Unit)
    measure = "density"
    papers = (
        (
            "KyungHyun Cho, Alexander Ilin, Tapani Raiko. Improved Learning of Gaussian-Bernoulli "
            "Restricted Boltzmann Machines. ICANN, 2011."
        ),
        (
            "Jan Melchior, Nan Wang, Laurenz Wiskott. Gaussian-binary Restricted Boltzmann "
            "Machines for Modeling Natural Image Statistics. PLOS ONE 12(2), 2017."
        ),
    )
    limits = (
        (
            "All components of its mixture share one variance for each unit, so it does not fit "
            "data whose spread differs from place to place, nor values with hard ends."
        ),
        (
            "Grey values in [0, 1] are modelled as real numbers: samples may lie outside, and the "
            "density of values without added noise can grow without bound at places that are "
            "nearly constant. Add uniform noise to grey levels to compare likelihoods."
        ),
        (
            "With more than 22 hidden units, log Z is an estimate: read the likelihood with its "
            "interval, and do not use one that is marked unreliable."
        ),
    )

    W: nn.Parameter
    b: nn.Parameter
    c: nn.Parameter
    log_var: nn.Parameter
    base_mean: Tensor
    base_var: Tensor
    data_seen: Tensor

    def __init__(self, config: GaussianRBMConfig) -> None:
        super().__init__(config)
        num_visible, num_hidden = math.prod(self.event_shape), config.num_hidden
        self.W = nn.Parameter(torch.empty(num_visible, num_hidden).normal_(std=0.01))
        self.b = nn.Parameter(torch.zeros(num_visible))
        self.c = nn.Parameter(torch.zeros(num_hidden))
        self.log_var = nn.Parameter(torch.zeros(num_visible))
        self.register_buffer("base_mean", torch.zeros(num_visible))
        self.register_buffer("base_var", torch.ones(num_visible))
        self.register_buffer("data_seen", torch.zeros((), dtype=torch.bool))

    @classmethod
    def example(cls) -> tuple[GaussianRBMConfig, Batch]:
        """Return the config of a machine of 2 + 3 units, and eight rows."""
        x = torch.randn(8, 2, generator=torch.Generator().manual_seed(0))
        return GaussianRBMConfig(event=Real(shape=(2,)), num_hidden=3), {"x": x}

    @classmethod
    def configure(
        cls, info: DataInfo, conditions: Sequence[str] | None = None, **overrides: Any
    ) -> GaussianRBMConfig:
        """Return a config that fits the data; see `suiting.num_mixing`."""
        cls.check_event(info)
        fitted = suiting.num_mixing(info[cls.event_field])
        return super().configure(info, conditions, **{"num_hidden": fitted, **overrides})

    @classmethod
    def default_stages(cls, config: GaussianRBMConfig) -> tuple[Stage, ...]:
        """Return centred persistent contrastive divergence; see `suiting.real_learning`."""
        return (suiting.real_learning(),)

    @property
    def default_batch_size(self) -> int:
        """The number of chains that run at once, by the larger layer."""
        return batch_size_for(max(self.W.shape))

    # Conditionals

    @property
    def var(self) -> Tensor:
        """The variances σ², (V,)."""
        return self.log_var.exp()

    def hidden_logits(self, v: Tensor) -> Tensor:
        """Return c + Wᵀ(v/σ²), (B, H), for visible units (B, V)."""
        return torch.addmm(self.c, v * (-self.log_var).exp(), self.W)

    def visible_mean(self, h: Tensor) -> Tensor:
        """Return E[v | h] = b + Wh, (B, V), for hidden units (B, H)."""
        return torch.addmm(self.b, h, self.W.T)

    @property
    def codes(self) -> Space:
        """The hidden units, (H,)."""
        return Binary(shape=(self.config.num_hidden,))

    # Chains and learning

    def path(self, *, dtype: torch.dtype | None = None) -> TwoBlockPath:
        """Return the geometric path from independent normal units with the data's moments."""
        dtype = dtype or self.dtype
        b, var = self.b.detach().to(dtype), self.var.detach().to(dtype)
        coupling = Dense(self.W.detach().to(dtype) / var[:, None], self.c, dtype)
        visible = GaussianVisible(b, var, self.base_mean.to(dtype), self.base_var.to(dtype))
        return TwoBlockPath(visible, BernoulliHidden(len(self.c)), coupling)

    def start(self, num: int, generator: torch.Generator) -> Tensor:
        """Draw v from independent normal units with the data's moments, (num, V)."""
        return self.path().start(num, generator)

    def free_energies(self, state: Tensor) -> Tensor:
        """Return F(v) = Σ_i (v_i − b_i)²/2σ_i² − Σ_j log(1 + exp(c + Wᵀ(v/σ²))_j), (B,)."""
        with full_precision(self.device):
            dtype = torch.promote_types(state.dtype, self.dtype)
            v, precision = state.to(dtype), (-self.log_var.to(dtype)).exp()
            field = torch.addmm(self.c.to(dtype), v * precision, self.W.to(dtype))
            return 0.5 * ((v - self.b) ** 2 * precision).sum(1) - F.softplus(field).sum(1)

    @torch.no_grad()
    def phase(self, state: Tensor) -> Phase:
        """Return the phase of visible units (B, V)."""
        return Phase(state, self.hidden_logits(state).to(state.dtype).sigmoid_())

    @torch.no_grad()
    def contrast(self, data: Phase, chain: Phase, *, centred: bool) -> Gradients:
        """Return the gradient of `difference` by parameter, in the metric of σ².

        With p = p(h | v): ∂F/∂W = −(v/σ²)pᵀ, ∂F/∂b = −(v − b)/σ², ∂F/∂c = −p and ∂F/∂log σ² =
        −(v − b)²/2σ² + (v/σ²)Wp. Those of b_i and W_i are multiplied by σ_i², the inverse of their
        Fisher information given h, so that learning does not depend on the unit of v, and that of
        log σ² by 0.1. The centred gradient is that of the machine around the data's mean μ and
        the mean λ of p over the data, transformed back; see `binary_gradient`.
        """
        v, p = torch.cat([data.state, chain.state]), torch.cat([data.p, chain.p])
        sign = p.new_full((len(p), 1), 1 / len(chain.p))
        sign[: len(data.p)] = -1 / len(data.p)
        precision = (-self.log_var).exp()
        d_b, d_c = (sign * v).sum(0), (sign * p).sum(0)
        d_W = v.T @ (sign * p)
        spread = 0.5 * (sign * (v - self.b) ** 2).sum(0)
        d_log_var = precision * (spread - (sign * v * (p @ self.W.T)).sum(0))
        if centred:
            mu, lam = self.base_mean, data.p.mean(0)
            d_W = d_W - torch.outer(mu, d_c) - torch.outer(d_b, lam)
            d_b, d_c = d_b - d_W @ lam, d_c - d_W.T @ (mu * precision)
        d_log_var = _VARIANCE_RATE * d_log_var
        return {self.W: d_W, self.b: d_b, self.c: d_c, self.log_var: d_log_var}

    @torch.no_grad()
    def statistics(self, data: Phase, chain: Phase, *, centred: bool) -> Statistics:
        """Return −∂F by W/σ, b/σ, c and √10 log σ² around the offsets of `contrast`."""
        sigma, rate = (0.5 * self.log_var).exp(), math.sqrt(_VARIANCE_RATE)
        mu, lam = torch.zeros_like(self.b), torch.zeros_like(self.c)
        if centred:
            mu, lam = self.base_mean, data.p.mean(0)

        def terms(phase: Phase) -> list[Term]:
            v, p = (phase.state - mu) / sigma, phase.p - lam
            mean = phase.p @ self.W.T
            spread = 0.5 * (phase.state - self.b) ** 2 - phase.state * mean
            return [Term(v, p), Term(v), Term(p), Term(rate * spread / self.var)]

        def step(found: Sequence[Tensor]) -> Gradients:
            d_W, d_b, d_c, d_log_var = found
            d_W, d_b = sigma[:, None] * d_W, sigma * d_b
            d_b, d_c = d_b - d_W @ lam, d_c - d_W.T @ (mu / self.var)
            return {self.W: d_W, self.b: d_b, self.c: d_c, self.log_var: rate * d_log_var}

        return Statistics(terms(data), terms(chain), step)

    def sum_terms(self) -> tuple[Tensor, ...]:
        """Return the weights of v, W/σ², and the biases."""
        precision = (-self.log_var).exp()
        return self.W * precision[:, None], self.b * precision, self.c, self.log_var.exp()

    def connections(self) -> Tensor:
        """Return W/σ, the weights of visible units of variance 1, (V, H)."""
        return self.W.detach() * (-0.5 * self.log_var.detach()).exp()[:, None]

    # log Z

    @property
    def num_bits(self) -> int:
        """The number of hidden units."""
        return len(self.c)

    def log_sum(self) -> Tensor:
        """Return log Z, a float64 scalar: log Σ_h of the masses of 2^H normal components.

        log Σ_h exp(cᵀh + Σ_i ((b + Wh)_i² − b_i²)/2σ_i² + ½ log 2πσ_i²).
        """
        with full_precision(self.device):
            W, b, c, log_var = (p.double() for p in (self.W, self.b, self.c, self.log_var))
            constant = 0.5 * (math.log(2 * math.pi) + log_var).sum()
            return constant + enumeration.log_sum(_log_mass, len(c), W, b, c, (-log_var).exp())

    # Data

    def needs_data_init(self) -> bool:
        """Whether the statistics of the data are still missing."""
        return not bool(self.data_seen)

    @torch.no_grad()
    def init_from_data(self, batch: Batch, info: DataInfo) -> None:
        """Set the base, b and σ² to the data's mean and variance; small σ make weights smaller.

        Hidden units move v_i by about ‖W_i‖/2. Where that is more than 5σ_i, as at places that are
        nearly constant, chains would leave the data and σ² would follow them.
        """
        x = batch["x"].flatten(1).double()
        mean = info.mean["x"].flatten().double().to(x.device) if "x" in info.mean else x.mean(0)
        var = ((x - mean) ** 2).mean(0)
        floor = _VARIANCE_FLOOR * var.mean()
        var = var.clamp_min(float(floor) or 1.0)
        self.base_mean.copy_(mean)
        self.base_var.copy_(var)
        self.b.copy_(mean)
        self.log_var.copy_(var.log())
        moved = 0.5 * torch.linalg.vector_norm(self.W, dim=1)
        self.W.mul_((_MOST_MOVED * self.var.sqrt() / moved).clamp_max(1)[:, None])
        self.data_seen.fill_(True)

    def filters(self) -> Tensor:
        """Return the weights of each hidden unit, (H, *event_shape)."""
        return self.to_data(self.W.detach().T)


def _log_mass(h: Tensor, W: Tensor, b: Tensor, c: Tensor, precision: Tensor) -> Tensor:
    """Return cᵀh + Σ_i ((b + Wh)_i² − b_i²)/2σ_i², (B,), for states h (B, H)."""
    mean = torch.addmm(b, h, W.T)
    return h @ c + 0.5 * ((mean**2 - b**2) * precision).sum(1)
