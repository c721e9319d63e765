"""How long two processes take for an update of a VAE, compared with torch's DDP by hand.

784-400-20 units. Both run in the same two processes, one thread each, in turn: a chunk of updates
through the Trainer, then as many by hand with fused Adam, whose batches, noise and learning rate
are the same in kind. The batch size counts the examples of an update over both processes. A ratio
is the time on the clock of a pair of chunks; it counts the waiting for messages. Printed are the
median of the ratios and its 95 % interval. Nothing else should run on the machine.

Usage: torchrun --standalone --nproc-per-node 2 benchmarks/averaging_speed.py [--pairs 30]
    [--updates 100] [--batch-sizes 128 256]
"""

from __future__ import annotations

import argparse
import logging
import os
import statistics
import time
from collections.abc import Mapping
from typing import Any

import torch
import torch.distributed as dist
from step_time_pairs import interval
from timing import circumstances, say
from torch.nn.parallel import DistributedDataParallel
from vae_training_speed import HIDDEN, LATENT, Net

import genzoo
from genzoo.data import ArrayDataset, from_array
from genzoo.training.accelerating import leave_group
from genzoo.training.callbacks import Callback, TrainerState

ROWS, START = 10_000, 20
"""The number of rows, and of updates before the clock starts."""


class Clock(Callback):
    """Takes the time of the updates after the first ones."""

    def __init__(self) -> None:
        self.began = self.seconds = 0.0

    def on_step(self, state: TrainerState, row: Mapping[str, Any] | None) -> None:
        """Start, or read, the clock."""
        if state.step == START:
            self.began = time.perf_counter()
        self.seconds = time.perf_counter() - self.began


def through_the_trainer(data: ArrayDataset, size: int, updates: int) -> float:
    """Return the seconds of updates through the Trainer, on the main process."""
    model = genzoo.create_model(
        "vae", event=genzoo.Binary(shape=(1, 28, 28)), latent_dim=LATENT, hidden_dims=(HIDDEN,)
    )
    config = genzoo.TrainerConfig(
        max_steps=START + updates,
        batch_size=size,
        threads=1,
        progress=False,
        sample_steps=0,
        save_steps=0,
    )
    stage, clock = genzoo.Stage(objective=genzoo.Component(name="elbo")), Clock()
    genzoo.Trainer(model, data, stage, config, callbacks=[clock]).fit()
    return clock.seconds


def by_hand(x: torch.Tensor, size: int, updates: int) -> float:
    """Return the seconds of updates with DDP, as in its tutorial."""
    rank, num = dist.get_rank(), dist.get_world_size()
    net = DistributedDataParallel(Net())
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3, fused=True)
    order, began = torch.randperm(len(x)), 0.0
    for step in range(START + updates):
        if step == START:
            began = time.perf_counter()
        first = (step * size + rank * size // num) % (len(x) - size)
        rows = x.index_select(0, order[first : first + size // num])
        optimizer.zero_grad()
        loss = net(rows)
        loss.backward()
        optimizer.step()
        loss.item()
    return time.perf_counter() - began


def main() -> None:
    """Print a line for each batch size."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--pairs", type=int, default=30)
    parser.add_argument("--updates", type=int, default=100)
    parser.add_argument("--batch-sizes", type=int, nargs="+", default=[128, 256])
    given = parser.parse_args()
    logging.getLogger("genzoo").setLevel(logging.WARNING)
    torch.set_num_threads(1)
    x = (torch.rand(ROWS, 784, generator=torch.Generator().manual_seed(0)) < 0.13).float()
    data = from_array(x.reshape(-1, 1, 28, 28), "rows")
    main_one = os.environ.get("RANK", "0") == "0"
    if main_one:
        say(circumstances(1), f"{given.pairs} pairs of {given.updates} updates, two processes")
    for size in given.batch_sizes:
        ratios, milliseconds = [], []
        for number in range(given.pairs + 1):
            ours = through_the_trainer(data, size, given.updates)
            theirs = by_hand(x, size, given.updates)
            if number:  # The first pair imports what it needs.
                ratios.append(ours / theirs)
                milliseconds.append(1000 * theirs / given.updates)
        if main_one:
            low, high = interval(ratios)
            say(
                f"batch size {size}: genzoo / DDP by hand {statistics.median(ratios):.3f} "
                f"({low:.3f} to {high:.3f}); by hand {statistics.median(milliseconds):.2f} ms"
            )
    leave_group()


if __name__ == "__main__":
    main()
