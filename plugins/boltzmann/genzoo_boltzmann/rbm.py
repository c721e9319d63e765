"""The restricted Boltzmann machine with binary units."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.distributions import Bernoulli

from genzoo.plugin import Batch, Binary, Bounds, Config, DataInfo, Space, Stage, batch_size_for
from genzoo_boltzmann import binary_gradient, enumeration, suiting
from genzoo_boltzmann.binary_machine import BinaryMachine
from genzoo_boltzmann.couplings import BinaryDense
from genzoo_boltzmann.fast_bernoulli import bernoulli
from genzoo_boltzmann.machine import Gradients, Phase
from genzoo_boltzmann.natural_gradient import Statistics
from genzoo_boltzmann.path import TwoBlockPath
from genzoo_boltzmann.precision import full_precision
from genzoo_boltzmann.two_blocks import TwoBlockMachine
from genzoo_boltzmann.units import BernoulliHidden, BernoulliVisible


@dataclass(frozen=True, kw_only=True)
class RBMConfig(Config):
    """A restricted Boltzmann machine."""

    event: Space
    """Zeros and ones of any shape; each place is a visible unit."""
    num_hidden: Annotated[int, Bounds(1, 2**20)] = suiting.MOST_HIDDEN
    """The number of hidden units."""


class RBM(BinaryMachine, TwoBlockMachine[RBMConfig]):
    """A restricted Boltzmann machine of binary units, E(v, h) = −vᵀWh − bᵀv − cᵀh.

    p(v, h) = exp(−E(v, h)) / Z. Both conditionals factorise: p(h_j = 1 | v) = σ(c + vᵀW)_j and
    p(v_i = 1 | h) = σ(b + Wh)_i. Parameters: ``W`` (visible × hidden), ``b`` and ``c``.

    The base rates, the mean of each visible unit over the training data, are kept as a buffer:
    chains and annealed importance sampling start from them.

    | Training Products of Experts by Minimizing Contrastive Divergence (Hinton, 2002)
    | A Practical Guide to Training Restricted Boltzmann Machines (Hinton, 2010)

    Arguments:
        config: The space of the data and the number of hidden units.
    """

    Config = RBMConfig
    event_spaces = (Binary,)
    papers = (
        (
            "Paul Smolensky. Information Processing in Dynamical Systems: Foundations of Harmony "
            "Theory. In: Parallel Distributed Processing, volume 1, MIT Press, 1986."
        ),
        (
            "Geoffrey E. Hinton. Training Products of Experts by Minimizing Contrastive "
            "Divergence. Neural Computation 14(8), 2002."
        ),
        (
            "Tijmen Tieleman. Training Restricted Boltzmann Machines using Approximations to the "
            "Likelihood Gradient. ICML, 2008."
        ),
        (
            "Ruslan Salakhutdinov, Iain Murray. On the Quantitative Analysis of Deep Belief "
            "Networks. ICML, 2008."
        ),
    )
    limits = (
        (
            "Its units and samples are zeros and ones: grey images must be binarised first, "
            "and likelihoods under different binarisations cannot be compared."
        ),
        (
            "With more than 22 units in both layers, log Z is an estimate: read the likelihood "
            "with its interval, and do not use one that is marked unreliable."
        ),
        (
            "Its chains mix slowly. Samples after few sweeps have too many of some kinds of data "
            "and too few of others; the sampler tempered-gibbs takes longer and mixes better."
        ),
    )

    W: nn.Parameter
    b: nn.Parameter
    c: nn.Parameter

    def __init__(self, config: RBMConfig) -> None:
        super().__init__(config)
        num_visible, num_hidden = math.prod(self.event_shape), config.num_hidden
        self.W = nn.Parameter(torch.empty(num_visible, num_hidden).normal_(std=0.01))
        self.b = nn.Parameter(torch.zeros(num_visible))
        self.c = nn.Parameter(torch.zeros(num_hidden))
        self.register_buffer("base_rates", torch.full((num_visible,), 0.5))
        self.register_buffer("data_seen", torch.zeros((), dtype=torch.bool))

    @classmethod
    def example(cls) -> tuple[RBMConfig, Batch]:
        """Return the config of a machine of 6 + 4 units, and eight rows."""
        x = torch.rand(8, 1, 2, 3, generator=torch.Generator().manual_seed(0)).round()
        return RBMConfig(event=Binary(shape=(1, 2, 3)), num_hidden=4), {"x": x}

    @classmethod
    def configure(
        cls, info: DataInfo, conditions: Sequence[str] | None = None, **overrides: Any
    ) -> RBMConfig:
        """Return a config that fits the data; see `suiting.num_hidden`."""
        cls.check_event(info)
        fitted = suiting.num_hidden(info[cls.event_field])
        return super().configure(info, conditions, **{"num_hidden": fitted, **overrides})

    @classmethod
    def default_stages(cls, config: RBMConfig) -> tuple[Stage, ...]:
        """Return centred persistent contrastive divergence; see `suiting.learning`."""
        return (suiting.learning(config.event),)

    @property
    def default_batch_size(self) -> int:
        """The number of chains that run at once, by the larger layer."""
        return batch_size_for(max(self.W.shape))

    # Conditionals

    def hidden_logits(self, v: Tensor) -> Tensor:
        """Return c + vᵀW, (B, H), for visible units (B, V)."""
        return torch.addmm(self.c, v, self.W)

    def visible_logits(self, h: Tensor) -> Tensor:
        """Return b + Wh, (B, V), for hidden units (B, H)."""
        return torch.addmm(self.b, h, self.W.T)

    def hidden_given(self, x: Tensor) -> Bernoulli:
        """Return p(h | x), (B, H), for examples (B, *event_shape)."""
        return Bernoulli(logits=self.hidden_logits(x.flatten(1)))

    def visible_given(self, h: Tensor) -> Bernoulli:
        """Return p(v | h), (B, *event_shape), for hidden units (B, H)."""
        return Bernoulli(logits=self.to_data(self.visible_logits(h)))

    def visible_mean(self, h: Tensor) -> Tensor:
        """Return p(v_i = 1 | h), (B, V)."""
        return self.visible_logits(h).sigmoid()

    @property
    def codes(self) -> Space:
        """The hidden units, (H,)."""
        return Binary(shape=(self.config.num_hidden,))

    # Chains and learning

    def path(self, *, dtype: torch.dtype | None = None, uniform: bool = False) -> TwoBlockPath:
        """Return p*_β = exp((1 − β) aᵀv + β(vᵀWh + bᵀv + cᵀh)), with a = logit(base rates).

        At β = 0 the hidden units are fair coins.

        Arguments:
            dtype: The dtype of its values and states; by default that of the model.
            uniform: Whether the visible units are fair coins at β = 0 too. This worse path is kept
                to show that bad estimates are flagged.
        """
        coupling = BinaryDense(self.W, self.c, dtype)
        rates = self.base_rates.to(coupling.dtype)
        rates = torch.full_like(rates, 0.5) if uniform else rates
        visible = BernoulliVisible(self.b.detach().to(coupling.dtype), rates)
        return TwoBlockPath(visible, BernoulliHidden(len(self.c)), coupling)

    def start(self, num: int, generator: torch.Generator) -> Tensor:
        """Draw v from the independent model of the base rates, (num, V)."""
        return bernoulli(self.base_rates.expand(num, -1), generator)

    def phase(self, state: Tensor) -> Phase:
        """Return the phase of visible units (B, V)."""
        return binary_gradient.phase(self.W.detach(), self.c.detach(), state)

    def contrast(self, data: Phase, chain: Phase, *, centred: bool) -> Gradients:
        """Return the gradient of `difference` by parameter; see `binary_gradient`."""
        rates = self.base_rates if centred else None
        found = binary_gradient.contrast(self.W.detach(), self.c.detach(), data, chain, rates)
        return dict(zip((self.W, self.b, self.c), found, strict=True))

    def statistics(self, data: Phase, chain: Phase, *, centred: bool) -> Statistics:
        """Return v and p around the offsets, and their products; see `binary_gradient`."""
        rates = self.base_rates if centred else None
        parameters = self.W, self.b, self.c
        return binary_gradient.statistics(parameters, data, chain, rates)

    def sum_terms(self) -> tuple[Tensor, ...]:
        """Return W, b and c."""
        return self.W, self.b, self.c

    # log Z

    @property
    def num_bits(self) -> int:
        """The number of units of the smaller layer."""
        return min(self.W.shape)

    def log_sum(self) -> Tensor:
        """Return log Z by a sum over all states of the smaller layer, in float64.

        It is log Σ_h exp(cᵀh + Σ_i log(1 + exp(b + Wh)_i)), or with exchanged layers.
        """
        with full_precision(self.device):
            W, b, c = self.W.double(), self.b.double(), self.c.double()
            if W.shape[0] < W.shape[1]:
                W, b, c = W.T, c, b
            return enumeration.log_sum_two_layers(W, b, c)

    # Energies

    def joint_energy(self, v: Tensor, h: Tensor) -> Tensor:
        """Return E(v, h) = −vᵀWh − bᵀv − cᵀh, (B,), for units (B, V) and (B, H).

        It is computed in the wider dtype of ``v`` and the parameters, also under autocast.
        """
        with full_precision(self.device):
            v, W, b, c = self._widened(v)
            h = h.to(v.dtype)
            return -((v @ W) * h).sum(1) - v @ b - h @ c

    def free_energy(self, v: Tensor) -> Tensor:
        """Return F(v) = −bᵀv − Σ_j log(1 + exp(c + vᵀW)_j) = −log Σ_h exp(−E(v, h)), (B,).

        It is computed in the wider one of the types of ``v`` and the parameters, also under
        autocast: give ``v`` in float64 where it becomes a figure.

        Raises:
            DataError: ``v`` does not have zeros and ones, (B, V).
        """
        self.check_rows(v, space=Binary(shape=(len(self.b),)))
        return self.free_energies(v.to(self.device))

    def free_energies(self, state: Tensor) -> Tensor:
        """Return F(v), (B,), of visible units (B, V), unchecked."""
        with full_precision(self.device):
            v, W, b, c = self._widened(state)
            return -(v @ b) - F.softplus(torch.addmm(c, v, W)).sum(1)

    def _widened(self, v: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        dtype = torch.promote_types(v.dtype, self.dtype)
        return v.to(dtype), self.W.to(dtype), self.b.to(dtype), self.c.to(dtype)

    # Pictures

    def filters(self) -> Tensor:
        """Return the weights of each hidden unit, (H, *event_shape)."""
        return self.to_data(self.W.detach().T)
