"""Whether the standard errors of figures of samples are right: claimed over measured.

Both sets are drawn anew in every repetition. Measured is the standard deviation of a figure's
value over the repetitions, claimed the mean of the standard error over the first of them, both by
the metric's own code. The error of the ratio is of the spread (3.5 % for 400 normal values; here
by their fourth moment) and of the mean of the claims together. A share that fewer than three rows
keep from 0 or 1 is not judged: it has hardly a spread to compare with.

Every cell (a law, a number of rows on each side, of dimensions, a group of metrics) is kept in a
file of its own as soon as it is measured; a run that was interrupted goes on with the next one.

Usage: python benchmarks/error_calibration.py [--output runs/error-calibration] [--only REGEX]
"""

from __future__ import annotations

import argparse
import json
import math
import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
from timing import circumstances, say
from torch import Tensor

from genzoo import seeds
from genzoo.estimate import Estimate
from genzoo.evaluation import Case, Metric
from genzoo.evaluation.features import Compared, FeatureConfig
from genzoo.evaluation.frechet import FrechetConfig, FrechetFeatureDistance, frechet_distance
from genzoo.evaluation.mmd import KernelConfig, KernelFeatureDistance, mmd_of_blocks
from genzoo.evaluation.modes import error_of_number
from genzoo.evaluation.neighbours import NeighbourConfig, PrecisionRecall, count
from genzoo.evaluation.two_sample import TwoSample, told_apart

REPETITIONS = 400
ROWS, DIMENSIONS = (150, 800, 2000), (8, 64)
NUM_SAMPLES = 2500
"""Of mode coverage, its protocol's number."""
METRICS: dict[str, tuple[Metric, ...]] = {
    "distances": (
        FrechetFeatureDistance(FrechetConfig(extractor="given")),
        KernelFeatureDistance(KernelConfig(extractor="given")),
    ),
    "neighbours": (
        PrecisionRecall(NeighbourConfig(extractor="given")),
        TwoSample(FeatureConfig(extractor="given")),
    ),
}
CLAIMS = {"distances": 200, "neighbours": 50}
"""In how many repetitions the error is computed; that of a distance varies with its value."""
SHARES = ("precision", "recall", "coverage", "two-sample")
END, AT_END = 3, "at its end"


def normal(num: int, size: int, generator: torch.Generator) -> Tensor:
    """Return draws of N(0, I), (num, size) float64."""
    return torch.randn(num, size, generator=generator, dtype=torch.float64)


def moved(num: int, size: int, generator: torch.Generator) -> Tensor:
    """Return draws of N(0.2, 1.1² I)."""
    return 0.2 + 1.1 * normal(num, size, generator)


def uneven(num: int, size: int, generator: torch.Generator) -> Tensor:
    """Return draws of N(0, diag(1, 1/2, 1/3, …)), whose directions are of unequal weight."""
    return normal(num, size, generator) / torch.arange(1, size + 1).double().sqrt()


def heavy(num: int, size: int, generator: torch.Generator) -> Tensor:
    """Return draws of Student's t distribution with 8 degrees of freedom."""
    chi = normal(num, 8, generator).square().sum(1, keepdim=True)
    return normal(num, size, generator) / (chi / 8).sqrt()


def clusters(*weights: float) -> Callable[[int, int, torch.Generator], Tensor]:
    """Return a function that draws a mixture of N(μ, I), whose means have ‖μ‖ near 6."""

    def draw(num: int, size: int, generator: torch.Generator) -> Tensor:
        means = 6 * normal(len(weights), size, seeds.generator(1)) / math.sqrt(size)
        which = torch.multinomial(torch.tensor(weights), num, True, generator=generator)
        return means[which] + normal(num, size, generator)

    return draw


