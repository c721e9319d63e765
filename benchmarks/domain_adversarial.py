"""What unlabelled images of another domain do for a classifier: labels alone or with reversal.

The labelled domain is Fashion-MNIST's images 0–29,999 at 14 × 14. The other one is its images
30,000–59,999, unlabelled, as negatives, T(x) = 1 − x, or faded, T(x) = (1 + x) / 2. Accuracy on
the 10,000 test images, as they are and under T; chance is .1.

Usage: python benchmarks/domain_adversarial.py [--seeds 0 1 2] [--steps 1000] [--threads 1]
"""

from __future__ import annotations

import argparse
import logging
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from timing import circumstances, say
from torch import Tensor

import genzoo
import genzoo.plugin

SHIFTS: dict[str, Callable[[Tensor], Tensor]] = {
    "negative": lambda x: 1 - x,
    "faded": lambda x: (1 + x) / 2,
}
OBJECTIVES = ("cross-entropy", "domain-adversarial")
DATA, SIZE = "fashion-mnist-negative", 14


def main() -> None:
    """Train both ways for each shift and seed, and print the accuracies."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    logging.getLogger("genzoo").setLevel(logging.WARNING)
    torch.set_num_threads(given.threads)
    say(circumstances(given.threads), f"{given.steps} steps; accuracy on x, and on T(x)")
    data = genzoo.load_dataset(DATA, size=SIZE)
    grey = 1 - data.y.head(len(data.y))["x"]  # The negative is its own inverse.
    test = genzoo.load_dataset(DATA, "test", size=SIZE).head(10_000)
    for shift, turned in SHIFTS.items():
        both = genzoo.pair(data.x, turned(grey))
        for objective in OBJECTIVES:
            found = []
            for seed in given.seeds:
                model, seconds = trained(both, objective, seed, given)
                found.append([accuracy(model, x, test["label"]) for x in shown(test["x"], turned)])
                say(f"  {shift}, {objective}, seed {seed}: {line(found[-1])}; {seconds:.0f} CPU-s")
            say(f"{shift}, {objective}: {summary(found)}")


def trained(
    data: genzoo.plugin.Dataset, objective: str, seed: int, given: argparse.Namespace
) -> tuple[Any, float]:
    """Return a classifier, and the CPU-seconds that it took."""
    torch.manual_seed(seed)
    model = genzoo.create_model(
        "classifier",
        event=genzoo.Label(num_classes=10),
        conditions={"x": genzoo.Unit(shape=(1, SIZE, SIZE))},
    )
    stage = genzoo.Stage(
        objective=genzoo.Component(name=objective),
        trainer={"max_steps": given.steps, "batch_size": 64, "lr_scheduler": "linear"},
    )
    config = genzoo.TrainerConfig(seed=seed, threads=given.threads, progress=False)
    began = time.process_time()
    genzoo.Trainer(model, data, stage, config).fit()
    return model.eval(), time.process_time() - began


def shown(x: Tensor, turned: Callable[[Tensor], Tensor]) -> tuple[Tensor, Tensor]:
    """Return test images as both domains have them."""
    return x, turned(x)


@torch.no_grad()
def accuracy(model: Any, x: Tensor, label: Tensor) -> float:
    """Return the share of images whose likeliest label is theirs."""
    found = torch.cat([model.classify(block).argmax(1) for block in x.split(500)])
    return (found == label).double().mean().item()


def line(figures: list[float]) -> str:
    """Return the accuracies in one line."""
    return f"x {figures[0]:.3f}, T(x) {figures[1]:.3f}"


def summary(found: list[list[float]]) -> str:
    """Return mean and standard deviation over the seeds."""
    spread = [statistics.stdev(v) if len(v) > 1 else 0.0 for v in zip(*found, strict=True)]
    means = [statistics.mean(v) for v in zip(*found, strict=True)]
    return f"x {means[0]:.3f} ± {spread[0]:.3f}, T(x) {means[1]:.3f} ± {spread[1]:.3f}"


if __name__ == "__main__":
    main()
