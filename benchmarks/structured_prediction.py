"""Structured prediction: the lower half of a digit given the upper one, by gradient estimators.

A sigmoid belief net 392-200-200-392 with the upper half as its condition, on the static binarised
MNIST: log (1/K) Σ p(x | h_k) with h_k ~ p(h | upper half). Each estimator trains for a number of
CPU minutes of one core with the loss of Jang, Gu and Poole, one draw of the bound. Learning rates
are those of the best weights on the validation rows among the ones given. Test rows are evaluated
once, with K = 1,000.

| Categorical Reparameterization with Gumbel-Softmax (Jang, Gu, Poole, 2017), table 1
| Techniques for Learning Binary Stochastic Feedforward Neural Networks
| (Raiko, Berglund, Alain, Dinh, 2015)

Usage: python benchmarks/structured_prediction.py [--estimators NAME...] [--minutes 30]
    [--rates 0.0003 0.001 0.003] [--seed 0]
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping
from typing import Any

import torch
from binarized_mnist import prepare
from timing import circumstances, say

import genzoo
from genzoo import Component, Stage, Trainer, TrainerConfig
from genzoo.data import ArrayDataset, Dataset
from genzoo.plugin import Binary, DataInfo

HALF, DRAWS, SIDE = 14, 1000, 28
ESTIMATORS: Mapping[str, Mapping[str, Any]] = {
    "score-function": {"name": "score-function"},
    "score-function, input-dependent": {
        "name": "score-function",
        "config": {"baseline": "input-dependent"},
    },
    "straight-through": {"name": "straight-through"},
    "straight-through-gumbel": {"name": "straight-through-gumbel"},
    "gumbel-softmax": {"name": "gumbel-softmax"},
}
"""What is compared; the first has a running mean as its baseline."""


def halves(split: str) -> Dataset:
    """Return lower halves as x, and upper halves as the condition ``upper``."""
    rows = genzoo.load_dataset(str(prepare()), split)
    x = rows.batch(torch.arange(len(rows)))["x"]
    space = Binary(shape=(1, HALF, SIDE))
    info = DataInfo(fields={"x": space, "upper": space})
    upper = {"upper": x[:, :, :HALF].clone()}
    return ArrayDataset(x[:, :, HALF:].clone(), info, f"{split} halves", columns=upper)


def trained(
    estimator: Mapping[str, Any], rate: float, steps: int, seed: int, data: Dataset
) -> genzoo.GenerativeModel:
    """Return a model after a number of updates."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = genzoo.create_model(
            "sbn", data=data, conditions=["upper"], hidden_dims=(200, 200), posterior="prior"
        )
    stage = Stage(
        objective=Component(name="elbo", config={"lr": rate, "estimator": dict(estimator)}),
        trainer={"max_steps": steps, "batch_size": 100, "lr_scheduler": "linear"},
    )
    config = TrainerConfig(
        seed=seed, threads=1, progress=False, sample_steps=0, logging_steps=10**6
    )
    return Trainer(model, data, (stage,), config).fit()


def bound(model: Any, data: Dataset, num: int, draws: int) -> genzoo.Estimate:
    """Return the mean of log (1/K) Σ p(x | h_k) over the first rows of data."""
    batch = data.batch(torch.arange(min(num, len(data))))
    with torch.no_grad():
        found = model.log_prob(
            batch["x"],
            condition={"upper": batch["upper"]},
            num_samples=draws,
            generator=torch.Generator().manual_seed(0),
        )
    return found.mean()


def seconds_per_step(estimator: Mapping[str, Any], data: Dataset) -> float:
    """Return the CPU seconds of an update, from two runs whose start costs the same."""
    times = []
    for steps in (1, 1, 1001):  # The first run imports what it needs.
        began = time.process_time()
        trained(estimator, 1e-3, steps, 0, data)
        times.append(time.process_time() - began)
    return (times[2] - times[1]) / 1000


def main() -> None:
    """Print a line for each estimator."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--estimators", nargs="+", default=list(ESTIMATORS), choices=ESTIMATORS)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--rates", type=float, nargs="+", default=[3e-4, 1e-3, 3e-3])
    parser.add_argument("--tried", type=float, default=0.05, help="share of the updates by which")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    torch.set_num_threads(1)
    train, valid, test = halves("train"), halves("valid"), halves("test")
    say(circumstances(1), f"{given.minutes:g} CPU minutes each, seed {given.seed}; nats a row")
    for name in given.estimators:
        estimator = ESTIMATORS[name]
        steps = int(60 * given.minutes / seconds_per_step(estimator, train))
        tried = {}
        for rate in given.rates:
            model = trained(estimator, rate, int(given.tried * steps), given.seed, train)
            tried[rate] = bound(model, valid, 2000, 100).value
        rate = max(tried, key=lambda each: tried[each])
        began = time.process_time()
        model = trained(estimator, rate, steps, given.seed, train)
        seconds = time.process_time() - began
        found = bound(model, test, len(test), DRAWS)
        say(
            f"{name:<32} −log p ≤ {-found.value:.2f} ± {found.std_error:.2f} (K = {DRAWS:,}), "
            f"rate {rate:g}, {steps:,} updates, {seconds:.0f} CPU-s"
        )


if __name__ == "__main__":
    main()
