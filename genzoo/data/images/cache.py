"""Decoded rows, kept as bytes within a budget."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import get_worker_info


class RowCache:
    """Rows of uint8 that are kept when they are decoded, until a budget is used up.

    Arguments:
        num_rows: The number of rows.
        shape: The shape of a row.
        max_bytes: The budget.
    """

    def __init__(self, num_rows: int, shape: Sequence[int], max_bytes: int) -> None:
        self.num_rows, self.shape = num_rows, tuple(shape)
        self.capacity = min(num_rows, max_bytes // max(1, math.prod(shape)))
        self._kept: Tensor | None = None
        self._place: Tensor | None = None
        self._num_kept = 0

    def rows(self, index: Tensor, decode: Callable[[list[int]], list[Tensor]]) -> Tensor:
        """Return the rows at ``index``, uint8; those that are not kept are decoded.

        Arguments:
            index: The indices, (B,) int64.
            decode: Returns the rows at some indices.
        """
        if not self.capacity:
            return self._stacked(decode(index.tolist()))
        kept, place = self._memory()
        places = place.index_select(0, index)
        if not len(index) or int(places.min()) >= 0:
            return kept.index_select(0, places)
        missing = (places < 0).nonzero()[:, 0]
        found = torch.empty(len(index), *self.shape, dtype=torch.uint8)
        present = (places >= 0).nonzero()[:, 0]
        found[present] = kept.index_select(0, places[present])
        found[missing] = self._stacked(decode(index[missing].tolist()))
        self._keep(index[missing], found[missing])
        return found

    def _memory(self) -> tuple[Tensor, Tensor]:
        if self._kept is None or self._place is None:
            # The system provides this memory when it is written. numpy asks for large pages, from
            # which rows in random order are read a tenth faster than from torch's.
            self._kept = torch.from_numpy(np.empty((self.capacity, *self.shape), np.uint8))
            self._place = torch.full((self.num_rows,), -1)
        return self._kept, self._place

    def _keep(self, index: Tensor, rows: Tensor) -> None:
        # Each worker process would keep the same rows again.
        if get_worker_info() is not None:
            return
        kept, place = self._memory()
        for i, row in zip(index.tolist(), rows, strict=True):
            if self._num_kept < self.capacity and place[i] < 0:
                kept[self._num_kept], place[i] = row, self._num_kept
                self._num_kept += 1

    def _stacked(self, rows: list[Tensor]) -> Tensor:
        return torch.stack(rows) if rows else torch.empty(0, *self.shape, dtype=torch.uint8)

    def __getstate__(self) -> dict[str, Any]:
        """Leave the rows out of what is sent to another process."""
        return {**self.__dict__, "_kept": None, "_place": None, "_num_kept": 0}
