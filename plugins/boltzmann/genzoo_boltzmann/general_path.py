"""The tempered distributions of a general machine, whose units are in any number of blocks."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from genzoo_boltzmann.fast_bernoulli import bernoulli
from genzoo_boltzmann.graph import Blocks
from genzoo_boltzmann.path import Path


def split_free_energy(J: Tensor, theta: Tensor, kept: Tensor, out: Tensor, s: Tensor) -> Tensor:
    """Return −log Σ exp(½ uᵀJu + θᵀu) over the units ``out``, (B,), given the others s (B, D)."""
    linear = theta[kept] + 0.5 * (s @ J[kept][:, kept])
    field = torch.addmm(theta[out], s, J[kept][:, out])
    return -(s * linear).sum(1) - F.softplus(field).sum(1)


class GeneralPath(Path):
    """p*_β(u) = exp((1 − β) aᵀv + β(½ uᵀJu + θᵀu)) for all units u, the visible ones v first.

    At β = 0 the visible units are independent with the base rates, a = logit(rates), and the
    hidden units are fair coins.

    Arguments:
        J: The weights of all pairs, symmetric with a zero diagonal, (N, N).
        theta: The biases, (N,).
        rates: The probabilities of visible ones at β = 0, (V,).
        blocks: The units in blocks.
    """

    def __init__(self, J: Tensor, theta: Tensor, rates: Tensor, blocks: Blocks) -> None:
        super().__init__(J.dtype, J.device)
        self.J, self.theta, self.blocks = J, theta, blocks
        self.a = torch.zeros_like(theta)
        self.a[: len(rates)] = torch.logit(rates)
        self._kept_J, self._out_J = J[blocks.kept][:, blocks.kept], J[blocks.kept][:, blocks.out]
        self._columns = [J[:, block].contiguous() for block in blocks.colours]

    @property
    def log_z0(self) -> float:
        """Σ_i log(1 + exp a_i) over all units, log 2 for a hidden one."""
        return float(F.softplus(self.a.double()).sum())

    def start(self, num: int, generator: torch.Generator) -> Tensor:
        """Draw states of independent units, (num, D)."""
        return bernoulli(self.a[self.blocks.kept].sigmoid().expand(num, -1), generator)

    def field(self, state: Tensor) -> Tensor:
        """Return the fields of the units that are summed out, (B, M)."""
        return torch.addmm(self.theta[self.blocks.out], state, self._out_J)

    def log_unnormalized(self, state: Tensor, field: Tensor, beta: float | Tensor) -> Tensor:
        """Return log p*_β(state), (B,), in float64."""
        kept = self.blocks.kept
        energy = (state * (self.theta[kept] + 0.5 * (state @ self._kept_J))).sum(1)
        own = (1 - beta) * (state @ self.a[kept]) + beta * energy
        column = beta[:, None] if isinstance(beta, Tensor) else beta
        return own.double() + F.softplus(column * field).sum(1, dtype=torch.float64)

    def sweep(
        self, state: Tensor, generator: torch.Generator, beta: float | Tensor = 1.0
    ) -> Tensor:
        """Draw the units that are summed out, then each block of the others, given the rest."""
        return self._sweep(state, generator, beta)

    def clamped_sweep(self, state: Tensor, free: Tensor, generator: torch.Generator) -> Tensor:
        """Return a sweep at β = 1 that leaves units as they are where ``free`` (B, D) is false."""
        fixed = torch.zeros(len(state), len(self.theta), dtype=torch.bool, device=free.device)
        fixed[:, self.blocks.kept] = ~free
        moves = [not fixed[:, units].all() for units in self.blocks.colours]
        return self._sweep(state, generator, 1.0, fixed, moves)

    def hidden_sweep(self, state: Tensor, num_visible: int, generator: torch.Generator) -> Tensor:
        """Return a sweep at β = 1 that leaves the visible units as they are."""
        # The same as a clamped sweep, but which blocks have hidden units is known beforehand: to
        # look at a mask would wait for the device.
        fixed = torch.arange(len(self.theta), device=state.device)[None] < num_visible
        return self._sweep(state, generator, 1.0, fixed, self.blocks.hidden)

    def _sweep(
        self,
        state: Tensor,
        generator: torch.Generator,
        beta: float | Tensor,
        fixed: Tensor | None = None,
        moves: Sequence[bool] | None = None,
    ) -> Tensor:
        """Draw the blocks that move, but for units where ``fixed`` (B, N) or (1, N) is true."""
        column = beta[:, None] if isinstance(beta, Tensor) else beta
        blocks, num = self.blocks, len(state)
        u = state.new_empty(num, len(self.theta))
        u[:, blocks.kept] = state
        p = (column * self.field(state)).sigmoid_()
        u[:, blocks.out] = bernoulli(p, generator).to(u.dtype)
        chosen = [True] * len(blocks.colours) if moves is None else moves
        for units, weights, moved in zip(blocks.colours, self._columns, chosen, strict=True):
            if not moved:
                continue
            field = torch.addmm(self.theta[units], u, weights)
            logits = (1 - column) * self.a[units] + column * field
            drawn = bernoulli(logits.sigmoid_(), generator).to(u.dtype)
            if fixed is not None:
                drawn = torch.where(fixed[:, units], u[:, units], drawn)
            u[:, units] = drawn
        return u[:, blocks.kept]


def mean_field(J: Tensor, theta: Tensor, v: Tensor, colours: list[Tensor], num: int) -> Tensor:
    """Return probabilities q of hidden units given v (B, V) that raise the variational bound.

    A step sets each block to σ(θ + Ju) in turn, which never lowers the bound.

    Arguments:
        J: The weights of all pairs, (N, N).
        theta: The biases, (N,).
        v: The visible units.
        colours: The hidden units in blocks.
        num: The number of steps.
    """
    u = torch.cat([v, v.new_full((len(v), len(theta) - v.shape[1]), 0.5)], dim=1)
    for _ in range(num):
        for units in colours:
            u[:, units] = torch.addmm(theta[units], u, J[:, units]).sigmoid_().to(u.dtype)
    return u[:, v.shape[1] :]


def variational_bound(J: Tensor, theta: Tensor, v: Tensor, q: Tensor) -> Tensor:
    """Return E_q[½ uᵀJu + θᵀu] + H(q), (B,), at most log Σ_h exp(−E(v, h))."""
    u = torch.cat([v, q], dim=1)
    entropy = -(torch.xlogy(q, q) + torch.xlogy(1 - q, 1 - q)).sum(1)
    return (u * (theta + 0.5 * (u @ J))).sum(1) + entropy
