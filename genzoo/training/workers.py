"""Worker processes that read rows ahead of training."""

from __future__ import annotations

import multiprocessing
import os

from genzoo.data.dataset import Dataset
from genzoo.training.config import TrainerConfig

_MOST = 4


def choose(config: TrainerConfig, rows: Dataset, num_processes: int) -> int:
    """Return the number of worker processes of this process.

    By default, rows that are slow to read get up to four, and one processor stays free for
    training. The rows that training sees do not depend on the number.

    Arguments:
        config: Whose ``dataloader_num_workers`` is a number, or None for the default.
        rows: The rows.
        num_processes: The number of training processes, which share the processors.
    """
    if multiprocessing.current_process().daemon:
        return 0  # Such a process may not start others.
    if config.dataloader_num_workers is not None:
        return config.dataloader_num_workers
    if not rows.needs_workers(len(rows)):
        return 0
    return min(_MOST, max(0, _num_processors() // num_processes - 1))


def _num_processors() -> int:
    """Return the number of processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
