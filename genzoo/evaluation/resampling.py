"""Standard errors of figures that compare two sets, from random halves and blocks.

The bootstrap is not suitable here. It repeats rows, and a row that is its own nearest neighbour
distorts figures of neighbours; for a distance between equal distributions it gives 1.7 times the
error. Every part below has each of its rows once.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from genzoo.estimate import Estimate, Unit, mean_of
from genzoo.process_group import map_blocks

_FREEDOM = 48
"""The degrees of freedom of a variance between blocks, which determine its root within a tenth."""
_FEW, _MANY = 1000, 2500


def halving_error(
    distance: Callable[[Tensor, Tensor], float],
    x: Tensor,
    y: Tensor,
    num: int,
    generator: torch.Generator,
) -> float:
    """Return the standard error of a squared distance of ``x`` (N, D) and ``y`` (M, D).

    A squared distance is quadratic in the sampling errors: its variance is s₁² + s₂², from the
    linear and the quadratic part, and s₁ = 0 for equal distributions. Two complementary halves lie
    on opposite sides of the whole. Half the difference of their distances has the mean square s₁²
    + 2 s₂², because the linear part is taken at the data and not at the distributions. The mean of
    their distances has the variance s₂². The result is the root of the first minus the second. It
    is at least half of the first, which is the variance for equal distributions, for which the
    difference is least certain. (The variance of the bootstrap is s₁² + 3 s₂².)

    | The Jackknife, the Bootstrap and Other Resampling Plans (Efron, 1982), on half-sampling

    Arguments:
        distance: The squared distance of two sets.
        x: One set.
        y: The other.
        num: The number of halvings of both sets; at least 2.
        generator: The generator of the halves, on the CPU.
    """
    halvings = [blocks_of(x, y, 2, generator) for _ in range(num)]
    distances = map_blocks(lambda i: [distance(*half) for half in halvings[i]], num)
    first, second = torch.tensor(distances, dtype=torch.float64).T
    moved = ((first - second) / 2).square().mean().item()
    bent = ((first + second) / 2).var().item()
    return math.sqrt(max(moved - bent, moved / 2))


def blocks_of(
    x: Tensor, y: Tensor, num: int, generator: torch.Generator, size: int | None = None
) -> Iterator[tuple[Tensor, Tensor]]:
    """Draw ``num`` disjoint random blocks of ``x`` (N, D), each with one of ``y`` (M, D).

    They have ``size`` rows, or else N // num and M // num; remaining rows are left out. The rows
    are drawn at once, and each block is made when it is asked for.
    """
    orders = [torch.randperm(len(z), generator=generator) for z in (x, y)]
    sizes = [size or len(z) // num for z in (x, y)]

    def block(i: int) -> tuple[Tensor, Tensor]:
        rows = [o[i * n : (i + 1) * n] for o, n in zip(orders, sizes, strict=True)]
        return x[rows[0]], y[rows[1]]

    return map(block, range(num))


def partitions_of(blocks: int) -> int:
    """Return the number of partitions that give the variance enough degrees of freedom."""
    return math.ceil(_FREEDOM / (blocks - 1))


def design_effects(
    values: Callable[[Tensor, Tensor], Sequence[Tensor]],
    x: Tensor,
    y: Tensor,
    generator: torch.Generator,
) -> tuple[Tensor, dict[str, int]]:
    """Return the design effects of figures that are means over rows of ``x`` and ``y``.

    A design effect is the factor by which dependent rows multiply the variance of a mean.
    The mean of dependent rows (they share neighbours, or the balls of the other set) does not have
    the variance of independent rows. The ratio of the two is measured between disjoint blocks,
    which are independent: the variance of the blocks' means over the mean variance that
    independent rows would have within each. The variance itself cannot be taken from blocks,
    because it depends on the number of rows (threefold from 800 to 37 rows of N(0, I₆₄)); the
    ratio hardly does.

    | Survey Sampling (Kish, 1965)

    Arguments:
        values: The values whose means are the figures, of two sets.
        x: One set, (N, D).
        y: The other, (M, D).
        generator: The generator of the blocks, on the CPU.

    Returns:
        The effects, (F,), 1 for independent rows; and their settings, for the provenance.
    """
    blocks = _blocks(min(len(x), len(y)))
    partitions = partitions_of(blocks)
    drawn = [blocks_of(x, y, blocks, generator) for _ in range(partitions)]

    def moments_of(i: int) -> Tensor:
        return torch.stack([_moments(values(*part)) for part in drawn[i]])

    found = map_blocks(moments_of, partitions)
    between = [moments[:, 0].var(0) for moments in found]
    within = [moments[:, 1].mean(0) for moments in found]
    naive = torch.stack(within).mean(0)
    ratios = torch.stack(between).mean(0) / naive
    settings = {"blocks": blocks, "partitions": partitions}
    return torch.where(naive > 0, ratios, 1.0), settings


def mean_with_error(values: Tensor, effect: float, unit: Unit) -> Estimate:
    """Return the mean of dependent ``values`` (N,) with a design effect.

    The error is at least 1/N, that of a share of one row: if all rows agree, a spread of 0 is not
    the error. Three such errors are the rule of three, 3/N.

    | If Nothing Goes Wrong, Is Everything All Right? (Hanley, Lippman-Hand, 1983)
    """
    figure = mean_of(values, "stochastic estimate", unit=unit)
    error = figure.std_error * math.sqrt(effect)
    return replace(figure, std_error=max(error, 1 / len(values)))


def _blocks(num: int) -> int:
    """Return the number of blocks: as few as the number of rows allows.

    The ratio changes least over few blocks. All partitions together cost at most some seconds, or
    as much as the figure itself, because a partition costs N² / blocks.
    """
    return 2 if num <= _FEW else 4 if num <= _MANY else 8


def _moments(values: Sequence[Tensor]) -> Tensor:
    """Return each figure's mean, and its variance for independent rows, (2, F)."""
    means = torch.stack([rows.mean() for rows in values])
    return torch.stack([means, torch.stack([rows.var() / len(rows) for rows in values])])
