"""The likelihood of trained VAEs on the static binarised MNIST, by importance sampling.

The published figures are of K = 5000 draws a row; a bound rises with K, so K stands next to each.

Usage: python benchmarks/vae_likelihood.py FOLDER… [--split test] [--draws 500 5000] [--seeds 0]
"""

from __future__ import annotations

import argparse
import time

import torch
from binarized_mnist import prepare
from timing import circumstances, say

import genzoo
from genzoo.data import draw_rows


def main() -> None:
    """Print the bounds with their errors."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", nargs="+")
    parser.add_argument("--split", default="test")
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--draws", type=int, nargs="+", default=[500, 5000])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    given = parser.parse_args()
    torch.set_num_threads(1)
    x = draw_rows(genzoo.load_dataset(str(prepare()), given.split), given.rows)["x"]
    say(circumstances(1), f"nats an image over {len(x):,} rows of the {given.split} split")
    for folder in given.folders:
        model = genzoo.GenModel.from_pretrained(folder)
        for draws in given.draws:
            for seed in given.seeds:
                began = time.process_time()
                generator = torch.Generator().manual_seed(seed)
                with torch.no_grad():
                    log_p = model.log_prob(x, generator=generator, num_samples=draws)
                found = log_p.mean()
                effective = found.provenance["median_effective_samples"]
                say(
                    f"  {folder:<24} K = {draws:<6} seed {seed}: {found.value:.2f} ± "
                    f"{found.std_error:.2f}, {effective} effective draws in the median, "
                    f"{time.process_time() - began:.0f} CPU-s"
                )


if __name__ == "__main__":
    main()
