"""The sampler of autoregressive models."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from genzoo.plugin import NO_CONDITIONS, Conditions, ConfigError, Model, Sampler
from genzoo_autoregressive.choosing import ChoosingConfig
from genzoo_autoregressive.filling import filled
from genzoo_autoregressive.model import Autoregressive


@dataclass(frozen=True, kw_only=True)
class PlaceByPlaceConfig(ChoosingConfig):
    """One place after another."""


class PlaceByPlace(Sampler[PlaceByPlaceConfig]):
    """Ancestral sampling: each value is drawn given those before it, in the model's order.

    A state is the rows so far, (num, *event_shape), with zeros, or padding if the space has it, at
    the places that are still to be drawn. There is one state for each place, and for images
    (C, H, W) one for each pixel. The model keeps what later places share; see `chains.Steps`.

    A model that averages several chains draws each sample from one of them.

    Raises:
        ConfigError: Initial states are given.
    """

    Config = PlaceByPlaceConfig
    requires = (Autoregressive,)

    def num_states(self, model: Model) -> int:
        """Return the number of places, or of pixels."""
        return model.event.num_dims // _stride(model.event_shape)

    def trajectory(
        self,
        model: Model,
        num: int,
        *,
        start: Tensor | None = None,
        condition: Conditions = NO_CONDITIONS,
        generator: torch.Generator,
    ) -> Iterator[Tensor]:
        """Yield the rows so far, (num, *event_shape)."""
        known: Autoregressive[Any] = self.checked(model)
        if start is not None:
            raise ConfigError(
                "An autoregressive sampler has no initial states: it begins with nothing. To "
                "draw the rest of a row that is given in part, use inpaint."
            )
        shape = (num, *known.event_shape)
        zeros = known.event.place(torch.zeros(shape), known.device, known.dtype)
        x, stride = zeros.flatten(1), _stride(known.event_shape)
        with torch.no_grad():
            given = known.condition_vectors(condition)
        kept = torch.zeros_like(x, dtype=torch.bool)
        states = filled(known, known.chains(), x, kept, given, self.config, generator)
        for index, state in enumerate(states, 1):
            if index % stride == 0:
                yield state.view(shape).clone()


def _stride(shape: tuple[int, ...]) -> int:
    """Return the number of places from one state to the next."""
    return shape[0] if len(shape) == 3 else 1
