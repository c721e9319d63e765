"""Visible units with real values, normal given the hidden units."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from genzoo_boltzmann.couplings import Coupling
from genzoo_boltzmann.units import VisibleUnits


class GaussianVisible(VisibleUnits):
    """Real numbers, g₀ = −Σ_i (v_i − m_i)² / 2s_i² and g₁ = −Σ_i (v_i − b_i)² / 2σ_i².

    At β a unit given the others is normal with the precision τ = (1 − β)/s² + β/σ², and τ times
    its mean is (1 − β) m/s² + β (b/σ² + its field).

    Arguments:
        b: The means without hidden units, (V,).
        var: The variances σ², (V,).
        base_mean: The means m at β = 0, (V,).
        base_var: The variances s² at β = 0, (V,).
    """

    def __init__(self, b: Tensor, var: Tensor, base_mean: Tensor, base_var: Tensor) -> None:
        self.b, self.var, self.base_mean, self.base_var = b, var, base_mean, base_var

    @property
    def log_z0(self) -> float:
        """½ Σ_i log 2πs_i²."""
        return 0.5 * float((2 * math.pi * self.base_var.double()).log().sum())

    def start(self, num: int, generator: torch.Generator) -> Tensor:
        """Draw v ~ N(m, s²), (num, V)."""
        return _normal(self.base_mean.expand(num, -1), self.base_var.sqrt(), generator)

    def draw(
        self, coupling: Coupling, h: Tensor, beta: float | Tensor, generator: torch.Generator
    ) -> Tensor:
        """Draw v ~ p_β(v | h), (B, V)."""
        at = beta[:, None] if isinstance(beta, Tensor) else beta
        precision = (1 - at) / self.base_var + at / self.var
        base = (1 - at) * (self.base_mean / self.base_var)
        scaled = base + at * coupling.visible(self.b / self.var, h)
        return _normal(scaled / precision, precision.rsqrt(), generator)

    def log_weight(self, v: Tensor, beta: float | Tensor) -> Tensor:
        """Return (1 − β) g₀(v) + β g₁(v), (B,)."""
        base = ((v - self.base_mean) ** 2 / self.base_var).sum(1)
        own = ((v - self.b) ** 2 / self.var).sum(1)
        return -0.5 * ((1 - beta) * base + beta * own)

    def change(self, v: Tensor, old: float, new: float) -> Tensor:
        """Return (new − old)(g₁(v) − g₀(v)), (B,), in float64."""
        base = (v - self.base_mean) ** 2 / self.base_var
        own = (v - self.b) ** 2 / self.var
        return 0.5 * (new - old) * (base - own).sum(1, dtype=torch.float64)


def _normal(mean: Tensor, std: Tensor, generator: torch.Generator) -> Tensor:
    noise = torch.randn(mean.shape, generator=generator, device=mean.device, dtype=std.dtype)
    return mean + std * noise
