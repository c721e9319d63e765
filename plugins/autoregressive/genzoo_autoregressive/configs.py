"""The configs that autoregressive models share."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Literal

from genzoo.plugin import Bounds, ConditionSpaces, Config, Space
from genzoo_autoregressive.condition_vectors import check_conditions
from genzoo_autoregressive.orders import check_num_places, check_permutation, order_of, raster
from genzoo_autoregressive.outputs import SPACES, Output, output_of

_Place = Annotated[int, Bounds(0, 2**16)]


@dataclass(frozen=True, kw_only=True)
class AutoregressiveConfig(Config):
    """The data and the conditions of an autoregressive model."""

    event: Space
    """The space of the data: zeros and ones, categories, or grey levels."""
    num_mixtures: Annotated[int, Bounds(1, 2**10)] = 5
    """The number of logistic distributions in the mixture of a place, for grey levels only."""
    conditions: ConditionSpaces = field(default_factory=dict)
    """The space of each condition."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_num_places(type(self).__name__, self.event.num_dims)
        check_conditions(self.conditions)
        if isinstance(self.event, SPACES):  # The model refuses others.
            self.check_size(output_of(self.event, self.num_mixtures))

    def check_size(self, output: Output) -> None:
        """Raise ConfigError if the model would be too large; by default no size is refused."""

    def places(self) -> list[int]:
        """Return the places of a flat row in the order of the model."""
        return raster(self.event.event_shape)


@dataclass(frozen=True, kw_only=True)
class OrderedConfig(AutoregressiveConfig):
    """A model whose places may have any order."""

    order: Literal["raster", "random"] = "raster"
    """The order of the places: as they are read, an image pixel by pixel, or at random."""
    order_seed: Annotated[int, Bounds(0, 2**40)] = 0
    """The seed of a random order."""
    permutation: Annotated[tuple[_Place, ...], Bounds(0, 2**16)] = ()
    """An order of your own: the places of a flat row, counted from 0, each once."""

    def __post_init__(self) -> None:
        super().__post_init__()
        who = type(self).__name__
        check_permutation(who, self.event.num_dims, self.order, self.permutation)

    def places(self) -> list[int]:
        """Return the places of a flat row in the order of the model."""
        shape = self.event.event_shape
        return order_of(shape, self.order, self.order_seed, self.permutation)
