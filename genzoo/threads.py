"""How many CPU threads this process computes with."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch


@contextlib.contextmanager
def limited(num: int | None) -> Iterator[None]:
    """Compute with ``num`` threads, and with as many as before afterwards.

    Arguments:
        num: How many, at least 1; more than there are processors are possible, and slow. None
            leaves the number as it is.
    """
    before = torch.get_num_threads()
    if num is not None:
        torch.set_num_threads(num)
    try:
        yield
    finally:
        torch.set_num_threads(before)
