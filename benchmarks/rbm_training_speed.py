"""How fast an RBM trains by CD-1 through the Trainer, compared with other libraries.

784 × 500 units, batches of 100, the binarised MNIST; equal threads, float32 for all, and
scikit-learn in float64 too, which it takes where it is given integers. Each library makes its own
update: scikit-learn's is persistent, learnergy's computes a pseudo-likelihood as it goes. The
loop by hand is the update and its loss as plain dense operations, without autograd, optimiser,
seeds of each move, or a look at the gradient. genzoo's own products are sums of what the ones
select (`binary_products.py`).

Usage: python benchmarks/rbm_training_speed.py [--threads 2] [--rounds 5]
"""

from __future__ import annotations

import argparse
import io
import logging
import statistics
from collections.abc import Callable
from contextlib import redirect_stdout

import numpy as np
import torch
import torch.nn.functional as F
from binarized_mnist import prepare
from sklearn.neural_network import BernoulliRBM
from threadpoolctl import threadpool_limits
from timing import circumstances, in_turn, ratio, say

import genzoo
import genzoo.plugin

ROWS, BATCH, HIDDEN = 50_000, 100, 500
Run = Callable[[], object]


def through_the_trainer(data: genzoo.plugin.Dataset, threads: int, *, centred: bool) -> Run:
    """Return a function that makes one epoch of CD-1 as `genzoo train` does."""

    def run() -> None:
        model = genzoo.create_model(
            "rbm", event=genzoo.Binary(shape=(1, 28, 28)), num_hidden=HIDDEN
        )
        stage = genzoo.Stage(objective=genzoo.Component(name="cd", config={"centred": centred}))
        config = genzoo.TrainerConfig(
            max_steps=ROWS // BATCH, batch_size=BATCH, threads=threads, progress=False
        )
        genzoo.Trainer(model, data, stage, config).fit()

    return run


def scikit_learn(x: np.ndarray) -> Run:
    """Return a function that makes one epoch of scikit-learn's machine."""

    def run() -> None:
        machine = BernoulliRBM(
            n_components=HIDDEN, batch_size=BATCH, n_iter=1, learning_rate=0.05, random_state=0
        )
        machine.fit(x)

    return run


def learnergy(x: torch.Tensor) -> Run:
    """Return a function that makes one epoch of learnergy's machine."""
    from learnergy.models.bernoulli import RBM

    logging.disable(logging.INFO)
    data = torch.utils.data.TensorDataset(x.float(), torch.zeros(len(x)))

    def run() -> None:
        machine = RBM(n_visible=784, n_hidden=HIDDEN, steps=1, learning_rate=0.05)
        with redirect_stdout(io.StringIO()):
            machine.fit(data, batch_size=BATCH, epochs=1)

    return run


def by_hand(x: torch.Tensor) -> Run:
    """Return a function that makes one epoch of the same CD-1 as a plain loop."""
    rows = x.flatten(1).float()

    @torch.no_grad()
    def run() -> None:
        W = 0.01 * torch.randn(784, HIDDEN)
        b, c = torch.zeros(784), torch.zeros(HIDDEN)
        for index in torch.randperm(ROWS).split(BATCH):
            _update_by_hand(rows[index], W, b, c)

    return run


def _update_by_hand(v: torch.Tensor, W: torch.Tensor, b: torch.Tensor, c: torch.Tensor) -> None:
    data = torch.addmm(c, v, W)
    p = data.sigmoid()
    h = torch.rand_like(p).lt_(p)
    probs = torch.addmm(b, h, W.T).sigmoid_()
    chain_v = torch.rand_like(probs).lt_(probs)
    chain = torch.addmm(c, chain_v, W)
    weighted = torch.cat([p / -BATCH, chain.sigmoid() / BATCH])
    grad_b, grad_c = chain_v.mean(0) - v.mean(0), weighted.sum(0)
    loss = grad_b @ b + (F.softplus(chain).sum() - F.softplus(data).sum()) / BATCH
    if not loss.isfinite():
        raise ArithmeticError(f"The loss is {loss}.")
    W.sub_(torch.cat([v, chain_v]).T @ weighted, alpha=0.05)
    b.sub_(grad_b, alpha=0.05)
    c.sub_(grad_c, alpha=0.05)


def bare_products() -> Run:
    """Return a function that makes the five matrix products of each update, and nothing else."""
    v, h = torch.rand(BATCH, 784), torch.rand(BATCH, HIDDEN)
    W = torch.rand(784, HIDDEN)

    def run() -> None:
        for _ in range(ROWS // BATCH):
            for product in (v @ W, h @ W.T, v @ W, v.T @ h, v.T @ h):
                product.numel()

    return run


def main() -> None:
    """Print samples per second, and ratios of times within one run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    logging.getLogger("genzoo").setLevel(logging.WARNING)
    torch.set_num_threads(given.threads)
    with np.load(prepare()) as arrays:
        rows = arrays["train"][:ROWS]
    data, flat = genzoo.load_dataset(str(prepare())), rows.reshape(ROWS, -1)
    functions = {
        "genzoo, CD-1": through_the_trainer(data, given.threads, centred=False),
        "genzoo, CD-1 centred": through_the_trainer(data, given.threads, centred=True),
        "scikit-learn, float32": scikit_learn(flat.astype(np.float32)),
        "scikit-learn, float64": scikit_learn(flat.astype(np.float64)),
        "learnergy": learnergy(torch.from_numpy(rows)),
        "the dense update by hand": by_hand(torch.from_numpy(rows)),
        "five products alone": bare_products(),
    }
    with threadpool_limits(given.threads):
        seconds = in_turn(functions, given.rounds)
    say(
        circumstances(given.threads),
        f"samples per second in the median and in the best of {given.rounds} rounds; then how",
        "many times as long as genzoo's CD-1 it took, and how many times as long as it learnergy",
        "took, round by round: median and range",
    )
    for name, values in seconds.items():
        median, best = ROWS / statistics.median(values), ROWS / min(values)
        times, of_it = ratio(seconds, name, "genzoo, CD-1"), ratio(seconds, "learnergy", name)
        say(f"  {name:<25} {median:>8,.0f} {best:>8,.0f}   {times}   {of_it}")


if __name__ == "__main__":
    main()
