"""Precision, recall, density and coverage of equal laws, against the figures of prdc's README.

10,000 rows against 10,000, all of N(0, I₁₀₀₀), k = 5. The README's rows were drawn without a seed,
so that they are one draw among others: what is printed is the spread over draws, and where its
figures lie in it. Where prdc is installed, both count the same rows.

| Reliable Fidelity and Diversity Metrics for Generative Models
| (Naeem, Oh, Uh, Choi, Yoo, 2020), https://github.com/clovaai/generative-evaluation-prdc

Usage: python benchmarks/metrics_golden.py [--draws 8]
"""

from __future__ import annotations

import argparse
import time

import torch
from timing import circumstances, say

from genzoo.evaluation.neighbours import count

ROWS, DIMENSIONS, K = 10_000, 1000, 5
README = {"precision": 0.4772, "recall": 0.4705, "density": 1.0555, "coverage": 0.9735}


def drawn(seed: int, rows: int = ROWS) -> tuple[torch.Tensor, torch.Tensor]:
    """Return data and samples of one law."""
    generator = torch.Generator().manual_seed(seed)
    x, y = torch.randn(2, rows, DIMENSIONS, generator=generator)
    return x, y


def figures(data: torch.Tensor, samples: torch.Tensor) -> torch.Tensor:
    """Return the four figures."""
    return torch.stack([values.mean() for values in count(data, samples, K).values()])


def beside_prdc() -> str:
    """Return the greatest difference to prdc on 2,000 rows, or that it is not there."""
    try:
        from prdc import compute_prdc
    except ImportError:
        return "prdc is not installed: pip install prdc to count the same rows by both."
    x, y = (rows.double() for rows in drawn(0, 2000))
    theirs = compute_prdc(x.numpy(), y.numpy(), K)
    apart = (figures(x, y) - torch.tensor([theirs[name] for name in README])).abs().max().item()
    return f"greatest difference to prdc on the same 2,000 rows: {apart:.1e}"


def main() -> None:
    """Print the figures over draws."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draws", type=int, default=8)
    given = parser.parse_args()
    torch.set_num_threads(1)
    say(circumstances(1))
    began = time.process_time()
    found = torch.stack([figures(*drawn(seed)) for seed in range(given.draws)])
    seconds = (time.process_time() - began) / given.draws
    for name, values in zip(README, found.T, strict=True):
        mean, spread = values.mean().item(), values.std().item()
        off = (README[name] - mean) / spread
        say(
            f"  {name:<9} {mean:.4f} ± {spread:.4f}; README {README[name]}, {off:+.1f} spreads off"
        )
    say(f"  {seconds:.1f} CPU-seconds a draw", f"  {beside_prdc()}")


if __name__ == "__main__":
    main()
