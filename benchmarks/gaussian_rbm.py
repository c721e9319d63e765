"""Densities of digits: a Gaussian-Bernoulli RBM compared with three Gaussian models.

    python benchmarks/gaussian_rbm.py --seeds 3 --steps 40000

The rows are the digits with uniform noise, (x + u)/17 for grey levels x of 0 to 16: 1,500 rows to
train on, each with 20 draws of the noise, and 297 to test on with one. Figures are bits per
dimension of the test rows in units of one grey level, −log₂ p / 64 + log₂ 17. The machine trains
by `genzoo.Trainer` with its own stages on one thread; log Z is estimated in both directions, and
the reverse chains start at rows of the training data.
"""

from __future__ import annotations

import argparse
import logging
import math
import time

import numpy as np
import torch
from sklearn.decomposition import FactorAnalysis
from timing import circumstances, say

import genzoo
from genzoo.data import from_array

LEVELS, COPIES = 17, 20
DIMS = 64


def dequantised(split: str, copies: int, generator: torch.Generator) -> torch.Tensor:
    """Return (x + u)/17, (copies × rows, 64)."""
    data = genzoo.load_dataset("digits", split)
    levels = (data.head(len(data))["x"].flatten(1) * (LEVELS - 1)).round().repeat(copies, 1)
    return (levels + torch.rand(levels.shape, generator=generator)) / LEVELS


def bits(nats: float) -> float:
    """Return bits per dimension, in units of a grey level, of a mean log-density."""
    return -nats / (DIMS * math.log(2)) + math.log2(LEVELS)


def gaussian_models(train: np.ndarray, test: np.ndarray) -> dict[str, float]:
    """Return the mean log-density of test rows by each of three models, in nats."""
    covariance = np.cov(train.T)
    full = torch.distributions.MultivariateNormal(
        torch.from_numpy(train.mean(0)), torch.from_numpy(covariance)
    )
    apart = torch.distributions.Normal(
        torch.from_numpy(train.mean(0)), torch.from_numpy(train.std(0))
    )
    rows = torch.from_numpy(test)
    factors = FactorAnalysis(10, max_iter=2000, random_state=0).fit(train)
    return {
        "independent Gaussians": float(apart.log_prob(rows).sum(1).mean()),
        "factor analysis, 10 factors": float(factors.score(test)),
        "one full Gaussian": float(full.log_prob(rows).mean()),
    }


def machine(train: torch.Tensor, num_hidden: int, steps: int, seed: int) -> tuple[object, float]:
    """Return a trained machine and the CPU seconds that it took."""
    data = from_array(train, "dequantised digits", space="real")
    torch.manual_seed(seed)
    model = genzoo.create_model("gaussian-rbm", data=data, num_hidden=num_hidden)
    config = genzoo.TrainerConfig(max_steps=steps, seed=seed, threads=1, progress=False)
    before = time.process_time()
    genzoo.Trainer(model, data, config=config).fit()
    return model, time.process_time() - before


def main() -> None:
    """Print a line for each model, and one for each seed of the machine."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=40_000)
    parser.add_argument("--num-hidden", type=int, default=128)
    given = parser.parse_args()
    logging.getLogger("genzoo").setLevel(logging.WARNING)
    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(0)
    train = dequantised("train", COPIES, generator)
    test = dequantised("test", 1, generator)
    say(circumstances(1), "bits per dimension of test rows; lower is better")
    for name, nats in gaussian_models(train.double().numpy(), test.double().numpy()).items():
        say(f"  {name:<30} {bits(nats):.3f}")
    for seed in range(given.seeds):
        model, seconds = machine(train, given.num_hidden, given.steps, seed)
        with torch.no_grad():
            draw = torch.Generator().manual_seed(seed)
            found = model.log_prob(test, start=train[::97], generator=draw).mean()
        low, high = found.interval or (found.value, found.value)
        flag = ", unreliable" if found.unreliable else ""
        say(
            f"  {f'gaussian-rbm, {given.num_hidden} hidden, seed {seed}':<30} "
            f"{bits(found.value):.3f} ({bits(high):.3f} to {bits(low):.3f}{flag}), "
            f"{seconds:.0f} CPU seconds"
        )


if __name__ == "__main__":
    main()
