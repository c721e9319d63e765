"""CPU threads: on two busy cores two threads can be ten times slower than one."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

import torch

from genzoo.threads import limited
from genzoo.training.config import TrainerConfig

logger = logging.getLogger("genzoo")

_WARMUP, _TIMED = 2, 8


def choose(config: TrainerConfig, make_step: Callable[[], Callable[[], None]]) -> int | None:
    """Return the number of threads to train with; None leaves it as it is.

    Arguments:
        config: Whose ``threads`` is a number, None, or "auto".
        make_step: Makes a function that trains a copy for one step.
    """
    if config.threads != "auto":
        return config.threads
    everything = torch.get_num_threads()
    if everything == 1:
        return 1
    seconds = {num: _time(num, make_step()) for num in (1, everything)}
    fastest = min(seconds, key=seconds.__getitem__)
    logger.info(
        "Threads: a step takes %.2f ms with 1 and %.2f ms with %d; training with %d.",
        1e3 * seconds[1],
        1e3 * seconds[everything],
        everything,
        fastest,
    )
    return fastest


def _time(num: int, step: Callable[[], None]) -> float:
    """Return the median seconds of a step."""
    seconds = []
    with limited(num):
        for _ in range(_WARMUP + _TIMED):
            began = time.perf_counter()
            step()
            seconds.append(time.perf_counter() - began)
    return sorted(seconds[_WARMUP:])[_TIMED // 2]
