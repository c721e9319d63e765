"""Images in a folder against the same rows in an array: the second epoch, in CPU time.

5,000 PNG of 64 × 64 are written with noise of low resolution, and read in batches in a shuffled
order. In the first epoch of the folder the images are decoded; in the second they are kept in
memory. Epochs of both alternate, and the ratio of each pair is printed with the median.

Usage: python benchmarks/image_folder.py [--num 5000] [--side 64] [--pairs 15]
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from genzoo.data import Dataset, from_array, load_dataset
from genzoo.training.batches import BatchPartition, batches

SEED, BATCH = 0, 64


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--num", type=int, default=5000)
    parser.add_argument("--side", type=int, default=64)
    parser.add_argument("--pairs", type=int, default=15)
    given = parser.parse_args()
    torch.set_num_threads(1)
    print(f"{given.num} PNG of {given.side} × {given.side} × 3, batches of {BATCH}, seed {SEED},")
    print(f"one thread; CPU time of an epoch, {given.pairs} pairs in turn")
    with tempfile.TemporaryDirectory() as folder:
        pixels = write(Path(folder), given.num, given.side)
        measure(Path(folder), pixels, given.pairs)


def write(folder: Path, num: int, side: int) -> np.ndarray:
    """Write smooth images, which take as long to decode as photographs; return their pixels."""
    draws = np.random.default_rng(SEED)
    pixels = np.empty((num, side, side, 3), np.uint8)
    for i in range(num):
        coarse = Image.fromarray(draws.integers(0, 256, (8, 8, 3), dtype=np.uint8))
        pixels[i] = np.asarray(coarse.resize((side, side)))
        Image.fromarray(pixels[i]).save(folder / f"{i}.png")
    return pixels.transpose(0, 3, 1, 2).copy()


def measure(folder: Path, pixels: np.ndarray, pairs: int) -> None:
    """Print the time to load, the first epoch, and later epochs against an array's."""
    loading, images = timed(lambda: load_dataset(str(folder)))
    array = from_array(pixels, "array", scale=255)
    kept = images.cache.capacity * pixels[0].size
    print(f"headers of all files        {loading:8.3f} s")
    print(f"first epoch, images         {timed(lambda: epoch(images))[0]:8.3f} s")
    ours, theirs = [], []
    epoch(array)
    for _ in range(pairs):
        ours.append(timed(lambda: epoch(images))[0])
        theirs.append(timed(lambda: epoch(array))[0])
    ratios = sorted(b / a for a, b in zip(ours, theirs, strict=True))
    print(
        f"later epochs, images        {statistics.median(ours):8.3f} s, {kept / 1e6:.0f} MB kept"
    )
    print(f"epochs of the array         {statistics.median(theirs):8.3f} s")
    print(
        f"rate of images / of array   {statistics.median(ratios):8.2f}, {ratios[0]:.2f} to ",
        end="",
    )
    print(f"{ratios[-1]:.2f}")
    uncached = load_dataset(str(folder), cache_bytes=0)
    print(f"an epoch, nothing kept      {timed(lambda: epoch(uncached))[0]:8.3f} s")
    check(images, array)


def epoch(data: Dataset) -> None:
    """Read the rows once, in batches in the order of training."""
    steps = len(data) // BATCH
    for _ in batches(data, BatchPartition(BATCH, 1, 1, 0), seed=SEED, first=0, last=steps):
        pass


def timed(call: Callable[[], object]) -> tuple[float, object]:
    """Return the CPU time of a call, and its result."""
    began = time.process_time()
    found = call()
    return time.process_time() - began, found


def check(images: Dataset, array: Dataset) -> None:
    """Demand that both have the same rows."""
    rows = torch.arange(0, len(images), 97)
    if not torch.equal(images.batch(rows)["x"], array.batch(rows)["x"]):
        raise SystemExit("The rows differ.")


if __name__ == "__main__":
    main()