LAWS = {
    "equal": (normal, normal),
    "moved": (normal, moved),
    "clusters": (clusters(*[0.1] * 10), clusters(*[0.15, 0.05] * 5)),
    "uneven": (uneven, uneven),
    "heavy": (normal, heavy),
}
"""What data and samples are drawn from."""
MIXTURES = {
    "each .7 of the one before": [0.7**m for m in range(25)],
    "each .5 of the one before": [0.5**m for m in range(25)],
    "the m-th 1/m³": [(m + 1) ** -3.0 for m in range(25)],
    "5 of 8 once in 2,500": [0.0004] * 5 + [0.3327] * 3,
}
"""Weights of modes, not all of which are found by 2,500 samples."""


@dataclass(frozen=True)
class Cell:
    """One law, number of rows on each side, number of dimensions, and group of metrics."""

    law: str
    rows: int
    dimensions: int
    group: str

    def __str__(self) -> str:
        return f"{self.law}-{self.rows}-{self.dimensions}-{self.group}"

    def drawn(self, repetition: int) -> tuple[Tensor, Tensor]:
        """Return the data and the samples of one repetition, (N, D) each."""
        seed = seeds.derive_seed(f"{self.law}-{self.rows}-{self.dimensions}", repetition)
        generator = seeds.generator(seed)
        x, y = (draw(self.rows, self.dimensions, generator) for draw in LAWS[self.law])
        return x, y


def estimates(x: Tensor, y: Tensor, group: str, seed: int) -> dict[str, Estimate]:
    """Return the figures of samples ``y`` and data ``x``, by the metrics themselves."""
    nothing = cast(Any, None)
    case = Case(nothing, nothing, {}, seeds.generator(seed))
    case.once(("features", "given"), lambda: Compared(y, x, y, {"extractor": "given"}))
    found = [metric.compute(case) for metric in METRICS[group]]
    return {k.partition("[")[0]: figure for figures in found for k, figure in figures.items()}


