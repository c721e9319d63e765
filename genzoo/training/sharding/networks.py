"""The sharded networks of a stage."""

from __future__ import annotations

import contextlib
import gc
import warnings
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from genzoo.errors import TrainingError

if TYPE_CHECKING:  # It imports what is needed for sharded networks only.
    from genzoo.training.sharding.wrapping import ShardedNetwork


_NOTHING = contextlib.nullcontext()


@contextlib.contextmanager
def _named(index: int) -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:
        if "DTensor" not in str(error):
            raise
        raise TrainingError(
            f"In update {index + 1} a parameter of a sharded network is read while the network is "
            "not called, which did not happen in the first update. Leave shard out."
        ) from error


class Sharding:
    """The sharded networks of a stage; none where nothing is sharded.

    Arguments:
        trained: The networks that are trained.
        averaged: Their copies with averaged weights.
    """

    def __init__(
        self, trained: Sequence[ShardedNetwork] = (), averaged: Sequence[ShardedNetwork] = ()
    ) -> None:
        self.trained, self.averaged = list(trained), list(averaged)

    def __bool__(self) -> bool:
        return bool(self.trained)

    @contextlib.contextmanager
    def whole(self) -> Iterator[None]:
        """Hold all networks whole on every process inside; every process must enter."""
        with contextlib.ExitStack() as stack:
            for network in [*self.trained, *self.averaged]:
                stack.enter_context(network.whole())
            yield

    @contextlib.contextmanager
    def quiet(self) -> Iterator[None]:
        """Leave out a warning about views changed in place, which `Readings` looks for."""
        with warnings.catch_warnings():
            if self:
                warnings.filterwarnings("ignore", "FSDP2-wrapped module .* returned a view")
            yield

    def read_rightly(self, index: int) -> contextlib.AbstractContextManager[None]:
        """Name the cause if losses read sharded parameters otherwise than in the first update."""
        return _named(index) if self else _NOTHING

    def reshard(self) -> None:
        """Free what is gathered, before parameters change or are read."""
        for network in self.trained:
            network.reshard()

    def undo(self) -> None:
        """Make the trained networks whole for good; every process must call it."""
        self.averaged.clear()
        if self.trained:
            gc.collect()  # Optimizers, whose states are large, are parts of circles.
        for network in self.trained:
            network.undo()
        self.trained.clear()
