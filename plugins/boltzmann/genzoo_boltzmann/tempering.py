"""The geometric path from the model of the base rates to a machine."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from genzoo_boltzmann.fast_bernoulli import bernoulli
from genzoo_boltzmann.sparse_binary import binary_addmm, few_ones

if TYPE_CHECKING:
    from genzoo_boltzmann.rbm import RBM

# The largest error of one hidden unit's part of `TemperedPath.change` by the fast identity in
# float32, over all fields and temperatures: 3e-7 at an exponent of 1, 6e-6 at 4, 4e-5 at 6, 1e-3
# at 10, 0.2 at 16, and infinite from 17. Up to 4 it is that of two softplus in float32, or less.
_SAFE_EXPONENT = 4.0


class TemperedPath:
    """Machines p_β(v, h) ∝ exp((1 − β) aᵀv + β(vᵀWh + bᵀv + cᵀh)) for β from 0 to 1.

    At 0 the visible units are independent with the base rates, a = logit(base rates), and the
    hidden units are fair coins, so log Z₀ = Σ_i log(1 + exp a_i) + H log 2; at 1 it is the
    machine.

    | On the Quantitative Analysis of Deep Belief Networks (Salakhutdinov, Murray, 2008)

    Arguments:
        model: The machine.
        uniform: Whether the path starts from fair coins instead of the base rates. This worse path
            is kept to show that bad estimates are flagged.
        dtype: The dtype of its values and states; by default that of the model.

    Its weights are detached, so nothing that is computed with it has a gradient.
    """

    def __init__(
        self, model: RBM, *, uniform: bool = False, dtype: torch.dtype | None = None
    ) -> None:
        dtype = model.dtype if dtype is None else dtype
        self.W, self.b, self.c = (p.detach().to(dtype) for p in (model.W, model.b, model.c))
        rates = model.base_rates.to(dtype)
        self.a = torch.zeros_like(self.b) if uniform else torch.logit(rates)
        self.num_hidden = len(self.c)
        # The maximum of |c + vᵀW| over all v.
        self._steepest = float((self.W.abs().sum(0) + self.c.abs()).max())

    @property
    def log_z0(self) -> float:
        """Log Z at β = 0, in nats."""
        return float(F.softplus(self.a.double()).sum()) + self.num_hidden * math.log(2)

    def start(self, num: int, generator: torch.Generator) -> Tensor:
        """Draw v ~ p_0, (num, V)."""
        return bernoulli(self.a.sigmoid().expand(num, -1), generator)

    def field(self, v: Tensor) -> Tensor:
        """Return c + vᵀW, (B, H), the fields of the hidden units at β = 1."""
        return binary_addmm(self.c, v, self.W, few_ones(v, self.W))

    def visible(self, h: Tensor, beta: float, generator: torch.Generator) -> Tensor:
        """Draw v ~ p_β(v | h), (B, V)."""
        bias = torch.lerp(self.a, self.b, beta)
        return bernoulli(torch.addmm(bias, h, self.W.T, alpha=beta).sigmoid_(), generator)

    def log_unnormalized(self, v: Tensor, field: Tensor, beta: float | Tensor) -> Tensor:
        """Return log p*_β(v) = ((1 − β)a + βb)ᵀv + Σ_j log(1 + exp β(c + vᵀW)_j), (B,)."""
        bias = (1 - beta) * (v @ self.a) + beta * (v @ self.b)
        column = beta[:, None] if isinstance(beta, Tensor) else beta
        return bias.double() + F.softplus(column * field).sum(1, dtype=torch.float64)

    def sweep(self, v: Tensor, generator: torch.Generator) -> Tensor:
        """Draw h ~ p_1(h | v), then v ~ p_1(v | h), which leaves the machine's p invariant."""
        return self.visible(bernoulli(self.field(v).sigmoid_(), generator), 1.0, generator)

    def step(
        self, v: Tensor, old: float, new: float, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """Return log p*_new(v) − log p*_old(v), (B,) float64, and v after a sweep at ``new``."""
        field = self.field(v)
        probs = torch.sigmoid(field * new)
        change = self._change(v, field, probs, old, new)
        return change, self.visible(bernoulli(probs, generator), new, generator)

    def change(self, v: Tensor, old: float, new: float) -> Tensor:
        """Return log p*_new(v) − log p*_old(v), (B,), in float64."""
        field = self.field(v)
        return self._change(v, field, torch.sigmoid(field * new), old, new)

    def _change(self, v: Tensor, field: Tensor, probs: Tensor, old: float, new: float) -> Tensor:
        bias = (v @ (self.b - self.a)).double() * (new - old)
        return bias.add_(self._softplus_change(field, probs, old, new))

    def _softplus_change(self, field: Tensor, probs: Tensor, old: float, new: float) -> Tensor:
        """Return Σ_j log(1 + e^{new f}) − log(1 + e^{old f}), (B,), using σ(new f) once more.

        It is −Σ_j log(1 + σ(new f)(e^{(old − new) f} − 1)), which is cheaper than two softplus.
        For a large exponent the argument of the logarithm suffers from cancellation, so two
        softplus in float64 are used. ``field`` is overwritten.
        """
        if abs(new - old) * self._steepest > _SAFE_EXPONENT:
            f = field.double()
            return (F.softplus(f * new) - F.softplus(f * old)).sum(1)
        factor = field.mul_(old - new).expm1_().mul_(probs).log1p_()
        return factor.sum(1, dtype=torch.float64).neg_()
