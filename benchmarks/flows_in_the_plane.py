"""Rectified flows of points whose density is known: what is lost, and what samples look like.

A flow of `ring` and of `grid` with its default network and training, except for the number of
updates, trains for two CPU minutes of one core with each seed; the number is measured first, on a
copy. Printed are KL = E[log p(x) −
log q(x)] over test points x of the truth p, with its standard error and the change by twice as
many steps of the equation; and for each sampler the share of samples within three standard
deviations of a mode, the least and the greatest share of a mode times their number.

Usage: python benchmarks/flows_in_the_plane.py [--data ring grid] [--seeds 0 1 2] [--minutes 2]
    [--coupling independent]
"""

from __future__ import annotations

import argparse
import copy
import dataclasses
import math
import time

import torch
from timing import circumstances, say

import genzoo
from genzoo import Component, Trainer, TrainerConfig
from genzoo.data import Dataset
from genzoo.plugin import Mixture

POINTS, SAMPLES, TRIED = 5000, 5000, 100
SAMPLERS = (("euler", 50), ("heun", 50), ("midpoint", 25), ("midpoint", 50))


def fitted(
    model: genzoo.GenerativeModel, data: Dataset, coupling: str, steps: int, seed: int
) -> float:
    """Train a model, and return the CPU seconds."""
    (stage,) = model.default_stages(model.config)
    config = {**stage.objective.config, "coupling": {"name": coupling}}
    objective = Component(name="flow-matching", config=config)
    trainer = TrainerConfig(max_steps=steps, seed=seed, sample_steps=0, progress=False)
    began = time.process_time()
    Trainer(model, data, [dataclasses.replace(stage, objective=objective)], trainer).fit()
    return time.process_time() - began


def steps_of(model: genzoo.GenerativeModel, data: Dataset, coupling: str, minutes: float) -> int:
    """Return the number of updates that take some CPU minutes."""
    first, second = (fitted(copy.deepcopy(model), data, coupling, n * TRIED, 0) for n in (1, 4))
    return max(1, int(60 * minutes / (second - first) * 3 * TRIED))


def log_density(x: torch.Tensor, mixture: Mixture) -> torch.Tensor:
    """Return the true log-density of points (N, 2), (N,)."""
    squares = torch.cdist(x.double(), mixture.means.double()).square()
    normal = math.log(len(mixture.means)) + math.log(2 * math.pi * mixture.sigma**2)
    return torch.logsumexp(-squares / (2 * mixture.sigma**2), 1) - normal


def lost(model: genzoo.GenerativeModel, x: torch.Tensor, mixture: Mixture) -> str:
    """Return KL with its error, and its change by twice as many steps."""
    found = []
    for factor in (1, 2):
        steps = factor * model.config.likelihood_steps
        finer = type(model)(dataclasses.replace(model.config, likelihood_steps=steps))
        finer.load_state_dict(model.state_dict())
        with torch.no_grad():
            found.append(log_density(x, mixture) - finer.eval().log_prob(x).values)
    kl = found[0]
    change = (found[1] - kl).mean().item()
    return f"{kl.mean():.3f} ± {kl.std() / math.sqrt(len(kl)):.3f} | {change:+.4f}"


def shares(model: genzoo.GenerativeModel, mixture: Mixture, name: str, steps: int) -> str:
    """Return the share of samples at a mode, and the extreme shares of modes."""
    cls = genzoo.registry.load("samplers", name)
    sampler = cls(cls.Config(num_inference_steps=steps))
    x = model.sample(SAMPLES, sampler=sampler, seed=1)
    nearest = torch.cdist(x.double(), mixture.means.double()).min(1)
    near = nearest.values < 3 * mixture.sigma
    count = torch.bincount(nearest.indices[near], minlength=len(mixture.means))
    relative = count.double() / SAMPLES * len(mixture.means)
    return f"{near.double().mean():.3f} ({relative.min():.2f} to {relative.max():.2f})"


def main() -> None:
    """Print a row for each set of points and seed."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", nargs="+", choices=["ring", "grid"], default=["ring", "grid"])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--minutes", type=float, default=2.0)
    parser.add_argument("--coupling", default="independent")
    given = parser.parse_args()
    torch.set_num_threads(1)
    say(circumstances(1), f"{given.minutes:g} CPU minutes; KL in nats over {POINTS:,} points")
    titles = " | ".join(f"{name}, {steps} steps" for name, steps in SAMPLERS)
    say(f"| data | seed | updates | CPU-s | KL | twice the steps | {titles} |")
    say("| --- " * (6 + len(SAMPLERS)) + "|")
    for name in given.data:
        train, test = genzoo.load_dataset(name, "train"), genzoo.load_dataset(name, "test")
        mixture = test.info.mixture["x"]
        x = test.batch(torch.arange(POINTS))["x"]
        for seed in given.seeds:
            torch.manual_seed(seed)
            model = genzoo.create_model("rectified-flow", data=train)
            steps = steps_of(model, train, given.coupling, given.minutes)
            seconds = fitted(model, train, given.coupling, steps, seed)
            model.eval()
            drawn = " | ".join(shares(model, mixture, *one) for one in SAMPLERS)
            kl = lost(model, x, mixture)
            say(f"| {name} | {seed} | {steps} | {seconds:.0f} | {kl} | {drawn} |")


if __name__ == "__main__":
    main()
