"""Streamed rows: memory, time to the first batch, speed, and how well windows shuffle.

    python benchmarks/streaming.py FOLDER [--rows 10000000] [--shards 64] [--keep]

It writes shards of 28 × 28 bytes with a label into FOLDER, sorted by the label, unless they are
there, and removes them at the end unless --keep is given. A training reads them once in its order;
pyarrow reads them in the order of the files. Each is measured in a process of its own.
"""

from __future__ import annotations

import argparse
import json
import logging
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch

import genzoo
from genzoo.data.streams.rows import StreamedDataset
from genzoo.training.batches import BatchPartition, batches

BATCH, GROUP, CLASSES = 512, 4096, 10


def main() -> None:
    """Measure, and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--shards", type=int, default=64)
    parser.add_argument("--keep", action="store_true")
    parser.add_argument("--only", choices=("stream", "pyarrow"))
    options = parser.parse_args()
    logging.getLogger("genzoo").setLevel(logging.ERROR)
    if options.only:
        print(json.dumps({"stream": streamed, "pyarrow": in_order}[options.only](options.folder)))
        return
    if not options.folder.exists():
        write(options.folder, options.rows, options.shards)
    warm(options.folder)
    in_turn = [apart(options.folder, kind) for kind in ("stream", "pyarrow") * 2]
    ours, theirs = max(r["rate"] for r in in_turn[::2]), max(r["rate"] for r in in_turn[1::2])
    print(f"memory above the start: {max(r['memory'] for r in in_turn[::2]):.0f} MB")
    print(f"after a quarter, half, all: {in_turn[0]['course']} MB")
    print(f"first batch after {max(r['first'] for r in in_turn[::2]):.2f} s")
    print(
        f"rows per second: {ours:,.0f}; pyarrow in order {theirs:,.0f}; ratio {ours / theirs:.2f}"
    )
    shuffling(options.folder)
    if not options.keep:
        shutil.rmtree(options.folder)


def write(folder: Path, num_rows: int, num_shards: int) -> None:
    """Write shards, sorted by the label."""
    folder.mkdir(parents=True)
    ends = [num_rows * (s + 1) // num_shards for s in range(num_shards)]
    for shard, (first, last) in enumerate(zip([0, *ends[:-1]], ends, strict=True)):
        rows = np.random.default_rng(shard).integers(0, 256, (last - first, 784), dtype=np.uint8)
        lines = pa.FixedSizeListArray.from_arrays(pa.array(rows.reshape(-1)), 28)
        label = np.arange(first, last) * CLASSES // num_rows
        table = pa.table({"x": pa.FixedSizeListArray.from_arrays(lines, 28), "label": label})
        name = f"train-{shard:05d}-of-{num_shards:05d}.parquet"
        pq.write_table(table, folder / name, row_group_size=GROUP, compression="none")


def warm(folder: Path) -> None:
    """Read all files once, so that neither side finds them colder."""
    for path in sorted(folder.glob("*.parquet")):
        with path.open("rb") as file:
            while file.read(2**24):
                pass


def apart(folder: Path, kind: str) -> dict[str, float]:
    """Return what a process of its own measures."""
    command = [sys.executable, __file__, str(folder), "--only", kind]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def memory(kind: str = "VmRSS") -> float:
    """Return the memory of this process in MB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1000 for line in lines if line.startswith(kind))


def streamed(folder: Path) -> dict[str, object]:
    """Read an epoch as training does."""
    data = genzoo.load_dataset("digits")  # What every process imports is not counted.
    pa.table({"x": [1]})
    before, start = memory(), time.perf_counter()
    data = genzoo.load_dataset(folder, streaming=True)
    updates = len(data) // BATCH
    feed = batches(data, BatchPartition(BATCH, 1, 1, 0), seed=0, first=0, last=updates)
    next(feed)
    first, course, begin = time.perf_counter() - start, [], time.perf_counter()
    for update, _ in enumerate(feed, start=2):
        if update in (updates // 4, updates // 2, updates):
            course.append(round(memory() - before))
    rate = (updates - 1) * BATCH / (time.perf_counter() - begin)
    return {"memory": memory("VmHWM") - before, "first": first, "rate": rate, "course": course}


def in_order(folder: Path) -> dict[str, float]:
    """Read all row groups in the order of the files by pyarrow."""
    num, begin = 0, time.perf_counter()
    for path in sorted(folder.glob("*.parquet")):
        with pq.ParquetFile(path) as file:
            for group in range(file.num_row_groups):
                num += file.read_row_group(group).num_rows
    return {"rate": num / (time.perf_counter() - begin)}


def shuffling(folder: Path) -> None:
    """Print the correlation of successive labels by the size of the window, without the rows."""
    print("correlation of successive labels (0 for a permutation of all rows, 1 for the order):")
    print("| window (MB) | 1 shard at once | 4 | 16 | all |\n| ---: | ---: | ---: | ---: | ---: |")
    for window in (8, 32, 64, 384):
        cells = []
        for at_once in (1, 4, 16, 1_000):
            data = genzoo.load_dataset(
                folder,
                streaming=True,
                window_bytes=2 * window * 2**20,
                shards_at_once=at_once,
            )
            cells.append(f"{correlation(data):.3f}")
        print(f"| {window} | {' | '.join(cells)} |")


def correlation(data: genzoo.Dataset) -> float:
    """Return the correlation of the labels of successive rows in the order of an epoch."""
    assert isinstance(data, StreamedDataset)
    order = data.order(0)
    order._expect = None  # Only the order is looked at: no row is read.
    rows = torch.cat(
        [order.indices(range(f, f + 2**16)) for f in range(0, len(data) - 2**16, 2**16)]
    )
    labels = (rows * CLASSES // len(data)).double()
    return float(torch.corrcoef(torch.stack([labels[:-1], labels[1:]]))[0, 1])


if __name__ == "__main__":
    main()
