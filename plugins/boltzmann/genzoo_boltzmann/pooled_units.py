"""Binary hidden units in groups, of which at most one is on: probabilistic max-pooling."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from genzoo_boltzmann.fast_bernoulli import uniform
from genzoo_boltzmann.units import SAFE_EXPONENT, HiddenUnits


class PooledHidden(HiddenUnits):
    """Groups of p zeros and ones of which at most one is on.

    A group is off with probability 1 / (1 + Σ_i e^{f_i}), and has its unit i on with probability
    e^{f_i} / (1 + Σ_i e^{f_i}). A pooling unit is on if a unit of its group is. With p = 1 the
    units are independent.

    Unit i of group g has the place i · num + g in a row (B, H), H = p · num. So a row is a matrix
    (p, num), and sums over a group run along contiguous memory.

    | Convolutional Deep Belief Networks for Scalable Unsupervised Learning of Hierarchical
    | Representations (Lee, Grosse, Ranganath, Ng, 2009)

    Arguments:
        num: The number of groups.
        size: p, the number of units of a group.
    """

    def __init__(self, num: int, size: int) -> None:
        self.num, self.size = num, size

    @property
    def log_num_states(self) -> float:
        """The number of groups times log(1 + p)."""
        return self.num * math.log1p(self.size)

    def groups(self, h: Tensor) -> Tensor:
        """Return rows (B, H) as (B, p, num)."""
        return h.view(len(h), self.size, self.num)

    def probabilities(self, field: Tensor) -> Tensor:
        """Return the probability that each unit is on, (B, H)."""
        field = self.groups(field)
        top = _top(field)
        e = (field - top).exp_()
        off = (-top).exp()
        return (e / (e.sum(1, keepdim=True) + off)).flatten(1)

    def draw(self, p: Tensor, generator: torch.Generator) -> Tensor:
        """Draw zeros and ones, (B, H)."""
        p = self.groups(p)
        left = uniform(p[:, :1].contiguous(), generator)
        h = torch.empty_like(p)
        # The first unit at which the cumulative probability exceeds u is on.
        for i in range(self.size):
            left -= p[:, i : i + 1]
            torch.lt(left, 0, out=h[:, i : i + 1])
            left.add_(h[:, i : i + 1], alpha=2)
        return h.flatten(1)

    def log_sum(self, field: Tensor) -> Tensor:
        """Return Σ over groups of log(1 + Σ_i e^{f_i}), (B,), in float64, with its graph."""
        field = self.groups(field)
        top = _top(field.detach())
        total = (field - top).exp().sum(1, keepdim=True) + (-top).exp()
        return (total.log() + top).flatten(1).sum(1, dtype=torch.float64)

    def change(self, field: Tensor, p: Tensor, old: float, new: float, exponent: float) -> Tensor:
        """Return `log_sum` of new · field minus that of old · field, (B,), in float64.

        It is −Σ over groups of log(1 + Σ_i p_i(e^{(old − new) f_i} − 1)), with p at ``new``; see
        `BernoulliHidden.change`.
        """
        if exponent > SAFE_EXPONENT:
            f = field.double()
            return self.log_sum(f * new) - self.log_sum(f * old)
        moved = field.mul_(old - new).expm1_().mul_(p)
        return self.groups(moved).sum(1).log1p_().sum(1, dtype=torch.float64).neg_()


def _top(field: Tensor) -> Tensor:
    """Return the largest field of each group, or that of the state "off", (B, 1, num)."""
    return field.amax(1, keepdim=True).clamp_min(0)
