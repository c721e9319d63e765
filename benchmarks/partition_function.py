"""Annealed importance sampling against the exact partition function.

An RBM of 784 × 15 units is trained on the binarised MNIST by CD-3 for five epochs; its log Z is
summed over all 2¹⁵ hidden states, and estimated by annealed chains. Half of the reverse chains
begin at annealed states, half at validation images.

Usage: python benchmarks/partition_function.py [--seeds 5] [--temperatures 14500] [--chains 500]
"""

from __future__ import annotations

import argparse
import logging

import torch
from binarized_mnist import prepare
from timing import circumstances, say

import genzoo
import genzoo.plugin
from genzoo_boltzmann.partition import (
    LogPartition,
    ais,
    published_betas,
    reverse_halves,
    with_interval,
)

EPOCHS, BATCH, ROWS = 5, 100, 50_000


def trained() -> genzoo.plugin.GenerativeModel:
    """Return the machine."""
    data = genzoo.load_dataset(str(prepare()))
    torch.manual_seed(0)
    model = genzoo.create_model("rbm", event=genzoo.Binary(shape=(1, 28, 28)), num_hidden=15)
    stage = genzoo.Stage(objective=genzoo.Component(name="cd", config={"num_steps": 3}))
    config = genzoo.TrainerConfig(
        max_steps=EPOCHS * ROWS // BATCH, batch_size=BATCH, threads=1, progress=False
    )
    return genzoo.Trainer(model, data, stage, config).fit()


def told(name: str, found: LogPartition, exact: float) -> str:
    """Return a line on an estimate compared with the exact value."""
    low, high = found.estimate.interval or (exact, exact)
    return (
        f"    {name:<21} {found.estimate.value:.4f}, off by {found.estimate.value - exact:+.4f}, "
        f"between {low:.4f} and {high:.4f} ({'holds' if low <= exact <= high else 'misses'} it)"
    )


def main() -> None:
    """Print the exact value and the estimates."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--temperatures", type=int, default=14_500)
    parser.add_argument("--chains", type=int, default=500)
    given = parser.parse_args()
    logging.getLogger("genzoo").setLevel(logging.WARNING)
    torch.set_num_threads(1)
    model = trained()
    rows = genzoo.load_dataset(str(prepare()), "valid").head(10_000)["x"]
    exact = model.log_partition_function("exact").estimate.value
    betas = published_betas()[:: max(1, 14_500 // given.temperatures)].clone()
    betas[-1] = 1
    say(
        circumstances(1),
        f"  exact log Z {exact:.4f}; {len(betas) - 1:,} temperatures, {given.chains} chains",
    )
    for seed in range(given.seeds):
        options = {
            "generator": torch.Generator().manual_seed(seed),
            "betas": betas,
            "num_chains": given.chains,
        }
        forward = ais(model, **options)
        backward, from_rows = reverse_halves(model, rows, **options)
        both = with_interval(forward, backward, from_rows)
        say(f"  seed {seed}")
        say(told("AIS", forward, exact), told("reverse AIS", backward, exact))
        say(told("reverse AIS from rows", from_rows, exact), told("all", both, exact))
        say(*(f"    {note.code}: {note}" for note in both.estimate.notes))


if __name__ == "__main__":
    main()
