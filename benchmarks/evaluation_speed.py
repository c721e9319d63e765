"""What the evaluation of a VAE costs: CPU time and memory, as a whole and metric by metric.

    python benchmarks/evaluation_speed.py --rows 10000

`vae-fashion-mnist` of model_cards is evaluated on rows of the test split of Fashion-MNIST with all
metrics that it supports, with one thread. Each metric alone includes the features and samples that
all share in the whole.
"""

from __future__ import annotations

import argparse
import resource
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from timing import circumstances, say

import genzoo

CARD = Path(__file__).parents[1] / "model_cards" / "vae-fashion-mnist"


def seconds(
    model: Any, data: Any, metrics: Sequence[Any] | None, rows: int
) -> tuple[float, list[str]]:
    """Return the CPU time of an evaluation, and the names of its figures' metrics."""
    began = time.process_time()
    found = genzoo.evaluate(model, data, metrics, seed=0, max_examples=rows)
    names = dict.fromkeys(f.provenance["metric"] for f in found.figures.values())
    return time.process_time() - began, list(names)


def main() -> None:
    """Print the whole, then a line for each metric."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--whole", action="store_true", help="leave out the single metrics")
    options = parser.parse_args()
    torch.set_num_threads(1)
    say(circumstances(1))
    model = genzoo.GenModel.from_pretrained(CARD)
    data = genzoo.load_dataset("fashion-mnist", "test", binarize="threshold")
    spent, names = seconds(model, data, None, options.rows)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    say(f"all {len(names)} metrics, {options.rows} rows: {spent:.1f} CPU-s, peak {peak:.2f} GB")
    for name in () if options.whole else names:
        say(f"{name:<24} {seconds(model, data, [name], options.rows)[0]:6.1f}")


if __name__ == "__main__":
    main()
