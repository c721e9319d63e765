"""Plain, centred and natural-metric gradients: exact likelihoods after equal numbers of updates.

    python benchmarks/natural_metric.py

Small machines learn by PCD-5 with 100 chains, batches of 100 and a falling rate, by
`genzoo.Trainer` on one thread. For each gradient and number of updates the rate is the best of
four by seed 0; the figures are those of seeds 1 to 3. Likelihoods are exact and those of the
training rows, for the question is how fast machines learn. Natural-metric gradients are centred
too. An update by them takes up to twice the time here, so compare 100 of them with 200 of the
others, and 800 with 1,600.
"""

from __future__ import annotations

import argparse
import logging
import statistics
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from timing import circumstances, say

import genzoo

GRADIENTS: Mapping[str, tuple[Mapping[str, Any], tuple[float, ...]]] = {
    "plain": ({"centred": False}, (0.1, 0.3, 1.0, 3.0)),
    "centred": ({}, (0.1, 0.3, 1.0, 3.0)),
    "natural": ({"metric": "natural"}, (0.015, 0.05, 0.15, 0.5)),
}
"""The config of each gradient, and the rates to choose from."""


@dataclass(frozen=True)
class Problem:
    """A machine and its data.

    Arguments:
        name: What is printed.
        model: The name of the machine.
        hidden: Its hidden units.
        data: The training rows.
    """

    name: str
    model: str
    hidden: Mapping[str, Any]
    data: genzoo.plugin.Dataset


def problems() -> list[Problem]:
    """Return the problems."""
    bars = genzoo.load_dataset("bars-and-stripes", side=4)
    digits = genzoo.load_dataset("digits", binarize="threshold")
    return [
        Problem("rbm of 16 + 16 units, 4 × 4 bars and stripes", "rbm", {"num_hidden": 16}, bars),
        Problem(
            "dbm of 16 + 16 + 8 units without pretraining, 4 × 4 bars and stripes",
            "dbm",
            {"hidden_dims": (16, 8)},
            bars,
        ),
        Problem("rbm of 64 + 16 units, binarised digits", "rbm", {"num_hidden": 16}, digits),
    ]


def learned(
    problem: Problem, gradient: Mapping[str, Any], rate: float, updates: int, seed: int
) -> tuple[float, float]:
    """Return the mean exact log-likelihood in nats, and the CPU seconds of training."""
    torch.manual_seed(seed)
    model = genzoo.create_model(problem.model, data=problem.data, **problem.hidden)
    values = {"lr": rate, "num_steps": 5, "num_chains": 100, **gradient}
    stage = genzoo.Stage.from_dict({"objective": {"name": "pcd", "config": values}})
    config = genzoo.TrainerConfig(
        max_steps=updates,
        batch_size=min(100, len(problem.data)),
        lr_scheduler="linear",
        seed=seed,
        threads=1,
        progress=False,
    )
    began = time.process_time()
    genzoo.Trainer(model, problem.data, stage, config).fit()
    seconds = time.process_time() - began
    with torch.no_grad():
        found = model.log_prob(problem.data.head(len(problem.data))["x"])
    if found.kind != "exact":
        raise ValueError(f"The likelihood is a {found.kind}; take fewer hidden units.")
    return float(found.values.double().mean()), seconds


def line(problem: Problem, name: str, updates: int) -> str:
    """Return the figures of a gradient after a number of updates."""
    gradient, rates = GRADIENTS[name]
    first = {rate: learned(problem, gradient, rate, updates, 0)[0] for rate in rates}
    rate = max(first, key=first.__getitem__)
    runs = [learned(problem, gradient, rate, updates, seed) for seed in (1, 2, 3)]
    values, seconds = zip(*runs, strict=True)
    return (
        f"  {updates:>5,} updates, {name:<7} rate {rate:<4}: {statistics.mean(values):7.2f} "
        f"({min(values):.2f} to {max(values):.2f}), {statistics.mean(seconds):.1f} CPU seconds"
    )


def main() -> None:
    """Print a line for each problem, number of updates and gradient."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--updates", type=int, nargs="+", default=[100, 200, 800, 1600])
    parser.add_argument("--problem", type=int, choices=(0, 1, 2), help="one of them alone")
    given = parser.parse_args()
    logging.getLogger("genzoo").setLevel(logging.ERROR)
    torch.set_num_threads(1)
    say(circumstances(1), "mean log p of the training rows in nats, mean of three seeds (range)")
    chosen = problems() if given.problem is None else [problems()[given.problem]]
    for problem in chosen:
        say(problem.name)
        for updates in given.updates:
            for name in GRADIENTS:
                say(line(problem, name, updates))


if __name__ == "__main__":
    main()
