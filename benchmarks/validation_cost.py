"""The cost of evaluating on held-out rows during training: its share of the CPU time, one thread.

A VAE 784-400-20 is trained with batches of 128 random images, and evaluated with the objective's
loss on 1,000 rows every 100 steps. Each round trains once; the time of the evaluations is divided
by that of the rest of the same run. Printed are the median and the range over rounds.

Usage: python benchmarks/validation_cost.py [--steps 300] [--rounds 10]
"""

from __future__ import annotations

import argparse
import statistics
import time
from typing import Any

import torch
from timing import circumstances, say

import genzoo
from genzoo.training.held_out import HeldOut

HELD_OUT = 1000
EVERY = 100
SEED = 0


def share(steps: int, x: torch.Tensor) -> float:
    """Return the CPU time of the evaluations of a run, divided by that of the rest."""
    torch.manual_seed(SEED)
    event = genzoo.Unit(shape=(1, 28, 28))
    model = genzoo.create_model("vae", event=event, hidden_dims=(400,), latent_dim=20)
    config = genzoo.TrainerConfig(max_steps=steps, batch_size=128, eval_steps=EVERY, threads=1)
    trainer = genzoo.Trainer(model, x[HELD_OUT:], config=config, eval_data=x[:HELD_OUT])
    spent, figures = [], HeldOut.figures

    def timed(self: HeldOut, *arguments: Any) -> dict[str, float]:
        began = time.process_time()
        found = figures(self, *arguments)
        spent.append(time.process_time() - began)
        return found

    HeldOut.figures = timed  # type: ignore[method-assign]
    began = time.process_time()
    try:
        trainer.fit()
    finally:
        HeldOut.figures = figures  # type: ignore[method-assign]
    return sum(spent) / (time.process_time() - began - sum(spent))


def main() -> None:
    """Print the share."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=10)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    x = torch.rand(10_000, 1, 28, 28, generator=torch.Generator().manual_seed(SEED))
    share(EVERY, x)  # The first one warms up.
    shares = [100 * share(arguments.steps, x) for _ in range(arguments.rounds)]
    say(
        circumstances(1),
        f"{arguments.steps} steps, an evaluation on {HELD_OUT} rows every {EVERY}, "
        f"{arguments.rounds} rounds, seed {SEED}",
        f"evaluations / the rest: {statistics.median(shares):.1f} % "
        f"({min(shares):.1f} to {max(shares):.1f})",
    )


if __name__ == "__main__":
    main()
