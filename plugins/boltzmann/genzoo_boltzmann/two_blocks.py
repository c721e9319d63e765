"""Machines of two blocks of units, visible and hidden, each independent given the other."""

from __future__ import annotations

import abc
from typing import Any, TypeVar

import torch
from torch import Tensor

from genzoo.plugin import Config, Space, bernoulli
from genzoo_boltzmann.machine import Machine
from genzoo_boltzmann.path import TwoBlockPath

C = TypeVar("C", bound=Config)


class TwoBlockMachine(Machine[C]):
    """Abstract base class: the hidden units are summed out, the visible ones are the state.

    A sweep draws h given v, then v given h. Hidden units are the model's codes.
    """

    @abc.abstractmethod
    def path(self, *, dtype: torch.dtype | None = None) -> TwoBlockPath:
        """Return its tempered distributions, with values of ``dtype``; its own by default."""

    @abc.abstractmethod
    def hidden_logits(self, v: Tensor) -> Tensor:
        """Return the fields of the hidden units, (B, H), for visible units (B, V)."""

    @abc.abstractmethod
    def visible_mean(self, h: Tensor) -> Tensor:
        """Return E[v | h], (B, V), for hidden units (B, H)."""

    @property
    @abc.abstractmethod
    def codes(self) -> Space:
        """The space of the hidden units."""

    def to_codes(self, h: Tensor) -> Tensor:
        """Return hidden units (B, H) as codes (B, *codes.event_shape)."""
        return h.reshape(-1, *self.codes.event_shape)

    def from_codes(self, z: Tensor) -> Tensor:
        """Return codes (B, *codes.event_shape) as hidden units (B, H)."""
        return z.flatten(1)

    def hidden_probabilities(self, v: Tensor) -> Tensor:
        """Return p(h_j = 1 | v), (B, H), for visible units (B, V)."""
        return self.hidden_logits(v).sigmoid()

    def draw_hidden(self, v: Tensor, generator: torch.Generator) -> Tensor:
        """Draw h ~ p(h | v), (B, H), for visible units (B, V)."""
        return bernoulli(logits=self.hidden_logits(v), generator=generator)

    def activity(self, state: Tensor) -> Tensor:
        """Return the mean of p(h_j = 1 | v) over rows, (H,), with its graph."""
        return self.hidden_probabilities(state).mean(0)

    def encode(self, x: Tensor, *, condition: Any = None) -> Tensor:
        """Return p(h_j = 1 | x), (B, *codes.event_shape), of examples (B, *event_shape)."""
        self.checked_condition(condition, x.shape[0])
        return self.to_codes(self.hidden_probabilities(self.checked_rows(x).flatten(1)))

    def draw_codes(
        self, x: Tensor, *, condition: Any = None, generator: torch.Generator
    ) -> Tensor:
        """Draw hidden units h ~ p(h | x), (B, *codes.event_shape), of examples."""
        self.checked_condition(condition, x.shape[0])
        v = self.checked_rows(x).flatten(1)
        return self.to_codes(self.draw_hidden(v, generator))

    def decode(self, z: Tensor, *, condition: Any = None) -> Tensor:
        """Return E[v | h = z], (B, *event_shape), of hidden units (B, *codes.event_shape)."""
        self.checked_condition(condition, z.shape[0])
        z = self.checked_codes(z, self.codes.event_shape)
        return self.to_data(self.visible_mean(self.from_codes(z)))
