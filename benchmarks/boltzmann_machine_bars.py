"""A general Boltzmann machine on 4 × 4 bars and stripes: the exact divergence from the data.

    python benchmarks/boltzmann_machine_bars.py --seeds 3

The data are 30 patterns of 16 units, of which all-on and all-off have twice the probability of the
others; their entropy is 3.379 nats. KL(data ‖ model) is exact: log Z is a sum over states. The
machine trains by `genzoo.Trainer` on one thread, with every row in each batch.
"""

from __future__ import annotations

import argparse
import logging
import time

import torch
from timing import circumstances, say

import genzoo


def divergence(model: genzoo.GenerativeModel, data: genzoo.plugin.Dataset) -> float:
    """Return KL(data ‖ model) in nats, exact."""
    x = data.head(len(data))["x"]
    patterns, counts = torch.unique(x, dim=0, return_counts=True)
    p = counts.double() / counts.sum()
    with torch.no_grad():
        log_p = model.log_prob(patterns)
    if log_p.kind != "exact":
        raise ValueError(f"The likelihood is a {log_p.kind}; take fewer hidden units.")
    return float((p * (p.log() - log_p.values)).sum())


def main() -> None:
    """Print a line for each seed."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--graph", default="semi-restricted")
    parser.add_argument("--num-hidden", type=int, default=16)
    parser.add_argument("--steps", type=int, default=20_000)
    parser.add_argument("--sweeps", type=int, default=4)
    parser.add_argument("--lr", type=float, default=0.1)
    given = parser.parse_args()
    logging.getLogger("genzoo").setLevel(logging.WARNING)
    torch.set_num_threads(1)
    data = genzoo.load_dataset("bars-and-stripes", side=4)
    values = {"num_steps": given.sweeps, "lr": given.lr, "num_chains": 100}
    stage = genzoo.Stage.from_dict({"objective": {"name": "pcd", "config": values}})
    say(circumstances(1), f"16 + {given.num_hidden} units, {given.graph}, {given.steps:,} updates")
    for seed in range(given.seeds):
        torch.manual_seed(seed)
        model = genzoo.create_model(
            "boltzmann-machine", data=data, num_hidden=given.num_hidden, graph=given.graph
        )
        config = genzoo.TrainerConfig(
            max_steps=given.steps,
            batch_size=len(data),
            lr_scheduler="linear",
            seed=seed,
            threads=1,
            progress=False,
        )
        before = time.process_time()
        genzoo.Trainer(model, data, stage, config).fit()
        seconds = time.process_time() - before
        say(f"  seed {seed}: KL {divergence(model, data):.4f} nats, {seconds:.0f} CPU seconds")


if __name__ == "__main__":
    main()
