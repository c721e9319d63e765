"""Chains: the factors of p(x) in one order, for whole rows and one place after another."""

from __future__ import annotations

import abc
import math
from collections.abc import Sequence

import torch
from torch import Tensor

from genzoo_autoregressive.ends import limited
from genzoo_autoregressive.outputs import Output


class Chain(abc.ABC):
    """Abstract base class: p(x) = Π_i p(x_{o_i} | x_{o_1}, …, x_{o_{i−1}}) in an order o.

    Arguments:
        order: The places in their order, (D,), int64.
    """

    def __init__(self, order: Tensor) -> None:
        self.order = order

    @abc.abstractmethod
    def parameters(self, x: Tensor, given: Tensor | None) -> Tensor:
        """Return the parameters of the outputs of all places, (B, D, P).

        Those of a place depend only on the places before it in the order. They lie as the places
        do in a row, not in the order.

        Arguments:
            x: Rows (B, D), flat, in canonical form.
            given: The vectors of the conditions, (B, W); None without conditions.
        """

    def steps(self, x: Tensor, given: Tensor | None) -> Steps:
        """Return the parameters of one place after another; by default all are computed anew.

        Arguments:
            x: Rows (B, D), of which the values are replaced in the order.
            given: The vectors of the conditions.
        """
        return Recomputing(self, x, given)


class Steps(abc.ABC):
    """Abstract base class: the parameters of one place after another, with what they share.

    `put` is called for each index from 0 on, `parameters` at most once before the `put` of the
    same index.
    """

    @abc.abstractmethod
    def parameters(self, index: int) -> Tensor:
        """Return the parameters of the place o_index, (B, P), given the values before it."""

    @abc.abstractmethod
    def put(self, index: int, values: Tensor) -> None:
        """Take the values (B,) of the place o_index, in canonical form."""


class Recomputing(Steps):
    """All parameters anew for each place: D times the work of one evaluation."""

    def __init__(self, chain: Chain, x: Tensor, given: Tensor | None) -> None:
        self.chain, self.x, self.given = chain, x.clone(), given

    def parameters(self, index: int) -> Tensor:
        """Return the parameters of a place."""
        return self.chain.parameters(self.x, self.given)[:, self.chain.order[index]]

    def put(self, index: int, values: Tensor) -> None:
        """Take the values of a place."""
        self.x[:, self.chain.order[index]] = values


def log_probs(chain: Chain, output: Output, x: Tensor, given: Tensor | None) -> Tensor:
    """Return log p of each place given those before it, (B, D), in nats."""
    parameters = chain.parameters(x, given)
    if output.padding is not None:
        parameters = limited(output, parameters, x == output.padding, rank_of(chain.order))
    return output.log_prob(parameters, x)


def mixture_log_probs(
    found: Sequence[Chain], output: Output, x: Tensor, given: Tensor | None
) -> Tensor:
    """Return log p of each place given those before it, (B, D), by chains of one order.

    With the mean p of chains, p(x_{o_i} | x_{o_<i}) = Σ_m p_m(x_{o_≤i}) / Σ_m p_m(x_{o_<i}).
    """
    if len(found) == 1:
        return log_probs(found[0], output, x, given)
    order = found[0].order
    each = torch.stack([log_probs(chain, output, x, given)[:, order] for chain in found])
    up_to = each.double().cumsum(-1).logsumexp(0)
    first = torch.full_like(up_to[:, :1], math.log(len(found)))
    in_order = up_to.diff(dim=-1, prepend=first)
    return in_order[:, torch.argsort(order)]


def before(rank: Tensor) -> Tensor:
    """Return which places come before which, (D, D) bool: entry [i, j] is that of j before i.

    Arguments:
        rank: The index of each place in the order, (D,).
    """
    return rank[None, :] < rank[:, None]


def rank_of(order: Tensor) -> Tensor:
    """Return the index of each place in an order, (D,)."""
    return torch.argsort(order)
