"""Large arrays: CPU time and memory up to the first batch, and of the order of many rows.

Each figure is measured in a process of its own, which loads genzoo first. The files were just
written to a temporary folder, so the system has them in its cache where they fit. The memory is
the greatest ``RssAnon`` of the process, read every millisecond, less that before: pages of the
mapping are not counted, because the system can drop them.

Usage: python benchmarks/data_loading.py [--bytes 2000000000] [--rows 10000000]
"""

from __future__ import annotations

import argparse
import multiprocessing
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from timing import circumstances, say

import genzoo
from genzoo.training.batches import Stream

BATCH = 128
SIDE = 64


def write(path: Path, shape: tuple[int, ...], kind: str, seed: int = 0) -> None:
    """Write random rows piece by piece."""
    generator = np.random.default_rng(seed)
    written = np.lib.format.open_memmap(path, "w+", kind, shape)
    for first in range(0, len(written), 4096):
        piece = written[first : first + 4096]
        drawn = generator.integers(0, 256, piece.shape, dtype=np.uint8)
        piece[:] = drawn if kind == "u1" else drawn / np.float32(255)


def first_batch(path: str) -> dict[str, Any]:
    """Load a file, take the first batch of training."""
    dataset = genzoo.load_dataset(path)
    return dataset.batch(Stream(len(dataset), seed=0).indices(range(BATCH)))


def mean(path: str) -> torch.Tensor:
    """Load a file, and ask for its mean."""
    return genzoo.load_dataset(path).info.mean["x"]


def order(num: str) -> None:
    """Take a batch from each of three epochs."""
    stream = Stream(int(num), seed=0)
    for epoch in range(3):
        stream.indices(range(epoch * int(num), epoch * int(num) + BATCH))


def listed(num: str) -> list[torch.Tensor]:
    """List two orders, as a comparison."""
    return [torch.randperm(int(num)) for _ in range(2)]


def measured(function: Callable[[str], object], argument: str) -> tuple[float, float]:
    """Return the CPU seconds and the MB of memory that a call takes."""
    torch.set_num_threads(1)
    genzoo.load_dataset("digits").batch([0])
    with _Watch() as watch:
        before = time.process_time()
        kept = function(argument)
        seconds = time.process_time() - before
    del kept
    return seconds, watch.megabytes


class _Watch:
    """Watches the memory of this process that no file holds."""

    def __enter__(self) -> Self:
        self._first = self._most = _anonymous()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._look)
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._most = max(self._most, _anonymous())
        self._stopped.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._stopped.wait(0.001):
            self._most = max(self._most, _anonymous())

    @property
    def megabytes(self) -> float:
        return (self._most - self._first) / 1e6


def _anonymous() -> int:
    lines = Path("/proc/self/status").read_text("ascii").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("RssAnon"))


def main() -> None:
    """Print a line for each figure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bytes", type=int, default=2 * 10**9)
    parser.add_argument("--rows", type=int, default=10**7)
    given = parser.parse_args()
    say(f"{circumstances(1)}, batches of {BATCH}, seed 0")
    with tempfile.TemporaryDirectory() as folder:
        images, rows = Path(folder, "images.npy"), Path(folder, "rows.npy")
        write(images, (given.bytes // (3 * SIDE**2), 3, SIDE, SIDE), "u1")
        write(rows, (given.rows, 8), "f4")
        size = f"{images.stat().st_size / 1e9:.1f} GB of bytes"
        many = f"{given.rows:,} rows"
        say("| what | CPU seconds | MB of memory beyond the file |", "| --- | --- | --- |")
        for title, function, argument in (
            (f"{size}: first batch", first_batch, str(images)),
            (f"{size}: the mean, when it is asked for", mean, str(images)),
            (f"{many} of 8 float32: first batch", first_batch, str(rows)),
            (f"{many}: an order, three epochs", order, str(given.rows)),
            (f"{many}: two orders as lists, for comparison", listed, str(given.rows)),
        ):
            with multiprocessing.get_context("spawn").Pool(1) as pool:
                seconds, megabytes = pool.apply(measured, (function, argument))
            say(f"| {title} | {seconds:.2f} | {megabytes:.0f} |")


if __name__ == "__main__":
    main()
