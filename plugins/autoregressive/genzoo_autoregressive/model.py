"""The abstract base class of autoregressive models."""

from __future__ import annotations

import abc
import math
from collections.abc import Sequence
from typing import Any, Literal, TypeVar

import torch
from torch import Tensor

from genzoo.plugin import (
    CapabilityError,
    Component,
    Conditions,
    GenerativeModel,
    LogProb,
    Step,
    batch_size_for,
    by_blocks,
    condition_rows,
)
from genzoo_autoregressive import chains, condition_vectors, filling
from genzoo_autoregressive.chains import Chain
from genzoo_autoregressive.condition_vectors import ConditionVectors
from genzoo_autoregressive.configs import AutoregressiveConfig
from genzoo_autoregressive.outputs import SPACES, output_of

C = TypeVar("C", bound=AutoregressiveConfig)


class Autoregressive(GenerativeModel[C], abc.ABC):
    """A model of one place after another, p(x) = Π_i p(x_{o_i} | x_{o_1}, …, x_{o_{i−1}}).

    A network computes the parameters of all factors from a whole row at once, so log p(x) is
    exact and takes one evaluation. Samples are drawn place by place. The distribution of a value
    follows from the data: Bernoulli for zeros and ones, categorical for categories, a mixture of
    discretised logistics for grey levels.

    A model may be a mixture of several chains with equal weights, such as several orders. Their
    *probabilities* are averaged: p(x) = (1/M) Σ_m p_m(x). A product of averaged conditionals would
    not be the likelihood of any model.

    Subclasses implement `chains`, `widest` and the training of a row, if it is not −log p(x).

    Arguments:
        config: Spaces, order and sizes.

    Attributes:
        output: The family of distributions of a place.
        order: The places in their order.
    """

    event_spaces = SPACES
    condition_spaces = condition_vectors.SPACES

    def __init__(self, config: C) -> None:
        super().__init__(config)
        self.output = output_of(config.event, config.num_mixtures)
        self.order = config.places()

    @classmethod
    def default_sampler(cls, config: C) -> Component:
        """Return ancestral sampling."""
        return Component(name="autoregressive")

    @property
    def num_places(self) -> int:
        """D, the number of places."""
        return self.event.num_dims

    @property
    @abc.abstractmethod
    def widest(self) -> int:
        """The number of values of the widest layer for one row."""

    @property
    @abc.abstractmethod
    def condition_vectors(self) -> ConditionVectors:
        """The embedding of the conditions."""

    @abc.abstractmethod
    def chains(self) -> Sequence[Chain]:
        """Return the chains that the model is a mixture of, one for most models."""

    @property
    def widest_step(self) -> int:
        """The number of values for one row that a place of a sample reads or computes at once."""
        return self.widest

    @property
    def default_batch_size(self) -> int:
        """The number of samples at once, by what a place of a sample takes."""
        return batch_size_for(self.widest_step)

    @property
    def rows_at_once(self) -> int:
        """The number of rows whose log p is computed at once, by the widest layer."""
        return batch_size_for(self.widest)

    # Likelihood

    @property
    def log_prob_kind(self) -> Literal["exact"]:
        """Exact."""
        return "exact"

    def log_prob(
        self,
        x: Tensor,
        *,
        condition: Any = None,
        generator: torch.Generator | None = None,
        num_samples: int | None = None,
    ) -> LogProb:
        """Return log p(x | condition) of each row, in nats; it is exact.

        It is differentiable in the parameters and in real conditions.

        Arguments:
            x: Rows (N, *event_shape).
            condition: Rows of each condition by name, one per row or one for all.
            generator: Not used.
            num_samples: Not used.
        """
        self.check_rows(x)
        given = self.checked_condition(condition, len(x))

        def of(rows: slice) -> Tensor:
            return self.row_log_prob(*self._placed(x, given, rows))

        values = by_blocks(of, len(x), self.rows_at_once, independent=True)
        return LogProb(values=values, kind="exact", measure="mass")

    def row_log_prob(self, x: Tensor, given: Tensor | None) -> Tensor:
        """Return log p of flat rows (B, D), (B,), without checks: log (1/M) Σ_m Π_i p_m.

        Arguments:
            x: Rows in canonical form, on the model's device.
            given: The vectors of the conditions, (B, W).
        """
        found = [chains.log_probs(chain, self.output, x, given).sum(-1) for chain in self.chains()]
        if len(found) == 1:
            return found[0]
        return torch.stack(found).logsumexp(0) - math.log(len(found))

    def training_loss(self, x: Tensor, given: Tensor | None, step: Step) -> Tensor:
        """Return what training minimises for each of flat rows (B, D), (B,); −log p by default.

        Arguments:
            x: Rows in canonical form.
            given: The vectors of the conditions.
            step: The position in training.
        """
        return -self.row_log_prob(x, given)

    @torch.no_grad()
    def bits(self, x: Tensor, *, condition: Any = None) -> Tensor:
        """Return −log₂ p of each value given those before it, (N, *event_shape), float32.

        Their sum over a row is −log₂ p(x): they show where a row is surprising. Those of a mixture
        of chains are bits of the mixture, −log₂ Σ_m p_m(x_{o_≤i}) + log₂ Σ_m p_m(x_{o_<i}).

        Arguments:
            x: Rows (N, *event_shape).
            condition: Rows of each condition by name, one per row or one for all.

        Raises:
            CapabilityError: The model averages chains of several orders.
        """
        self.check_rows(x)
        given, found = self.checked_condition(condition, len(x)), self.chains()
        if any(not torch.equal(chain.order, found[0].order) for chain in found):
            raise CapabilityError(
                f"{type(self).__name__} averages several orders, and a value has its bits in one "
                "of them. Load the model with one order (num_orders=1)."
            )
        parts = [torch.empty(0, self.num_places)]
        for first in range(0, len(x), self.rows_at_once):
            rows = slice(first, first + self.rows_at_once)
            nats = chains.mixture_log_probs(found, self.output, *self._placed(x, given, rows))
            # The difference of two sums may be above 0 by rounding.
            parts.append((nats.float().cpu() / -math.log(2)).clamp_min(0))
        return torch.cat(parts).view(x.shape)

    def _placed(self, x: Tensor, given: Conditions, rows: slice) -> tuple[Tensor, Tensor | None]:
        """Return some rows, flat and on the model's device, and the vectors of the conditions."""
        placed = self.event.place(x[rows], self.device, self.dtype).flatten(1)
        return placed, self.condition_vectors(condition_rows(given, self.conditions, rows))

    # Completion

    @torch.no_grad()
    def inpaint(
        self,
        x: Tensor,
        mask: Tensor,
        *,
        generator: torch.Generator,
        num_inference_steps: int = 1,
        condition: Any = None,
    ) -> Tensor:
        """Return ``x`` (B, *event_shape) with values drawn given the rest where ``mask`` is true.

        The draws are exact. What is given must be the beginning of a row in the model's order,
        because values are drawn given those before them only.

        Arguments:
            x: Rows; where the mask is true they may have any values, including NaN.
            mask: Where to fill in, bool, broadcastable to the shape of ``x``.
            generator: The generator, on the model's device.
            num_inference_steps: Not used: each missing value is drawn once.
            condition: Rows of each condition by name, one per row or one for all.

        Raises:
            DataError: A value that is kept is not in the space, or one comes after a missing one.
        """
        x, mask = self.checked_inpainting(x, mask)
        given = self.condition_vectors(self.checked_condition(condition, len(x)))
        return filling.fill_in(self, self.chains(), x, ~mask, given, generator)
