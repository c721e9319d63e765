"""Memory of `log_prob` of a VAE 784-200-200-50, K = 50, by the number of rows.

Printed is the greatest resident size of a process of its own during the call, less that before it,
after a call of one block. It may not grow with the rows.

Usage: python benchmarks/log_prob_memory.py [--rows 1000 10000 40000]
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource

import torch
from timing import circumstances, say

import genzoo

DRAWS = 50


def _megabytes() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measure(num: int) -> tuple[float, float]:
    """Return the memory that values of ``num`` rows take in MB, and that of the rows."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    model = genzoo.create_model(
        "vae", event=genzoo.Binary(shape=(784,)), hidden_dims=(200, 200), latent_dim=50
    ).eval()
    x = torch.rand(num, 784).round()
    with torch.no_grad():
        model.log_prob(x[:100], num_samples=DRAWS)
        before = _megabytes()
        model.log_prob(x, num_samples=DRAWS)
    return _megabytes() - before, x.numel() * 4 / 2**20


def main() -> None:
    """Print a line for each number of rows."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, nargs="+", default=[1000, 10_000, 40_000])
    given = parser.parse_args()
    say(circumstances(1))
    for num in given.rows:
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            more, rows = pool.apply(measure, (num,))
        say(f"{num:>7,} rows of {rows:.0f} MB: {more:.1f} MB more")


if __name__ == "__main__":
    main()
