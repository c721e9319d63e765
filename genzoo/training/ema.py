"""Averaged weights, which are evaluated and published."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.optim.swa_utils import AveragedModel

from genzoo.model import Model
from genzoo.training.sharding.tensors import load_state, part_of


class Average:
    """The exponential moving average of a model's parameters, in float32; buffers are copied.

    Arguments:
        model: The model that is trained.
        decay: The share of the average that each update keeps.
    """

    def __init__(self, model: Model, decay: float) -> None:
        self._share = 1 - decay
        # It counts on the CPU, where a look at the number does not wait for the device.
        self.module = AveragedModel(model)
        for parameter in self.module.module.parameters():
            # In bfloat16 a step of 1 − decay is lost in rounding, and the average does not move.
            if parameter.is_floating_point() and parameter.dtype.itemsize < 4:
                parameter.data = parameter.data.float()
        self.module.requires_grad_(False)

    @torch.no_grad()
    def update(self, model: Model) -> None:
        """Update the average with the model's weights; the first update replaces them."""
        # `AveragedModel.update_parameters` copies its counter to the device in each update, which
        # waits for all that is computed there.
        own: list[Tensor] = []
        current: list[Tensor] = []
        for e, p in zip(self.module.module.parameters(), model.parameters(), strict=True):
            if e.is_floating_point() or e.is_complex():
                # Of sharded weights, each process averages its parts.
                own.append(part_of(e))
                current.append(part_of(p).to(e.dtype))
            else:
                e.copy_(p)
        if own and self.module.n_averaged == 0:
            torch._foreach_copy_(own, current)
        elif own:
            torch._foreach_lerp_(own, current, self._share)
        # Buffers are copied, not averaged: the mean of two counters or masks is neither.
        for kept, buffer in zip(self.module.module.buffers(), model.buffers(), strict=True):
            kept.copy_(buffer)
        self.module.n_averaged += 1

    def apply_to(self, model: Model) -> None:
        """Copy the averaged weights into the model."""
        model.load_state_dict(self.module.module.state_dict())

    @property
    def model(self) -> Any:
        """A copy of the model with the averaged weights."""
        return self.module.module

    def state(self) -> dict[str, Tensor]:
        """Return the average and its counter."""
        return dict(self.module.state_dict())

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Load what ``state`` returned."""
        load_state(self.module, state)
