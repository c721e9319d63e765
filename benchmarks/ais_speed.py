"""What annealed importance sampling costs compared with its bare products and draws.

100 chains, 784 × 500 units, the 14,500 temperatures of Salakhutdinov and Murray (2008); bare are,
for each temperature, two products with their biases, two sigmoids and two draws.

Usage: python benchmarks/ais_speed.py [--threads 1] [--rounds 3] [--every 1]
"""

from __future__ import annotations

import argparse
import statistics

import torch
from timing import circumstances, in_turn, ratio, say

import genzoo
import genzoo.plugin
from genzoo_boltzmann.fast_bernoulli import bernoulli
from genzoo_boltzmann.partition import ais, published_betas

CHAINS = 100


def bare(model: genzoo.plugin.GenerativeModel, steps: int) -> None:
    """Make the products and draws of as many sweeps, and nothing else."""
    W, b, c = (p.detach() for p in model.parameters())
    generator = torch.Generator().manual_seed(0)
    v = torch.zeros(CHAINS, len(b))
    for _ in range(steps):
        h = bernoulli(torch.addmm(c, v, W).sigmoid_(), generator)
        v = bernoulli(torch.addmm(b, h, W.T).sigmoid_(), generator)


def main() -> None:
    """Print seconds and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--every", type=int, default=1, help="take every so many temperatures")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    torch.manual_seed(0)
    model = genzoo.create_model("rbm", event=genzoo.Binary(shape=(1, 28, 28)), num_hidden=500)
    torch.nn.init.normal_(model.W, std=0.1)
    betas = published_betas()[:: given.every]
    betas[-1] = 1
    functions = {
        "ais": lambda: ais(model, generator=torch.Generator().manual_seed(0), betas=betas),
        "bare": lambda: bare(model, len(betas) - 1),
    }
    seconds = in_turn(functions, given.rounds)
    say(circumstances(given.threads))
    for name, values in seconds.items():
        say(f"  {name:<5} {statistics.median(values):7.2f} s for {len(betas) - 1:,} temperatures")
    say(f"  times as long: {ratio(seconds, 'ais', 'bare')}")


if __name__ == "__main__":
    main()
