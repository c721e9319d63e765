"""The natural-metric gradient: the gradient of learning, times an inverse Fisher information."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from genzoo.plugin import CapabilityError

# A system of 4096 equations takes two seconds and 400 MB.
MOST_CHAINS = 4096


@dataclass(frozen=True)
class Term:
    """A part of −∂F of each row: the outer product of left and right, or left alone.

    Arguments:
        left: Values of each row, (B, m).
        right: The other factor, (B, n); None for 1.
    """

    left: Tensor
    right: Tensor | None = None

    def products(self, other: Term) -> Tensor:
        """Return the scalar products of its rows with those of another term, (B, B'), float64."""
        found = self.left.double() @ other.left.double().T
        if self.right is None or other.right is None:
            return found
        return found * (self.right.double() @ other.right.double().T)

    def total(self, weights: Tensor) -> Tensor:
        """Return the sum of its rows times weights (B,): a matrix (m, n), or a vector (m,)."""
        weights = weights.to(self.left.dtype)
        if self.right is None:
            return weights @ self.left
        return self.left.T @ (weights[:, None] * self.right)


@dataclass(frozen=True)
class Statistics:
    """−∂F of the rows of both phases, by the coordinates in which a machine learns.

    Arguments:
        data: The terms of the data.
        chain: The same terms of the chains.
        step: Returns the change of each parameter for changes of the coordinates, one for each
            term. It is linear.
    """

    data: Sequence[Term]
    chain: Sequence[Term]
    step: Callable[[Sequence[Tensor]], Mapping[nn.Parameter, Tensor]]


@torch.no_grad()
def natural(statistics: Statistics, damping: float) -> Mapping[nn.Parameter, Tensor]:
    """Return (G + λ)⁻¹ g by parameter, with the gradient g of mean F(data) − mean F(chain).

    G is the covariance of ∂F over the chains. If these are draws of the machine, it is the Fisher
    information of p(state). It is not built, for it has the square of the number of parameters:
    with the centred statistics of the B chains as rows of Φ, G = ΦᵀΦ/B, and (G + λ)⁻¹g =
    (g − Φᵀy)/λ with (ΦΦᵀ/B + λ)y = Φg/B. So one system of B equations is solved, exactly, and the
    result is a gradient in which the chains have different weights.

    G and λ are those of the machine's coordinates: centred ones if its gradient is centred. For
    large λ the result is the machine's own gradient over λ.

    | Natural Gradient Works Efficiently in Learning (Amari, 1998)
    | Metric-Free Natural Gradient for Joint-Training of Boltzmann Machines
    | (Desjardins, Pascanu, Courville, Bengio, 2013)

    Arguments:
        statistics: The statistics of both phases.
        damping: λ, above 0.

    Raises:
        CapabilityError: There are too many chains.
    """
    data, chain = statistics.data, statistics.chain
    num = len(chain[0].left)
    if num > MOST_CHAINS:
        raise CapabilityError(
            f"The natural metric solves a system of as many equations as there are chains, here "
            f"{num:,}; take at most {MOST_CHAINS:,} (num_chains of pcd, or the batch size)."
        )
    own = _products(chain, chain)
    along = _centred(own.mean(1) - _products(chain, data).mean(1))
    covariance = _centred(_centred(own).T) / num
    covariance.diagonal().add_(damping)
    y = torch.linalg.solve(covariance, along / num)
    of_chain = (1 / num - y) / damping
    of_data = of_chain.new_full((len(data[0].left),), -1 / (damping * len(data[0].left)))
    return statistics.step(
        [c.total(of_chain) + d.total(of_data) for c, d in zip(chain, data, strict=True)]
    )


def _products(a: Sequence[Term], b: Sequence[Term]) -> Tensor:
    pairs = [one.products(other) for one, other in zip(a, b, strict=True)]
    return torch.stack(pairs).sum(0)


def _centred(rows: Tensor) -> Tensor:
    """Return rows minus their mean over rows."""
    return rows - rows.mean(0)
