"""Averaged weights, which are evaluated and published."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from genzoo.model import Model
from genzoo.training.sharding.tensors import load_state, part_of


class Average:
    """The exponential moving average of a model's parameters, in float32; buffers are copied.

    Arguments:
        model: The model that is trained.
        decay: The share of the average that each update keeps.
    """

    def __init__(self, model: Model, decay: float) -> None:
        lerp: Any = get_ema_multi_avg_fn(decay)  # type: ignore[no-untyped-call]

        def average(ema: Any, current: Any, num: Any) -> None:
            # Each process averages its parts.
            own = [part_of(e) for e in ema]
            lerp(own, [part_of(c).to(e.dtype) for e, c in zip(own, current, strict=True)], num)

        # Buffers are copied, not averaged: the mean of two counters or masks is neither.
        self.module = AveragedModel(model, multi_avg_fn=average)
        for parameter in self.module.module.parameters():
            # In bfloat16 a step of 1 − decay is lost in rounding, and the average does not move.
            if parameter.is_floating_point() and parameter.dtype.itemsize < 4:
                parameter.data = parameter.data.float()
        self.module.requires_grad_(False)

    def update(self, model: Model) -> None:
        """Update the average with the model's weights."""
        self.module.update_parameters(model)

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
