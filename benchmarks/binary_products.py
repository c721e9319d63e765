"""Products of zeros and few ones: the rows that the ones select added up, against torch's product.

The ones are looked for each time, and the limits on size and on their share set aside, so that
the table shows where those should lie.

Usage: python benchmarks/binary_products.py [--threads 1] [--rounds 11]
"""

from __future__ import annotations

import argparse
from unittest.mock import patch

import torch
from timing import circumstances, in_turn, ratio, say

from genzoo_boltzmann import sparse_binary

SHARES = (0.05, 0.13, 0.2, 0.3)
SHAPES = ((100, 64, 256), (100, 784, 100), (100, 784, 256), (100, 784, 500), (784, 200, 500))
OPERATIONS = 4 * 10**8


def beside_the_product(shape: tuple[int, int, int], share: float, rounds: int) -> str:
    """Return how many times as long the sums take as the product of (N, K) and (K, D)."""
    n, k, d = shape
    v, M = (torch.rand(n, k) < share).float(), torch.randn(k, d)
    repeats = max(3, OPERATIONS // (n * k * d))

    def sums() -> None:
        for _ in range(repeats):
            ones = sparse_binary.few_ones(v, M)
            if ones is not None:
                ones.matmul(M)

    def product() -> None:
        for _ in range(repeats):
            torch.mm(v, M)

    seconds = in_turn({"sums": sums, "product": product}, rounds)
    return ratio(seconds, "sums", "product")


def main() -> None:
    """Print ratios of times: a line for each shape, a column for each share of ones."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=11)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    torch.manual_seed(0)
    say(circumstances(given.threads), "times as long as the product: median and range")
    say(f"  {'N × K times K × D':<22}" + "".join(f"{share:<22}" for share in SHARES))
    limits = {"_LARGEST_SHARE_ON": 1.0, "_FEWEST_COLUMNS": 0, "_FEWEST_VALUES": 0}
    with patch.multiple(sparse_binary, **limits):
        for shape in SHAPES:
            found = [beside_the_product(shape, share, given.rounds) for share in SHARES]
            name = "{} × {} times {}".format(*shape)
            say(f"  {name:<22}" + "".join(f"{cell:<22}" for cell in found))


if __name__ == "__main__":
    main()
