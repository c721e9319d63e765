"""Exact log Z over 2²⁰ hidden states of an RBM with 784 visible units: time and memory.

    python benchmarks/exact_log_z.py --pairs 30

float64, one thread. The bare products are Wh + b of all states, in blocks of 4,096, and nothing
else. A pair is one of each, the first one changing from pair to pair. Printed are the median of
the ratios of CPU time, the 95 % interval of that median, log Z by both ways, and the peak memory
of the process, with torch, before anything but log Z was computed.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import time
from collections.abc import Callable

import torch
from step_time_pairs import interval
from timing import circumstances, say

import genzoo
from genzoo_boltzmann import enumeration

VISIBLE, HIDDEN, BLOCK = 784, 20, 2**12


def machine() -> genzoo.GenerativeModel:
    """Return a machine with random weights of the size of trained ones."""
    torch.manual_seed(0)
    model = genzoo.create_model(
        "rbm", event=genzoo.Binary(shape=(1, 28, 28)), num_hidden=HIDDEN
    ).double()
    with torch.no_grad():
        for parameter, std in zip(model.parameters(), (0.3, 2.0, 1.0), strict=True):
            parameter.normal_(std=std)
    return model


def products(model: genzoo.GenerativeModel) -> Callable[[], object]:
    """Return a function that computes the fields of all visible units in all states."""
    W, b = model.W.detach(), model.b.detach()
    states = enumeration.states(HIDDEN, W.device)

    def run() -> None:
        for h in states.split(BLOCK):
            torch.addmm(b, h, W.T)

    return run


def seconds(run: Callable[[], object]) -> float:
    """Return the CPU seconds of a call."""
    before = time.process_time()
    run()
    return time.process_time() - before


@torch.no_grad()
def main() -> None:
    """Print the ratio and the memory."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--pairs", type=int, default=30)
    options = parser.parse_args()
    torch.set_num_threads(1)
    model = machine()
    log_z = model.log_partition_function("exact").estimate.value
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    say(circumstances(1), f"2^{HIDDEN} states × {VISIBLE} units, peak memory {peak:.2f} GiB")
    W, b, c = (p.detach() for p in (model.W, model.b, model.c))
    by_softplus = enumeration.log_sum(enumeration._log_joint, HIDDEN, W, b, c)
    say(f"  log Z {log_z:.9f}, by a softplus of each field {by_softplus:.9f}")
    ours, bare = model.log_sum, products(model)
    ratios, times = [], []
    for pair in range(options.pairs):
        order = [ours, bare] if pair % 2 else [bare, ours]
        found = {run: seconds(run) for run in order}
        ratios.append(found[ours] / found[bare])
        times.append(found[ours])
    low, high = interval(ratios)
    say(
        f"  {statistics.median(ratios):.2f} ({low:.2f} to {high:.2f}) of the bare products, "
        f"{options.pairs} pairs, {statistics.median(times):.2f} CPU seconds"
    )


if __name__ == "__main__":
    main()
