"""Gradient estimators, side by side: the table that a lecturer would show.

For each estimator and model: the bound on held-out rows after the same number of updates, the
variance of the gradient by the parameters of q at common weights, and the CPU time of a step
relative to the first row of the model. The variance is the sum over parameters of that of
estimates for one batch of 100 rows, from 200 estimates; the weights are those of a short training
by the last row of the model. Data: the static binarised MNIST.

Usage: python benchmarks/gradient_estimators.py [--steps 4000] [--seed 0] [--models sbn …]
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from binarized_mnist import prepare
from timing import circumstances, say

import genzoo
from genzoo import Component, Stage, Trainer, TrainerConfig, registry
from genzoo.data import Dataset
from genzoo.plugin import Step

BATCH, ESTIMATES, ROUNDS, VALID, DRAWS = 100, 200, 15, 1000, 500
SCORE = "score-function"


@dataclass(frozen=True)
class Row:
    """A row of the table.

    Arguments:
        title: What it is called.
        objective: The objective's name.
        config: Its config.
    """

    title: str
    objective: str
    config: Mapping[str, Any]


def row(title: str, objective: str, num_samples: int, name: str, **values: Any) -> Row:
    """Return a row for an estimator by its name and values."""
    estimator = {"name": name, "config": values}
    return Row(title, objective, {"num_samples": num_samples, "estimator": estimator})


DISCRETE = (
    row("score function", "elbo", 1, SCORE, baseline="none"),
    row("score function, running mean", "elbo", 1, SCORE),
    row("score function, function of x", "elbo", 1, SCORE, baseline="input-dependent"),
    row("RLOO, 2 draws", "elbo", 2, SCORE, baseline="leave-one-out"),
    row("VIMCO, 5 draws", "iwae", 5, SCORE, baseline="leave-one-out"),
    row("REBAR", "elbo", 1, "rebar"),
    row("straight-through", "elbo", 1, "straight-through"),
    row("straight-through Gumbel", "elbo", 1, "straight-through-gumbel"),
    row("Gumbel-softmax", "elbo", 1, "gumbel-softmax"),
)
CONTINUOUS = (
    row("score function", "elbo", 1, SCORE, baseline="none"),
    row("score function, running mean", "elbo", 1, SCORE),
    row("sticking the landing", "elbo", 1, "sticking-the-landing"),
    row("reparameterised, 5 draws", "iwae", 5, "reparameterised"),
    row("DReG, 5 draws", "iwae", 5, "doubly-reparameterised"),
    row("reparameterised", "elbo", 1, "reparameterised"),
)
MODELS: Mapping[str, tuple[str, Mapping[str, Any], tuple[Row, ...]]] = {
    "sbn 200-784": ("sbn", {"hidden_dims": (200,)}, DISCRETE),
    "sbn 200-200-784": (
        "sbn",
        {"hidden_dims": (200, 200)},
        tuple(r for r in DISCRETE if r.title != "REBAR"),
    ),
    "discrete-vae 20 × 10": (
        "discrete-vae",
        {"latent_dim": 20, "num_categories": 10, "hidden_dims": (200,)},
        DISCRETE,
    ),
    "vae 50": ("vae", {"latent_dim": 50, "hidden_dims": (200,)}, CONTINUOUS),
}


def make_model(title: str, data: Dataset, seed: int) -> Any:
    """Return a new model."""
    name, values, _ = MODELS[title]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return genzoo.create_model(name, data=data, **values)


def trained(title: str, one: Row, data: Dataset, steps: int, seed: int) -> Any:
    """Return a model after updates by a row's objective."""
    stage = Stage(
        objective=Component(name=one.objective, config={"lr": 1e-3, **one.config}),
        trainer={"max_steps": steps, "batch_size": BATCH, "lr_scheduler": "linear"},
    )
    config = TrainerConfig(
        seed=seed, threads=1, progress=False, sample_steps=0, logging_steps=10**6
    )
    return Trainer(make_model(title, data, seed), data, (stage,), config).fit()


def objective_of(model: Any, one: Row) -> Any:
    """Return a row's objective of a model."""
    return registry.make(
        "objectives", Component(name=one.objective, config=dict(one.config)), model
    )


def gradients(objective: Any, batch: Any, seed: int) -> torch.Tensor:
    """Return an estimate by the parameters of q, in one row."""
    # In the middle of training, at the middle of the temperatures.
    step = Step(500, 1000, 0, torch.Generator().manual_seed(seed), logged=False)
    (loss,) = objective.losses(batch, step)
    parameters = objective.model.recognition_parameters()
    return torch.cat([g.flatten() for g in torch.autograd.grad(loss.value, parameters)])


def variance(model: Any, one: Row, batch: Any) -> float:
    """Return the summed variance of the gradient by the parameters of q."""
    objective = objective_of(model, one)
    found = torch.stack([gradients(objective, batch, seed) for seed in range(20 + ESTIMATES)])
    return float(found[20:].var(0).sum())  # The first ones teach a baseline its mean.


def step_times(model: Any, rows: tuple[Row, ...], batch: Any) -> list[float]:
    """Return the CPU seconds of a gradient of each row, in turn: medians."""
    objectives = [objective_of(model, one) for one in rows]
    times: list[list[float]] = [[] for _ in rows]
    for number in range(ROUNDS + 1):
        for index, objective in enumerate(objectives):
            began = time.process_time()
            for seed in range(10):
                gradients(objective, batch, seed)
            if number:
                times[index].append((time.process_time() - began) / 10)
    return [statistics.median(each) for each in times]


def lines(title: str, steps: int, seed: int) -> Iterator[str]:
    """Yield the table of a model."""
    data = genzoo.load_dataset(str(prepare()), "train")
    valid = genzoo.load_dataset(str(prepare()), "valid").head(VALID)["x"]
    rows = MODELS[title][2]
    common = trained(title, rows[-1], data, steps // 4, seed)
    batch = data.batch(torch.arange(BATCH))
    times = step_times(common, rows, batch)
    yield f"{title}: L_{DRAWS} of {VALID:,} validation rows after {steps:,} updates"
    yield "| estimator | bound | variance | time of a step |"
    yield "| --- | --- | --- | --- |"
    for one, seconds in zip(rows, times, strict=True):
        model = trained(title, one, data, steps, seed)
        with torch.no_grad():
            generator = torch.Generator().manual_seed(0)
            found = model.log_prob(valid, num_samples=DRAWS, generator=generator).mean()
        spread, ratio = variance(common, one, batch), seconds / times[0]
        figures = f"{found.value:.1f} ± {found.std_error:.1f} | {spread:.3g} | {ratio:.2f}"
        yield f"| {one.title} | {figures} |"


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--steps", type=int, default=4000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS))
    given = parser.parse_args()
    torch.set_num_threads(1)
    say(circumstances(1), f"batch {BATCH}, Adam at 1e-3 falling linearly, seed {given.seed}")
    for title in given.models:
        for line in lines(title, given.steps, given.seed):
            say(line)
        say("")


if __name__ == "__main__":
    main()
