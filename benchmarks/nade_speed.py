"""log p of NADE by its recursion, compared with each factor on its own, which takes O(D² H).

Usage: python benchmarks/nade_speed.py [--rounds 30]
"""

from __future__ import annotations

import argparse
import functools
import statistics
import time
from typing import Any

import torch
from timing import circumstances, in_turn, ratio, say
from torch import Tensor

import genzoo

PLACES, HIDDEN, ROWS, SEED = 784, 500, 500, 0
SHARES = (0.13, 0.5)
"""The shares of ones: that of binarised MNIST, and one at which no work is saved."""


def naive(model: Any, x: Tensor) -> Tensor:
    """Return log p of rows (B, D): for each place, hidden units from all places before it."""
    logits = [
        (model.c + x[:, :i] @ model.W[:i, 0]).sigmoid() @ model.V[i] + model.b[i]
        for i in range(x.shape[1])
    ]
    signed = (2 * x - 1) * torch.cat(logits, dim=1)
    return torch.nn.functional.logsigmoid(signed).sum(1)


@torch.no_grad()
def main() -> None:
    """Time both in turn."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=30)
    rounds = parser.parse_args().rounds
    torch.set_num_threads(1)
    torch.manual_seed(SEED)
    space = genzoo.Binary(shape=(PLACES,))
    model: Any = genzoo.create_model("nade", event=space, hidden_dim=HIDDEN).eval()
    say(
        circumstances(1),
        f"D = {PLACES}, H = {HIDDEN}, {ROWS} rows, seed {SEED}, {rounds} rounds, CPU time",
    )
    for share in SHARES:
        x = (torch.rand(ROWS, PLACES) < share).float()
        error = (model.log_prob(x).values - naive(model, x).double()).abs().max().item()
        functions = {
            "recursion": functools.partial(model.log_prob, x),
            "naive": functools.partial(naive, model, x),
        }
        seconds = in_turn(functions, rounds, time.process_time)
        fast = 1000 * statistics.median(seconds["recursion"])
        say(
            f"{share:.0%} ones: recursion {fast:.1f} ms, naive / recursion "
            f"{ratio(seconds, 'naive', 'recursion')}; largest difference of log p {error:.1e}"
        )


if __name__ == "__main__":
    main()
