"""One CD-1 update of an RBM through the Trainer, compared with a loop by hand, in pairs.

    python benchmarks/rbm_update_pairs.py --pairs 30

784 × 500 units, batches of 100, float32, one thread; random rows in which a share of 0.5 or 0.13
of the units is on. The loop by hand makes CD-1 with ``addmm`` and ``addmm_``: it computes no loss
and looks at no value. A pair is 500 updates of each, the first one changing from pair to pair.
Printed are the median of the ratios of CPU time and the 95 % interval of that median.
"""

from __future__ import annotations

import argparse
import logging
import time
from collections.abc import Callable

import torch
from step_time_pairs import interval

import genzoo
from genzoo.data import from_array

UPDATES, BATCH, VISIBLE, HIDDEN, LR = 500, 100, 784, 500, 0.05
Run = Callable[[], object]


def through_the_trainer(x: torch.Tensor, *, centred: bool) -> Run:
    """Return a function that makes the updates as `genzoo train` does."""
    data = from_array(x.view(-1, 1, 28, 28), "binary")
    model = genzoo.create_model("rbm", event=genzoo.Binary(shape=(1, 28, 28)), num_hidden=HIDDEN)
    stage = genzoo.Stage(objective=genzoo.Component(name="cd", config={"centred": centred}))
    config = genzoo.TrainerConfig(
        max_steps=UPDATES, batch_size=BATCH, threads=1, progress=False, logging_steps=10**6
    )
    return lambda: genzoo.Trainer(model, data, stage, config).fit()


def by_hand(x: torch.Tensor) -> Run:
    """Return a function that makes the updates in a plain loop."""
    W, b, c = 0.01 * torch.randn(VISIBLE, HIDDEN), torch.zeros(VISIBLE), torch.zeros(HIDDEN)

    @torch.no_grad()
    def run() -> None:
        for index in torch.randperm(len(x)).repeat(5).split(BATCH)[:UPDATES]:
            v = x[index]
            p = torch.addmm(c, v, W).sigmoid_()
            h = torch.rand_like(p).lt_(p)
            q = torch.addmm(b, h, W.T).sigmoid_()
            chain = torch.rand_like(q).lt_(q)
            p_chain = torch.addmm(c, chain, W).sigmoid_()
            W.addmm_(v.T, p, alpha=LR / BATCH).addmm_(chain.T, p_chain, alpha=-LR / BATCH)
            b.add_(v.mean(0) - chain.mean(0), alpha=LR)
            c.add_(p.mean(0) - p_chain.mean(0), alpha=LR)

    return run


def seconds(run: Run) -> float:
    """Return the CPU seconds of a call."""
    before = time.process_time()
    run()
    return time.process_time() - before


def main() -> None:
    """Print the ratio for each density, plain and centred."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--pairs", type=int, default=30)
    parser.add_argument("--densities", type=float, nargs="+", default=[0.5, 0.13])
    parser.add_argument("--plain", action="store_true", help="leave out the centred gradient")
    options = parser.parse_args()
    logging.getLogger("genzoo").setLevel(logging.WARNING)
    torch.set_num_threads(1)
    for density in options.densities:
        torch.manual_seed(0)
        x = (torch.rand(10_000, VISIBLE) < density).float()
        for centred in (False,) if options.plain else (False, True):
            ours, hand = through_the_trainer(x, centred=centred), by_hand(x)
            ours(), hand()
            ratios, steps = [], []
            for pair in range(options.pairs):
                order = [ours, hand] if pair % 2 else [hand, ours]
                found = {run: seconds(run) for run in order}
                ratios.append(found[ours] / found[hand])
                steps.append(1e3 * found[ours] / UPDATES)
            low, high = interval(ratios)
            middle = sorted(ratios)[len(ratios) // 2]
            print(
                f"density {density:<4} {'centred' if centred else 'plain':<7} "
                f"{middle:.3f} ({low:.3f} to {high:.3f}), {options.pairs} pairs, "
                f"{sorted(steps)[len(steps) // 2]:.2f} ms CPU an update",
                flush=True,
            )


if __name__ == "__main__":
    main()
