"""The number of CPU threads of this process."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch


@contextlib.contextmanager
def limited(num: int | None) -> Iterator[None]:
    """Compute with ``num`` threads inside, and restore the previous number afterwards.

    Arguments:
        num: The number of threads, at least 1; more than there are processors are slow. None
            leaves the number unchanged.
    """
    before = torch.get_num_threads()
    if num is not None:
        torch.set_num_threads(num)
    try:
        yield
    finally:
        torch.set_num_threads(before)
