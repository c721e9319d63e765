"""How nearly averages of other lengths are sums of snapshots: the relative error of the profiles.

Each row is a length σ_rel, each column a choice of snapshots: their lengths and their number,
evenly spaced up to the last update. Printed is ‖target − Σ w_i p_i‖ / ‖target‖ in percent, and for
the first choice the sum of the weights' absolute values, by which rounding errors of the snapshots
are multiplied at most. Nothing is trained: the error depends on the profiles alone, and hardly on
the number of updates.

Usage: python benchmarks/post_hoc_averages.py [--updates 50000]
"""

from __future__ import annotations

import argparse

import numpy as np

from genzoo.training.power_functions import Fit, Profiles, gamma_of
from genzoo.training.snapshots import is_due

CHOICES = (
    ((0.05, 0.1), 50),
    ((0.05, 0.1), 25),
    ((0.05, 0.1), 100),
    ((0.05, 0.2), 50),
    ((0.1,), 50),
    ((0.03, 0.06, 0.12), 50),
)
LENGTHS = (0.01, 0.02, 0.03, 0.04, 0.05, 0.06, 0.08, 0.1, 0.12, 0.15, 0.18, 0.2, 0.22, 0.25)
MUST, ALLOWED = 5e-3, 1e-2


def fitted(lengths: tuple[float, ...], number: int, total: int, sigma_rel: float) -> Fit:
    """Return the sum of snapshots that is nearest to an average at the last update.

    Arguments:
        lengths: The lengths of the snapshots.
        number: The number of updates with snapshots.
        total: The number of updates.
        sigma_rel: The length of the average.
    """
    at = [step for step in range(1, total + 1) if is_due(step, total, number)]
    steps = np.tile(np.array(at, float), len(lengths))
    gammas = np.repeat([gamma_of(length) for length in lengths], len(at))
    return Profiles(steps, gammas).fit(float(total), gamma_of(sigma_rel))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--updates", type=int, default=50_000)
    total = parser.parse_args().updates
    titles = [f"{number}× {' '.join(map(str, lengths))}" for lengths, number in CHOICES]
    print(f"{'σ_rel':>6}  {'Σ|w|':>5}  " + "  ".join(f"{title:>18}" for title in titles))
    for sigma_rel in LENGTHS:
        found = [fitted(*choice, total, sigma_rel) for choice in CHOICES]
        errors = "  ".join(f"{100 * one.relative_error:17.4f}%" for one in found)
        print(f"{sigma_rel:6.2f}  {np.abs(found[0].weights).sum():5.1f}  {errors}")
    must = [length for length in LENGTHS if 0.03 <= length <= 0.2]
    worst = max(fitted(*CHOICES[0], total, length).relative_error for length in must)
    print(f"0.03 to 0.20 from {titles[0]}: at most {worst:.1e}; {MUST:g} must be, {ALLOWED:g} may")


if __name__ == "__main__":
    main()
