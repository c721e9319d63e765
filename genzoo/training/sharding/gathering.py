"""The tensors of a checkpoint, gathered one after the other while it is written."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from genzoo.training.sharding.tensors import gathered, is_sharded


class Gathering:
    """Gathers sharded tensors in a fixed order, the same on every process.

    The main process takes each when it writes it, and the others take part by `finish`. So no
    process holds more than one whole tensor.

    Arguments:
        tensors: For each file, its tensors by name.
    """

    def __init__(self, tensors: Mapping[str, Mapping[str, Tensor]]) -> None:
        self._left = [t for file in tensors.values() for t in file.values() if is_sharded(t)]

    def take(self, tensor: Tensor) -> Tensor:
        """Return the whole of a tensor; the sharded ones must be taken in order."""
        if not is_sharded(tensor):
            return tensor
        self._left.pop(0)
        return gathered(tensor)

    def finish(self) -> None:
        """Take part in gathering what has not been taken, also after an error."""
        while self._left:
            gathered(self._left.pop(0))
