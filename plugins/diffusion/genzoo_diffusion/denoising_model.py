"""The base class of models with a network that sees a state, its time and encoded conditions."""

from __future__ import annotations

import abc
from typing import Any, TypeVar, cast

import torch
from torch import Tensor

from genzoo.plugin import Batch, Config, GenerativeModel, Label, Text, dropped_rows
from genzoo_diffusion.conditioning import Embedder, Signal

C = TypeVar("C", bound=Config)


class DenoisingModel(GenerativeModel[C], abc.ABC):
    """Abstract base class of diffusion models of numbers and of categories.

    Attributes:
        embedder: Encodes the conditions for the network.
        network: Predicts, given x_t, t and the encoded conditions.
    """

    condition_spaces = (Label, Text)

    embedder: Embedder
    network: torch.nn.Module

    @abc.abstractmethod
    def predict(self, x_t: Tensor, t: Tensor, signal: Signal) -> Tensor:
        """Return the network's prediction for states (B, *state_shape) at times (B,)."""

    def signal(self, condition: Any, num: int) -> Signal:
        """Return the signal of ``num`` rows, after a check of their conditions.

        Arguments:
            condition: The condition of the rows, as for `checked_condition`.
            num: The number of rows.

        Raises:
            ConditionError: A condition is missing, superfluous or invalid.
        """
        signal: Signal = self.embedder(self.checked_condition(condition, num), self.device)
        return signal

    def training_signal(self, batch: Batch, generator: torch.Generator) -> Signal:
        """Return the signal of a batch's conditions, of which the config's shares are dropped.

        Arguments:
            batch: The batch, whose rows are trusted.
            generator: The generator of what is dropped.
        """
        conditions, config = self.conditions_of(batch), cast("Any", self.config)
        left_out = dropped_rows(
            conditions,
            batch["x"].shape[0],
            generator,
            together=config.condition_dropout,
            each=config.condition_dropout_each,
        )
        signal: Signal = self.embedder(conditions, self.device, left_out)
        return signal
