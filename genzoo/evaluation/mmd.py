"""The kernel distance of features."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
from torch import Tensor

from genzoo import seeds
from genzoo.config import Bounds
from genzoo.estimate import Estimate, Note, Reference
from genzoo.evaluation.features import Compared, FeatureConfig, FeatureMetric
from genzoo.evaluation.metric import Case
from genzoo.evaluation.resampling import blocks_of, halving_error, partitions_of
from genzoo.goal import Goal
from genzoo.process_group import map_blocks

_BLOCKS, _LARGEST, _HALVINGS = 10, 1000, 50
_NEGATIVE = Note(
    "negative", "Negative by chance: the estimate has no bias, and the distance is near 0."
)


@dataclass(frozen=True, kw_only=True)
class KernelConfig(FeatureConfig):
    """The kernel distance of features."""

    block_size: Annotated[int | None, Bounds(2, 10**5)] = None
    """The number of rows per block; by default a tenth of them, at most 1,000."""


class KernelFeatureDistance(FeatureMetric[KernelConfig]):
    """The unbiased squared maximum mean discrepancy of the features; it may be negative.

    MMD² = E k(x, x′) + E k(y, y′) − 2 E k(x, y), k(x, y) = (x·y / D + 1)³, as a mean over disjoint
    blocks of rows. The error is the blocks' spread over the root of their number, averaged over
    random partitions; for a single block it is that of `halving_error`. The reference is that of
    held-out rows.

    | Demystifying MMD GANs (Bińkowski, Sutherland, Arbel, Gretton, 2018)
    """

    Config = KernelConfig
    goals: ClassVar = {"kernel-feature-distance": Goal("lower", "reference")}

    def compute(self, case: Case) -> dict[str, Estimate]:
        """Return the distance of the samples."""
        compared = self.compared(case)
        seed = case.generator.initial_seed()
        figure = kernel_distance(compared, self.config.block_size, seed)
        return {f"kernel-feature-distance[{compared.provenance['extractor']}]": figure}


def kernel_distance(compared: Compared, block_size: int | None = None, seed: int = 0) -> Estimate:
    """Return MMD² of samples and reference, with its error and reference value."""
    x, y = compared.reference, compared.samples
    size = min(len(y), block_size or min(_LARGEST, max(2, len(y) // _BLOCKS)))
    values = mmd_of_blocks(x, y, size)
    held_out = mmd_of_blocks(x, compared.held_out, size)
    blocks = len(values)
    error, made = _error(x, y, size, seeds.generator(seed))
    return Estimate(
        value=values.mean().item(),
        std_error=error,
        kind="stochastic estimate",
        unit="",
        num_samples=blocks * size,
        notes=(_NEGATIVE,) if values.mean() < 0 else (),
        reference=Reference(held_out.mean().item(), "held-out data"),
        provenance={**compared.provenance, "blocks": blocks, "block size": size, **made},
    )


def _error(
    x: Tensor, y: Tensor, size: int, generator: torch.Generator
) -> tuple[float, dict[str, int]]:
    """Return the error of the mean over blocks, and its settings.

    A single partition would give nine degrees of freedom; the root of a variance that is this
    uncertain is too small on average.
    """
    blocks = len(y) // size
    if blocks == 1:
        return halving_error(_mmd, x, y, _HALVINGS, generator), {"halvings": _HALVINGS}
    num = partitions_of(blocks)
    drawn = [blocks_of(x, y, blocks, generator, size) for _ in range(num)]
    partitions = map_blocks(lambda i: [_mmd(*block) for block in drawn[i]], num)
    variance = torch.tensor(partitions, dtype=torch.float64).var(1).mean().item()
    return math.sqrt(variance / blocks), {"partitions": num}


def mmd_of_blocks(x: Tensor, y: Tensor, size: int) -> Tensor:
    """Return unbiased MMD² of each pair of blocks of ``x`` and ``y`` (N, D), (N // size,).

    The rows that remain after whole blocks are not used.
    """
    pairs = zip(torch.split(x, size), torch.split(y, size), strict=True)
    return torch.tensor([_mmd(a, b) for a, b in pairs if len(a) == size], dtype=torch.float64)


def _mmd(x: Tensor, y: Tensor) -> float:
    """Return the unbiased MMD² of as many rows of both, (N, D), in float64."""
    x, y, num = x.double(), y.double(), len(x)
    own = [_kernel(z, z) for z in (x, y)]
    within = sum((k.sum(1) - k.diagonal()).sum() for k in own) / (num * (num - 1))
    return float(within - 2 * _kernel(x, y).sum(0).sum() / num**2)


def _kernel(x: Tensor, y: Tensor) -> Tensor:
    """Return (x·y / D + 1)³ of all pairs of rows, (N, M)."""
    # Not that of torchmetrics, whose import takes three seconds.
    return (x @ y.T * (1 / x.shape[1]) + 1) ** 3
