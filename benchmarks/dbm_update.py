"""One PCD-1 update of a deep machine, compared with its bare products, in pairs.

    python benchmarks/dbm_update.py --pairs 30

784-500-1000 units, batches of 100, 100 chains, 5 mean-field steps, float32, one thread; random
rows in which a share of 0.13 or 0.5 of the visible units is on. The bare products are those of an
update as dense matrix products of the same shapes, and nothing else: no draws, no sigmoids, no
loss, no step of an optimiser. Ours go through the Trainer. A pair is 60 updates of each, the
first one changing from pair to pair. Printed are the median of the ratios of CPU time and the 95 %
interval of that median.
"""

from __future__ import annotations

import argparse
import logging

import torch
from rbm_update_pairs import Run, seconds
from step_time_pairs import interval
from timing import circumstances, say

import genzoo
from genzoo.data import from_array

UPDATES, BATCH, VISIBLE, STEPS = 60, 100, 784, 5


def through_the_trainer(x: torch.Tensor, dims: tuple[int, int]) -> Run:
    """Return a function that makes the updates as `genzoo train` does."""
    data = from_array(x.view(-1, 1, 28, 28), "binary")
    event = genzoo.Binary(shape=(1, 28, 28))
    values = {"hidden_dims": dims, "num_mean_field_steps": STEPS}
    model = genzoo.create_model("dbm", event=event, **values)
    stage = genzoo.Stage(objective=genzoo.Component(name="pcd"))
    config = genzoo.TrainerConfig(
        max_steps=UPDATES, batch_size=BATCH, threads=1, progress=False, logging_steps=10**6
    )
    return lambda: genzoo.Trainer(model, data, stage, config).fit()


def bare_products(x: torch.Tensor, dims: tuple[int, int]) -> Run:
    """Return a function that makes the products of the updates."""
    v, (below, above) = x[:BATCH], dims
    W, U = 0.01 * torch.randn(VISIBLE, below), 0.01 * torch.randn(below, above)
    h, g = torch.rand(BATCH, below), torch.rand(BATCH, above)
    vv, hh, gg = (torch.cat([units, units]) for units in (v, h, g))

    @torch.no_grad()
    def run() -> None:
        for _ in range(UPDATES):
            v @ W  # Mean field: the visible layer is given.
            for _ in range(STEPS):
                h @ U
                g @ U.T
            v @ W  # The chain: up and down once, and up again.
            g @ U.T
            h @ W.T
            h @ U
            v @ W
            g @ U.T
            vv.T @ hh
            hh.T @ gg

    return run


def main() -> None:
    """Print the ratio for each density."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--pairs", type=int, default=30)
    parser.add_argument("--densities", type=float, nargs="+", default=[0.13, 0.5])
    parser.add_argument("--dims", type=int, nargs=2, default=[500, 1000])
    options = parser.parse_args()
    logging.getLogger("genzoo").setLevel(logging.WARNING)
    torch.set_num_threads(1)
    dims = (options.dims[0], options.dims[1])
    say(circumstances(1), f"784-{dims[0]}-{dims[1]} units")
    for density in options.densities:
        torch.manual_seed(0)
        x = (torch.rand(2000, VISIBLE) < density).float()
        ours, bare = through_the_trainer(x, dims), bare_products(x, dims)
        ours(), bare()
        ratios, steps = [], []
        for pair in range(options.pairs):
            order = [ours, bare] if pair % 2 else [bare, ours]
            found = {run: seconds(run) for run in order}
            ratios.append(found[ours] / found[bare])
            steps.append(1e3 * found[ours] / UPDATES)
        low, high = interval(ratios)
        middle = sorted(ratios)[len(ratios) // 2]
        say(
            f"density {density:<4} {middle:.3f} ({low:.3f} to {high:.3f}), {options.pairs} pairs, "
            f"{sorted(steps)[len(steps) // 2]:.2f} ms CPU an update"
        )


if __name__ == "__main__":
    main()
