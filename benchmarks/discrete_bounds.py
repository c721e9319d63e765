"""Bounds and samples of a trained discrete diffusion with masks, by the number of steps.

The bound of continuous time, which is that of random orders, and the bounds of chains of T steps
are computed from the same masked rows. A draw of k masked places, uniform on 1, …, D, has the
weight k c_k of the chain; see `MaskedPlaces` of genzoo_diffusion. So the differences of the bounds
are paired. Samples with few steps are told from data by a classifier: its accuracy is
½ if it cannot.

Usage: python benchmarks/discrete_bounds.py RUN --data runs/binarized-mnist.npz [--rows 10000]
    [--draws 16] [--steps 8 16 32 64 784] [--num-samples 500] [--seed 0]
"""

from __future__ import annotations

import argparse
import math

import torch
from timing import circumstances, say

import genzoo
from genzoo.plugin import evaluating
from genzoo_diffusion.discrete_bound import MaskedPlaces, by_masked_places

TIMES = (8, 32, 128, 784)


def draws(
    model: genzoo.GenerativeModel, x: torch.Tensor, num: int, seed: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return numbers k of masked places, and the mean −log p of one of them, (num, N) each."""
    generator = torch.Generator().manual_seed(seed)
    places, size = MaskedPlaces.of(model, None), model.default_batch_size
    ks, found = [], []
    with torch.no_grad(), evaluating(model):
        for rows in x.split(size):
            k = places.drawn(num, rows.shape[0], generator)
            signal = model.signal(None, rows.shape[0])
            found.append(
                torch.stack([by_masked_places(model, rows, signal, n, generator) for n in k])
            )
            ks.append(k)
    return torch.cat(ks, 1), torch.cat(found, 1).double()


def bound_lines(model: genzoo.GenerativeModel, x: torch.Tensor, num: int, seed: int) -> None:
    """Print the bounds, and their differences from that of continuous time."""
    k, surprise = draws(model, model.state(x), num, seed)
    D = model.event.num_dims
    continuous = -D * surprise.mean(0)
    say(f"| continuous, in any order | {_mean(continuous)} | |")
    for T in TIMES:
        weights = MaskedPlaces.of(model, T).weights[k - 1]
        found = -D * (weights * surprise).mean(0)
        say(f"| {T} | {_mean(found)} | {_mean(found - continuous)} |")


def _mean(values: torch.Tensor) -> str:
    return f"{values.mean():.2f} ± {values.std() / math.sqrt(len(values)):.2f}"


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("run")
    parser.add_argument("--data", required=True)
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--draws", type=int, default=16)
    parser.add_argument("--steps", type=int, nargs="*", default=[8, 16, 32, 64, 784])
    parser.add_argument("--num-samples", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    torch.set_num_threads(1)
    model = genzoo.GenModel.from_pretrained(given.run)
    data = genzoo.load_dataset(given.data, "test")
    x = data.batch(torch.arange(min(given.rows, len(data))))["x"]
    say(circumstances(1), f"{len(x):,} test rows, {given.draws} masked rows each; nats a row")
    say("| steps T | bound on log p | minus that of continuous time |", "|---|---|---|")
    bound_lines(model, x, given.draws, given.seed)
    say("", f"{given.num_samples} samples", "| steps | two-sample accuracy |", "|---|---|")
    sampler = genzoo.registry.load("samplers", "discrete-ancestral")
    for steps in given.steps:
        found = genzoo.evaluate(
            model,
            data,
            ["two-sample"],
            sampler=sampler(sampler.Config(num_inference_steps=steps)),
            max_examples=given.num_samples,
            seed=given.seed,
        )
        say(f"| {steps} | {found.figures['two-sample'].with_error()} |")


if __name__ == "__main__":
    main()
