"""Averaged weights: what is evaluated and published."""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from genzoo.model import Model


class Average:
    """The exponential moving average of a model's parameters, in float32; buffers are copied.

    Arguments:
        model: The model that is trained.
        decay: How much of the average each update keeps.
    """

    def __init__(self, model: Model, decay: float) -> None:
        lerp: Any = get_ema_multi_avg_fn(decay)  # type: ignore[no-untyped-call]

        def average(ema: Any, current: Any, num: Any) -> None:
            lerp(ema, [c.to(e.dtype) for e, c in zip(ema, current, strict=True)], num)

        # Buffers are copied, not averaged: the mean of two counters or masks is neither.
        self.module = AveragedModel(model, multi_avg_fn=average)
        for parameter in self.module.module.parameters():
            # In bfloat16 a step of 1 − decay is lost to rounding, and the average stands still.
            if parameter.is_floating_point() and parameter.dtype.itemsize < 4:
                parameter.data = parameter.data.float()
        self.module.requires_grad_(False)

    def update(self, model: Model) -> None:
        """Take the model's weights into the average."""
        self.module.update_parameters(model)

    def apply_to(self, model: Model) -> None:
        """Give the model the averaged weights."""
        model.load_state_dict(self.module.module.state_dict())

    @property
    def model(self) -> Any:
        """A model with the averaged weights."""
        return self.module.module

    def state(self) -> dict[str, Tensor]:
        """Return the average and its counter."""
        return dict(self.module.state_dict())

    def load(self, state: dict[str, Tensor]) -> None:
        """Put back what ``state`` gave."""
        self.module.load_state_dict(state, strict=True)


def make_average(model: Model, decay: float | None) -> Average | None:
    """Return the average, or None where ``decay`` asks for none."""
    return Average(model, decay) if decay else None
