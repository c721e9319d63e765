"""Memory of `log_prob` by the number of rows: a VAE 784-200-200-50, K = 50, and other models.

Printed is the greatest resident size of a process of its own during the call, less that before it,
after a call of one block. It may not grow with the rows.

Usage: python benchmarks/log_prob_memory.py [--rows 1000 10000 40000] [--models vae made]
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
from typing import Any

import torch
from timing import circumstances, say

import genzoo

DRAWS = 50
MODELS: dict[str, dict[str, Any]] = {
    "vae": {"hidden_dims": (200, 200), "latent_dim": 50},
    "fvsbn": {},
    "made": {},
    "nade": {},
    "pixelcnn": {"hidden_channels": 16, "patch_size": 2},
    "pixelrnn": {"hidden_channels": 16, "patch_size": 2},
    "transformer": {"hidden_dim": 16, "num_layers": 1},
}
"""Small networks, so that many rows take little time."""


def _megabytes() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measure(name: str, num: int) -> tuple[float, float]:
    """Return the memory that values of ``num`` rows take in MB, and that of the rows."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    event = genzoo.Binary(shape=(1, 28, 28))
    model: Any = genzoo.create_model(name, event=event, **MODELS[name]).eval()
    x = torch.rand(num, 1, 28, 28).round()
    with torch.no_grad():
        model.log_prob(x[: max(100, model.default_batch_size)], num_samples=DRAWS)
        before = _megabytes()
        model.log_prob(x, num_samples=DRAWS)
    return _megabytes() - before, x.numel() * 4 / 2**20


def main() -> None:
    """Print a line for each number of rows."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, nargs="+", default=[1000, 10_000, 40_000])
    parser.add_argument("--models", nargs="+", choices=list(MODELS), default=["vae"])
    given = parser.parse_args()
    say(circumstances(1))
    for name in given.models:
        for num in given.rows:
            with multiprocessing.get_context("spawn").Pool(1) as pool:
                more, rows = pool.apply(measure, (name, num))
            say(f"{name}, {num:>7,} rows of {rows:.0f} MB: {more:.1f} MB more")


if __name__ == "__main__":
    main()
