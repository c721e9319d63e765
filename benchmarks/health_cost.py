"""What the figures of a machine's health cost in training.

    python benchmarks/health_cost.py --rounds 30

784 × 500 units, batches of 100, float32, one thread, CD-1 and PCD-1. A round is 20 losses of each
objective that are logged and 20 that are not, in turn. What a logged one takes more, once in 50
updates as by default, is compared with 50 that are not logged, without the rest of the update.
Printed are the median of these shares of CPU time, and the 95 % interval of that median.
"""

from __future__ import annotations

import argparse
import statistics
import time

import torch
from step_time_pairs import interval
from timing import circumstances, say

import genzoo
from genzoo.plugin import Objective, Step

REPEATS, EVERY = 20, 50


def seconds(objective: Objective, x: torch.Tensor, *, logged: bool) -> float:
    """Return the CPU seconds of losses."""
    generator = torch.Generator().manual_seed(0)
    before = time.process_time()
    for index in range(REPEATS):
        list(objective.losses({"x": x}, Step(index, REPEATS, 0, generator, logged)))
    return time.process_time() - before


def main() -> None:
    """Print the cost for each objective."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=30)
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    x = (torch.rand(100, 784) < 0.13).float()
    model = genzoo.create_model("rbm", event=genzoo.Binary(shape=(784,)), num_hidden=500)
    say(circumstances(1))
    for name in ("cd", "pcd"):
        cls = genzoo.registry.load("objectives", name)
        objective = cls(model, cls.Config())
        shares = []
        for _ in range(options.rounds):
            silent = seconds(objective, x, logged=False)
            logged = seconds(objective, x, logged=True)
            shares.append(100 * (logged - silent) / (EVERY * silent))
        low, high = interval(shares)
        say(f"  {name:<4} {statistics.median(shares):.2f} % ({low:.2f} to {high:.2f})")


if __name__ == "__main__":
    main()
