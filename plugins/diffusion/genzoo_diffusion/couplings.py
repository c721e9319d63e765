"""Couplings of data and noise for flow matching, as exchangeable components.

They are the group ``genzoo_diffusion.couplings``; another package adds one by its entry points.
"""

from __future__ import annotations

import abc
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, TypeVar

import torch
from torch import Tensor

from genzoo.plugin import Conditions, Config, register_group
from genzoo_diffusion.dependencies import linear_sum_assignment

GROUP = "genzoo_diffusion.couplings"
"""The entry-point group of couplings."""
C = TypeVar("C", bound=Config)


class Coupling(abc.ABC, Generic[C]):
    """Abstract base class of couplings: which noise each row of a batch is joined to.

    Class attributes:
        keeps_conditions: Whether the noise of a row stays N(0, I) given the row's condition, as
            samples of a conditional model begin at N(0, I). A coupling that ignores conditions is
            refused for a model that has any.

    Arguments:
        config: The coupling's options.
    """

    Config: ClassVar[type[Config]]
    keeps_conditions: ClassVar[bool]

    def __init__(self, config: C | None = None) -> None:
        given: Any = self.Config() if config is None else config
        self.config: C = given

    @abc.abstractmethod
    def couple(self, x_0: Tensor, epsilon: Tensor, conditions: Conditions) -> Tensor:
        """Return the noise of each row, a permutation of the rows of ``epsilon``.

        Arguments:
            x_0: States without noise, (B, *state_shape).
            epsilon: Draws of N(0, I) of the same shape.
            conditions: The rows of each condition by name; empty without conditions.
        """


@dataclass(frozen=True, kw_only=True)
class IndependentConfig(Config):
    """The independent coupling, which has no options."""


class Independent(Coupling[IndependentConfig]):
    """Noise that does not depend on the data."""

    Config = IndependentConfig
    keeps_conditions = True

    def couple(self, x_0: Tensor, epsilon: Tensor, conditions: Conditions) -> Tensor:
        """Return the noise as it is."""
        return epsilon


@dataclass(frozen=True, kw_only=True)
class OptimalTransportConfig(Config):
    """The coupling by optimal transport, which has no options."""


class OptimalTransport(Coupling[OptimalTransportConfig]):
    """The permutation of a batch's noise with the least Σ ‖x_0 − ε‖²: paths are straighter.

    Rows exchange noise only with rows of the same conditions. If they exchanged it with all rows,
    the noise of a class would be that near its data, and samples of the class, which begin at all
    noise, would leave it. The problem is solved on the CPU, so a step waits for the device; large
    batches of continuous conditions gain nothing.

    | Improving and Generalizing Flow-Based Generative Models with Minibatch Optimal Transport
    | (Tong et al., 2024)
    | The Curse of Conditions: Analyzing and Improving Optimal Transport for Conditional Flow-Based
    | Generation (Cheng, Schwing, 2025)
    """

    Config = OptimalTransportConfig
    keeps_conditions = True

    def couple(self, x_0: Tensor, epsilon: Tensor, conditions: Conditions) -> Tensor:
        """Return the permuted noise."""
        cost = torch.cdist(x_0.flatten(1).double(), epsilon.flatten(1).double()).square().cpu()
        order = torch.arange(len(x_0))
        for rows in groups_of(conditions, len(x_0)):
            if len(rows) > 1:
                _, chosen = linear_sum_assignment(cost[rows][:, rows].numpy())
                order[rows] = rows[torch.as_tensor(chosen)]
        return epsilon[order.to(epsilon.device)]


def groups_of(conditions: Conditions, num: int) -> list[Tensor]:
    """Return the numbers of the rows that have equal conditions, group by group.

    Arguments:
        conditions: The rows of each condition by name.
        num: The number of rows.
    """
    columns = [_hashable(rows) for _, rows in sorted(conditions.items())]
    found: dict[tuple[Any, ...], list[int]] = {}
    for i in range(num):
        found.setdefault(tuple(column[i] for column in columns), []).append(i)
    return [torch.tensor(rows) for rows in found.values()]


def _hashable(rows: Any) -> Sequence[Any]:
    """Return a value for each row that equals that of an equal row."""
    if not isinstance(rows, Tensor):
        return list(rows)
    return [tuple(row) for row in rows.detach().cpu().reshape(len(rows), -1).tolist()]


register_group(GROUP, Coupling)
