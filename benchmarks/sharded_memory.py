"""The peak memory of training a large network, by one process and by two that shard it.

A VAE with deep encoder and decoder (about 60 million parameters in blocks of 1 million), Adam and
averaged weights, batches of 4 rows, so that nearly all memory is that of parameters, gradients,
optimizer states and averages: five numbers of 4 bytes for each parameter. The peak is that of the
process on a CPU (VmHWM), from the start of the model to the end of training, with a checkpoint and
the stored model, less what the process had before. Printed are the peaks, and the ratio of the
larger of two processes to one.

Usage: python benchmarks/sharded_memory.py [--layers 28] [--width 1024] [--updates 3]
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import torch
from timing import circumstances, say

import genzoo
from genzoo.data import from_array
from genzoo.training.accelerating import leave_group

UNITS = 5
"""A parameter, its gradient, two moments of Adam, and its average."""


def status(name: str) -> int:
    """Return a figure of this process's memory in bytes."""
    text = Path("/proc/self/status").read_text("utf-8")
    line = next(line for line in text.splitlines() if line.startswith(name))
    return 1024 * int(line.split()[1])


def trained(given: argparse.Namespace, folder: Path) -> None:
    """Train, and write the peak of this process into the folder."""
    torch.set_num_threads(1)
    x = torch.rand(64, 1, 28, 28, generator=torch.Generator().manual_seed(0)).round()
    data = from_array(x, "rows")
    small = genzoo.create_model("vae", event=genzoo.Binary(shape=(1, 28, 28)), hidden_dims=(8,))
    values = {"batch_size": 4, "ema_decay": 0.99, "threads": 1, "progress": False}
    values |= {"sample_steps": 0, "save_steps": given.updates, "shard": "none"}
    # A small training first: what is imported, and the messages' memory, do not count.
    genzoo.Trainer(small, data, config=genzoo.TrainerConfig(max_steps=2, **values)).fit()
    before = status("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # The peak begins anew.
    model = genzoo.create_model(
        "vae",
        event=genzoo.Binary(shape=(1, 28, 28)),
        latent_dim=20,
        hidden_dims=(given.width,) * given.layers,
    )
    values["shard"] = "none" if given.whole else 1_000_000
    config = genzoo.TrainerConfig(max_steps=given.updates, **values)
    genzoo.Trainer(model, data, config=config, output_dir=folder / "run").fit()
    found = {
        "peak": status("VmHWM") - before,
        "parameters": sum(p.numel() for p in model.parameters()),
    }
    rank = os.environ.get("RANK", "0")
    (folder / f"{rank}.json").write_text(json.dumps(found), encoding="utf-8")
    leave_group()


def measured(given: argparse.Namespace, *launcher: str, whole: bool) -> list[dict[str, int]]:
    """Return the figures of each process of a training."""
    with tempfile.TemporaryDirectory() as folder:
        sizes = ["--layers", given.layers, "--width", given.width, "--updates", given.updates]
        command = [sys.executable, *launcher, __file__, *map(str, sizes), "--folder", folder]
        # The library of C would keep the memory of freed tensors for later ones.
        environment = {**os.environ, "MALLOC_MMAP_THRESHOLD_": str(2**18)}
        subprocess.run([*command, *(["--whole"] if whole else [])], check=True, env=environment)
        files = sorted(Path(folder).glob("*.json"))
        return [json.loads(path.read_text("utf-8")) for path in files]


def main() -> None:
    """Print the peaks and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--layers", type=int, default=28)
    parser.add_argument("--width", type=int, default=1024)
    parser.add_argument("--updates", type=int, default=3)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--whole", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.folder is not None:
        trained(given, given.folder)
        return
    two = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")
    (one,) = measured(given, whole=True)
    rows = {"two, whole networks": measured(given, *two, whole=True)}
    rows["two, sharded"] = measured(given, *two, whole=False)
    unit = 4 * one["parameters"]
    say(circumstances(1), f"{one['parameters']:,} parameters, {given.updates} updates")
    say(f"{UNITS} numbers a parameter are {UNITS * unit / 2**20:,.0f} MiB")
    say("| processes | peak, MiB | numbers a parameter | compared with one |", "| --- " * 4 + "|")
    for name, found in {"one": [one], **rows}.items():
        peak = max(each["peak"] for each in found)
        ratio = peak / one["peak"]
        say(f"| {name} | {peak / 2**20:,.0f} | {peak / unit:.2f} | {ratio:.3f} |")


if __name__ == "__main__":
    main()
