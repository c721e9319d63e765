"""Functions timed in turn within one run, so that what slows one slows the others too."""

from __future__ import annotations

import gc
import platform
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import torch

from genzoo import __version__


def in_turn(
    functions: Mapping[str, Callable[[], object]],
    rounds: int,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, list[float]]:
    """Return the seconds of each function in each round, after one round that is not counted.

    A clock of the processor's time, `time.process_time`, is for one thread next to others' work.
    """
    seconds: dict[str, list[float]] = {name: [] for name in functions}
    for number in range(rounds + 1):
        for name, function in functions.items():
            gc.collect()
            began = clock()
            function()
            if number:
                seconds[name].append(clock() - began)
    return seconds


def ratio(seconds: Mapping[str, list[float]], of: str, to: str) -> str:
    """Return how many times longer ``of`` took than ``to``, round by round: median, and range."""
    ratios = [a / b for a, b in zip(seconds[of], seconds[to], strict=True)]
    return f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"


def say(*lines: str) -> None:
    """Print lines."""
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    sys.stdout.flush()


def circumstances(threads: int) -> str:
    """Return what the figures depend on."""
    return (
        f"genzoo {__version__}, torch {torch.__version__}, Python {platform.python_version()}, "
        f"{_processor()}, {threads} thread{'s' * (threads > 1)}"
    )


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text("utf-8").splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{len(names)} × {names[0]}" if names else platform.processor() or platform.machine()
