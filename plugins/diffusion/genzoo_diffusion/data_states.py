"""States that are the data, scaled from [0, 1] to [−1, 1]."""

from __future__ import annotations

import abc
from collections.abc import Sequence
from typing import Any

from torch import Tensor

from genzoo.plugin import DataInfo, Real, Unit
from genzoo_diffusion.config import with_captions
from genzoo_diffusion.gaussian_path import GaussianPath


class DataStates(GaussianPath, abc.ABC):
    """Abstract base class of models whose states are the data."""

    event_spaces = (Unit, Real)

    @property
    def is_bounded(self) -> bool:
        """Whether the data are in [0, 1], and the states in [−1, 1]."""
        return isinstance(self.event, Unit)

    @property
    def levels(self) -> int | None:
        """The number of grey levels of the data, if they have any."""
        return self.event.levels if isinstance(self.event, Unit) else None

    @classmethod
    def configure(
        cls, info: DataInfo, conditions: Sequence[str] | None = None, **overrides: Any
    ) -> Any:
        """Return a config that fits the data, and has the words of captions; see `suited`."""
        cls.check_event(info)
        fields = cls.suited(info[cls.event_field].event_shape, overrides)
        values = {**fields, **with_captions(info, conditions, overrides)}
        return super().configure(info, conditions, **values)

    def state(self, x: Tensor) -> Tensor:
        """Scale data (B, *event_shape) to states without noise."""
        return 2 * x - 1 if self.is_bounded else x

    def to_data(self, state: Tensor) -> Tensor:
        """Scale a state to the units of x, in [0, 1] if the data are."""
        return ((state + 1) / 2).clamp(0, 1) if self.is_bounded else state
