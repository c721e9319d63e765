"""log p of NADE by its recursion, compared with each factor on its own, which takes O(D² H).

The naive evaluation takes a matrix product for each place, of all rows at once, with the weights
of all places before it. Both are timed in turn, 30 pairs by default. Printed are the median of the
ratios, and the 95 % interval of that median from the order statistics of the pairs.

Usage: python benchmarks/nade_speed.py [--rounds 30]
"""

from __future__ import annotations

import argparse
import functools
import os
import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from step_time_pairs import interval
from timing import circumstances, in_turn, say
from torch import Tensor

import genzoo

PLACES, HIDDEN, ROWS, SEED = 784, 500, 500, 0
SHARES = (0.13, 0.5)
"""The shares of ones: that of binarised MNIST, and one at which no work is saved."""


def data() -> dict[str, Tensor]:
    """Return independent rows of each share, and rows of binarised MNIST if they are there."""
    found = {f"{s:.0%} ones": (torch.rand(ROWS, PLACES) < s).float() for s in SHARES}
    folder = Path(os.environ.get("GENZOO_BENCHMARK_DATA", "../shared/data"))
    path = folder / "binarized-mnist.npz"
    if path.is_file():
        with np.load(path) as packed:
            rows = np.unpackbits(packed["test"][:ROWS], axis=1)
        found["binarised MNIST"] = torch.from_numpy(rows).float()
    return found


def naive(model: Any, x: Tensor) -> Tensor:
    """Return log p of rows (B, D): for each place, hidden units from all places before it."""
    logits = [
        (model.c + x[:, :i] @ model.W[:i, 0]).sigmoid() @ model.V[i] + model.b[i]
        for i in range(x.shape[1])
    ]
    signed = (2 * x - 1) * torch.cat(logits, dim=1)
    return torch.nn.functional.logsigmoid(signed).sum(1)


@torch.no_grad()
def main() -> None:
    """Time both in turn."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=30)
    rounds = parser.parse_args().rounds
    torch.set_num_threads(1)
    torch.manual_seed(SEED)
    space = genzoo.Binary(shape=(PLACES,))
    model: Any = genzoo.create_model("nade", event=space, hidden_dim=HIDDEN).eval()
    say(
        circumstances(1),
        f"D = {PLACES}, H = {HIDDEN}, {ROWS} rows, seed {SEED}, {rounds} rounds, CPU time",
    )
    for name, x in data().items():
        error = (model.log_prob(x).values - naive(model, x).double()).abs().max().item()
        functions = {
            "recursion": functools.partial(model.log_prob, x),
            "naive": functools.partial(naive, model, x),
        }
        seconds = in_turn(functions, rounds, time.process_time)
        ratios = [a / b for a, b in zip(seconds["naive"], seconds["recursion"], strict=True)]
        low, high = interval(ratios)
        fast, slow = (1000 * statistics.median(seconds[which]) for which in functions)
        say(
            f"{name}: recursion {fast:.1f} ms, naive {slow:.0f} ms, naive / recursion "
            f"{statistics.median(ratios):.2f} ({low:.2f} to {high:.2f}); "
            f"largest difference of log p {error:.1e}"
        )


if __name__ == "__main__":
    main()
