"""What loading a cached model of the Hub costs compared with reading its weights.

The first load holds every byte against the checksum that the Hub states; next to it: a read of
the file, its SHA-256 and one pass over it that looks for values that are not finite. Later loads
are told by size, time and inode that nothing has changed; next to them: the read and the pass.
The cache is laid out as the client does it, the commit is pinned, and no request is made: each is
measured in a process of its own, the file having been read once before.

Usage: python benchmarks/hub_loading.py [--gigabytes 1.0] [--rounds 5]
"""

from __future__ import annotations

import argparse
import hashlib
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from loading import make
from timing import circumstances, say

SHA = "0123456789abcdef0123456789abcdef01234567"
REPOSITORY = "bench/large"
MEASURE = """
import hashlib, sys, time
import torch
from safetensors import safe_open
from genzoo import GenModel
import genzoo.hub.source
import genzoo_boltzmann.rbm
torch.set_num_threads(1)
how, cache, repository, sha = sys.argv[1:]
path = f"{cache}/models--{repository.replace('/', '--')}/snapshots/{sha}/model.safetensors"

def read(digest):
    if digest:
        with open(path, "rb") as file:
            hashlib.file_digest(file, "sha256")
    with safe_open(path, framework="pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}
    for tensor in tensors.values():
        if tensor.is_floating_point():
            low, high = torch.aminmax(tensor)
    return tensors

began = time.perf_counter()
if how == "load":
    kept = GenModel.from_pretrained(repository, revision=sha, cache_dir=cache)
else:
    kept = read(how == "digest")
print(time.perf_counter() - began)
"""


def measure(how: str, cache: Path) -> float:
    """Return the seconds of one way in a fresh process."""
    command = [sys.executable, "-c", MEASURE, how, str(cache), REPOSITORY, SHA]
    environment = {**os.environ, "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    return float(done.stdout)


def lay_out(cache: Path, num_bytes: int) -> int:
    """Lay out a cache that holds a model of about so many bytes; return its weights' size."""
    storage = cache / f"models--{REPOSITORY.replace('/', '--')}"
    folder, blobs = storage / "snapshots" / SHA, storage / "blobs"
    size = make(storage / "made", num_bytes)
    folder.mkdir(parents=True)
    blobs.mkdir()
    for path in [p for p in (storage / "made").iterdir() if p.is_file()]:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        path.rename(blobs / digest)
        (folder / path.name).symlink_to(Path("../../blobs", digest))
    return size


def write_record(cache: Path) -> None:
    """Write down what the Hub states of the commit, and that no file has been checked yet."""
    from genzoo.hub.file_metadata import Commit, Stated
    from genzoo.hub.integrity import Record

    storage = cache / f"models--{REPOSITORY.replace('/', '--')}"
    folder = storage / "snapshots" / SHA
    files = {p.name: Stated(p.stat().st_size, sha256=p.resolve().name) for p in folder.iterdir()}
    record = Record.of(storage, Commit(SHA, files))
    record.checked.clear()
    record.is_written = False
    record.write()


def main() -> None:
    """Print both ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gigabytes", type=float, default=1.0)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    first, later = [], []
    with tempfile.TemporaryDirectory() as name:
        cache = Path(name)
        size = lay_out(cache, int(given.gigabytes * 1e9))
        measure("read", cache)
        for _ in range(given.rounds):
            write_record(cache)
            first.append(measure("load", cache) / measure("digest", cache))
            later.append(measure("load", cache) / measure("read", cache))
    say(circumstances(1), f"  weights: {size / 1e9:.2f} GB")
    for what, values in (
        ("first load / (read + sha256 + check)", first),
        ("later load / (read + check)", later),
    ):
        middle = statistics.median(values)
        say(f"  {what}: {middle:.2f} ({min(values):.2f} to {max(values):.2f})")


if __name__ == "__main__":
    main()
