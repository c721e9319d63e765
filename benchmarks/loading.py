"""What loading a model folder costs: peak memory against the weights, time against reading them.

The folder holds one RBM of about the size asked for. Reading alone is a read of the file and one
pass over it that looks for values that are not finite. Each is measured in a process of its own,
the file having been read once before. Linux only: peak memory is VmHWM, mapped files included.

Usage: python benchmarks/loading.py [--gigabytes 1.0] [--rounds 5]
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from timing import circumstances, say

MEASURE = """
import json, sys, time
from pathlib import Path
import torch
from safetensors import safe_open
from genzoo import GenModel
from genzoo.model_files import WEIGHTS
import genzoo_boltzmann.rbm
torch.set_num_threads(1)
how, folder = sys.argv[1:]

def peak():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith("VmHWM"))

def read():
    with safe_open(f"{folder}/{WEIGHTS.name}", framework="pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}
    for tensor in tensors.values():
        if tensor.is_floating_point():
            low, high = torch.aminmax(tensor)
    return tensors

before, began = peak(), time.perf_counter()
kept = read() if how == "read" else GenModel.from_pretrained(folder)
print(json.dumps({"seconds": time.perf_counter() - began, "bytes": peak() - before}))
"""


def measure(how: str, folder: Path) -> dict[str, float]:
    """Return seconds and peak bytes of one way in a fresh process."""
    command = [sys.executable, "-c", MEASURE, how, str(folder)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def make(folder: Path, num_bytes: int) -> int:
    """Write a model of about so many bytes, and return the size of its weights."""
    import genzoo
    from genzoo.model_files import WEIGHTS

    visible = 16_384
    model = genzoo.create_model(
        "rbm",
        event=genzoo.Binary(shape=(visible,)),
        num_hidden=max(1, num_bytes // (4 * visible)),
    )
    model.save_pretrained(folder)
    return (folder / WEIGHTS.name).stat().st_size


def main() -> None:
    """Print both ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gigabytes", type=float, default=1.0)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name, "model")
        size = make(folder, int(given.gigabytes * 1e9))
        measure("read", folder)
        rows = [(measure("load", folder), measure("read", folder)) for _ in range(given.rounds)]
    memory = [load["bytes"] / size for load, _ in rows]
    times = [load["seconds"] / read["seconds"] for load, read in rows]
    say(circumstances(1), f"  weights: {size / 1e9:.2f} GB")
    for what, values in (("peak memory / weights", memory), ("time / (read + check)", times)):
        middle = statistics.median(values)
        say(f"  {what}: {middle:.2f} ({min(values):.2f} to {max(values):.2f})")


if __name__ == "__main__":
    main()
