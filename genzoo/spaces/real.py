"""Real: rows of any finite numbers."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from genzoo.spaces.rules import LARGEST, Rule, same
from genzoo.spaces.shaped import Shaped
from genzoo.spaces.space import Space

_FREEDOM = 3.0


@dataclass(frozen=True, kw_only=True)
class Real(Shaped):
    """Finite real numbers, (B, *shape) of float32."""

    @property
    def is_discrete(self) -> bool:
        """False."""
        return False

    @property
    def has_means(self) -> bool:
        """True."""
        return True

    def reference(self, num: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Draw each number from Student's t with 3 degrees of freedom, which has heavy tails."""
        centre = torch.zeros(self.num_dims, dtype=torch.float64)
        return self._student(num, generator, centre, torch.ones_like(centre))

    def reference_around(
        self, rows: Tensor, num: int, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """Draw from Student's t with the mean and 1.2 times the standard deviation of ``rows``."""
        flat = rows.detach().cpu().double().flatten(1)
        return self._student(num, generator, flat.mean(0), 1.2 * flat.std(0).clamp_min(1e-3))

    def _student(
        self, num: int, generator: torch.Generator, centre: Tensor, spread: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Draw t = z √(ν / χ²_ν) from four normal numbers each, and return the log-density."""
        shape, nu = (num, len(centre)), _FREEDOM
        normal = torch.randn((*shape, 1 + int(nu)), generator=generator, dtype=torch.float64)
        t = normal[..., 0] * (nu / normal[..., 1:].square().sum(-1)).sqrt()
        constant = math.lgamma((nu + 1) / 2) - math.lgamma(nu / 2) - 0.5 * math.log(nu * math.pi)
        log_density = constant - (nu + 1) / 2 * (t.square() / nu).log1p() - spread.log()
        return (centre + spread * t).reshape(num, *self.shape), log_density.sum(1)

    def accepts(self, other: Space) -> str | None:
        """Accept Real of the same shape."""
        return self.shape_differs(other) if isinstance(other, Real) else f"they are {other}"

    def rules(self, values: Tensor) -> list[Rule]:
        """Return the rule: x is finite."""
        return [(same, -LARGEST, LARGEST)]

    def remedy(self, value: float, noun: str) -> str:
        """Return the remedy for numbers that are not finite."""
        return f"Remove or fill such {noun}s."

    def __str__(self) -> str:
        return "finite numbers"