def values_of(x: Tensor, y: Tensor, group: str) -> dict[str, float]:
    """Return the values of the same figures, without their errors, which take longer."""
    if group == "distances":
        return {
            "frechet-feature-distance": frechet_distance(x, y),
            "kernel-feature-distance": mmd_of_blocks(x, y, len(x) // 10).mean().item(),
        }
    shares = {name: values.mean().item() for name, values in count(x, y, 5).items()}
    return {**shares, "two-sample": told_apart(x, y).mean().item()}


def measure(
    cell: Cell, repetitions: int = REPETITIONS, claims: int | None = None
) -> dict[str, dict[str, float]]:
    """Return each figure's measured spread and claimed error in one cell."""
    claims = claims or CLAIMS[cell.group]
    values = [values_of(*cell.drawn(i), cell.group) for i in range(repetitions)]
    figures = [estimates(*cell.drawn(i), cell.group, seed=i) for i in range(claims)]
    for mine, theirs in zip(values, figures, strict=False):
        if any(not math.isclose(mine[name], theirs[name].value) for name in mine):
            raise SystemExit(f"The values of {cell} are not the metrics': {mine}, {theirs}.")
    return {
        name: compare([v[name] for v in values], [f[name].std_error for f in figures])
        for name in values[0]
    }


def compare(values: list[float], errors: list[float]) -> dict[str, float]:
    """Return mean and spread of values, the mean claim, and their ratio with its error."""
    v, e = (torch.tensor(z, dtype=torch.float64) for z in (values, errors))
    spread, claimed = v.std().item(), e.mean().item()
    centred = v - v.mean()
    fourth = (centred**4).mean().item() / max(centred.square().mean().item() ** 2, 1e-300)
    relative = math.hypot(
        math.sqrt(max(fourth - 1, 0) / len(v)) / 2, e.std().item() / claimed / math.sqrt(len(e))
    )
    ratio = claimed / spread if spread else math.nan
    root_mean_square = e.square().mean().sqrt().item() / spread if spread else math.nan
    return {
        "mean": v.mean().item(),
        "measured": spread,
        "claimed": claimed,
        "ratio": ratio,
        "error": ratio * relative,
        "by root mean square": root_mean_square,
    }


def measure_modes(weights: list[float], repetitions: int = REPETITIONS) -> dict[str, float]:
    """Return the same of the number of modes that the protocol's samples find."""
    p = torch.tensor(weights, dtype=torch.float64)
    counts = [
        torch.multinomial(
            p, NUM_SAMPLES, True, generator=seeds.generator(seeds.derive_seed("modes", i))
        ).bincount(minlength=len(p))
        for i in range(repetitions)
    ]
    found = [float((c > 0).sum()) for c in counts]
    return compare(found, [error_of_number(c, NUM_SAMPLES) for c in counts])


def right(cell: Cell, name: str, found: Mapping[str, float]) -> str:
    """Say whether a ratio is right; empty where it is, or where there is nothing to judge."""
    if name in SHARES and min(found["mean"], 1 - found["mean"]) * cell.rows < END:
        return AT_END
    low, high = (0.8, 1.5) if cell.rows < 800 else (0.85, 1.2)
    return "" if low <= found["ratio"] <= high else "WRONG"


def lines(folder: Path) -> Iterator[str]:
    """Yield the table of all cells that were measured, and of the numbers of modes."""
    yield "| law | N | D | figure | value | measured | claimed ÷ measured | |"
    yield "| --- | --- | --- | --- | --- | --- | --- | --- |"
    for cell, kept in measured(folder).items():
        for name, found in kept.items():
            yield (
                f"| {cell.law} | {cell.rows:,} | {cell.dimensions} | {name} | {_of(found)} | "
                f"{right(cell, name, found)} |"
            )
    for law, weights in MIXTURES.items():
        yield f"| {law} | {NUM_SAMPLES:,} | | modes | {_of(measure_modes(weights))} | |"


def summary(folder: Path) -> Iterator[str]:
    """Yield, for each number of rows and dimensions, the least and greatest ratio of any law."""
    ranges: dict[tuple[int, int], dict[str, list[float]]] = {}
    for cell, kept in measured(folder).items():
        for name, found in kept.items():
            ratios = ranges.setdefault((cell.rows, cell.dimensions), {}).setdefault(name, [])
            if right(cell, name, found) != AT_END:
                ratios.append(found["ratio"])
    for (rows, dimensions), figures in ranges.items():
        found = [f"{min(z):.2f} to {max(z):.2f}" if z else AT_END for z in figures.values()]
        yield f"| {rows:,} | {dimensions} | {' | '.join(found)} |"


def measured(folder: Path) -> dict[Cell, dict[str, dict[str, float]]]:
    """Return the cells that were measured."""
    paths = {cell: folder / f"{cell}.json" for cell in cells()}
    return {cell: json.loads(p.read_text("utf-8")) for cell, p in paths.items() if p.exists()}


def cells() -> Iterator[Cell]:
    """Yield all cells, the cheapest first."""
    for rows in ROWS:
        for dimensions in DIMENSIONS:
            for law in LAWS:
                for group in METRICS:
                    yield Cell(law, rows, dimensions, group)


def main() -> None:
    """Measure what was not yet, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=Path("runs/error-calibration"))
    parser.add_argument("--only", default="", help="cells whose names match, such as 800-8")
    given = parser.parse_args()
    torch.set_num_threads(1)
    given.output.mkdir(parents=True, exist_ok=True)
    for cell in cells():
        path = given.output / f"{cell}.json"
        if re.search(given.only, str(cell)) and not path.exists():
            began = time.process_time()
            path.write_text(json.dumps(measure(cell), indent=2), "utf-8")
            say(f"{cell}: {time.process_time() - began:.0f} CPU-s")
    say(f"{REPETITIONS} repetitions; claims of the first {CLAIMS}", *lines(given.output), "")
    say(*summary(given.output))
    say(circumstances(1))


def _of(found: Mapping[str, float]) -> str:
    return (
        f"{found['mean']:.4g} | {found['measured']:.3g} | "
        f"{found['ratio']:.2f} ± {found['error']:.2f}"
    )


if __name__ == "__main__":
    main()
