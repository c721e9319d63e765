"""Samples of models of images pixel by pixel, with and without what is kept between pixels.

For each model of 28 × 28 binary images, in one thread: the CPU time of a block of samples, and
that of the same samples if all parameters are computed anew for each pixel. The latter takes the
same time for every pixel, so it is measured at a few of the 784 and scaled. In float32 both ways
round differently: printed are the largest difference of a logit, and the share of samples that
differ anywhere, with the same random numbers.

Usage: python benchmarks/pixel_sampling_speed.py [--num 8] [--pairs 30]
"""

from __future__ import annotations

import argparse
import statistics
import time
from typing import Any

import torch
from step_time_pairs import interval
from timing import circumstances, say
from torch import Tensor

import genzoo
from genzoo_autoregressive.chains import Recomputing

SIDE, SEED = 28, 0
MODELS: dict[str, tuple[str, dict[str, Any]]] = {
    "pixelcnn": ("pixelcnn", {}),
    "pixelrnn, rows": ("pixelrnn", {"layer": "row"}),
    "pixelrnn, diagonals": ("pixelrnn", {"layer": "diagonal"}),
    "transformer": ("transformer", {}),
}


def quick(model: Any, num: int) -> float:
    """Return the CPU seconds of samples."""
    began = time.process_time()
    model.sample(num, seed=SEED, batch_size=num)
    return time.process_time() - began


@torch.no_grad()
def slow(model: Any, num: int, pixels: range) -> float:
    """Return the CPU seconds of samples whose parameters are computed anew for each pixel."""
    steps = Recomputing(model.chains()[0], torch.zeros(num, model.num_places), None)
    began = time.process_time()
    for pixel in pixels:
        steps.parameters(pixel)
    return (time.process_time() - began) * model.num_places / len(pixels)


@torch.no_grad()
def largest_difference(model: Any, x: Tensor) -> float:
    """Return the largest difference of a logit of rows (B, D) by both ways."""
    chain = model.chains()[0]
    wanted, steps, largest = chain.parameters(x, None), chain.steps(x, None), 0.0
    for index, place in enumerate(chain.order.tolist()):
        gap = (steps.parameters(index) - wanted[:, place]).abs().max().item()
        largest = max(largest, gap)
        steps.put(index, x[:, place])
    return largest


@torch.no_grad()
def share_that_differs(model: Any, num: int) -> float:
    """Return the share of samples that both ways draw differently with the same numbers."""
    kept = model.sample(num, seed=SEED, batch_size=num)
    chain = type(model.chains()[0])
    own = chain.steps
    chain.steps = lambda self, x, given: Recomputing(self, x, given)
    try:
        anew = model.sample(num, seed=SEED, batch_size=num)
    finally:
        chain.steps = own
    return (kept != anew).flatten(1).any(1).double().mean().item()


def main() -> None:
    """Print a line for each model."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--num", type=int, nargs="+", default=[1, 8], help="samples of a block")
    parser.add_argument("--pairs", type=int, default=30)
    parser.add_argument("--pixels", type=int, default=4, help="computed anew, of 784")
    parser.add_argument("--compared", type=int, default=0, help="samples drawn in both ways")
    given = parser.parse_args()
    torch.set_num_threads(1)
    say(circumstances(1), f"{SIDE} × {SIDE} binary images, seed {SEED}, {given.pairs} pairs")
    for name, (kind, config) in MODELS.items():
        torch.manual_seed(SEED)
        model: Any = genzoo.create_model(
            kind, event=genzoo.Binary(shape=(1, SIDE, SIDE)), **config
        )
        model.eval()
        with torch.no_grad():  # Weights of an untrained model would give nearly equal logits.
            for parameter in model.parameters():
                parameter += 0.05 * torch.randn_like(parameter)
        x = (torch.rand(64, SIDE * SIDE) < 0.15).float()
        say(f"{name}: largest difference of a logit {largest_difference(model, x):.1e}")
        if given.compared:
            share = share_that_differs(model, given.compared)
            say(f"  of {given.compared} samples {share:.1%} differ")
        for num in given.num:
            pixels = range(0, model.num_places, model.num_places // given.pixels)
            quick(model, num)
            seconds = [(slow(model, num, pixels), quick(model, num)) for _ in range(given.pairs)]
            ratios = [a / b for a, b in seconds]
            low, high = interval(ratios)
            once = statistics.median(b for _, b in seconds)
            say(
                f"  blocks of {num}: {once:.2f} s, anew / kept {statistics.median(ratios):.1f} "
                f"({low:.1f} to {high:.1f})"
            )


if __name__ == "__main__":
    main()
