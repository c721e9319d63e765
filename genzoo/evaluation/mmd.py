"""The kernel distance of features."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor
from torchmetrics.image.kid import poly_mmd

from genzoo.config import Bounds
from genzoo.estimate import Estimate, Note, Reference
from genzoo.evaluation.features import Compared, FeatureConfig, FeatureMetric
from genzoo.evaluation.metric import Case

_BLOCKS, _LARGEST = 10, 1000
_NEGATIVE = Note(
    "negative", "Negative by chance: the estimate has no bias, and the distance is near 0."
)


@dataclass(frozen=True, kw_only=True)
class KernelConfig(FeatureConfig):
    """The kernel distance of features."""

    block_size: Annotated[int | None, Bounds(2, 10**5)] = None
    """Rows of a block; a tenth of them by default, and at most 1,000."""


class KernelFeatureDistance(FeatureMetric):
    """The squared maximum mean discrepancy of the features, without bias; it may be negative.

    MMD² = E k(x, x′) + E k(y, y′) − 2 E k(x, y), k(x, y) = (x·y / D + 1)³, as a mean over
    disjoint blocks of rows, whose spread gives the error. The reference is that of held-out rows.

    | Demystifying MMD GANs (Bińkowski, Sutherland, Arbel, Gretton, 2018)
    """

    Config = KernelConfig

    def compute(self, case: Case) -> dict[str, Estimate]:
        """Return the distance of the samples."""
        compared = self.compared(case)
        figure = kernel_distance(compared, self.config.block_size)
        return {f"kernel-feature-distance[{compared.receipt['extractor']}]": figure}


def kernel_distance(compared: Compared, block_size: int | None = None) -> Estimate:
    """Return MMD² of samples and reference, with error and reference value."""
    num = len(compared.samples)
    size = min(num, block_size or min(_LARGEST, max(2, num // _BLOCKS)))
    values = mmd_of_blocks(compared.reference, compared.samples, size)
    held_out = mmd_of_blocks(compared.reference, compared.held_out, size)
    blocks = len(values)
    return Estimate(
        value=values.mean().item(),
        std_error=values.std().item() / math.sqrt(blocks) if blocks > 1 else math.inf,
        kind="stochastic estimate",
        unit="",
        num_samples=blocks * size,
        notes=(_NEGATIVE,) if values.mean() < 0 else (),
        reference=Reference(held_out.mean().item(), "held-out data"),
        receipt={**compared.receipt, "blocks": blocks, "block size": size},
    )


def mmd_of_blocks(x: Tensor, y: Tensor, size: int) -> Tensor:
    """Return unbiased MMD² of each pair of blocks of ``x`` and ``y`` (N, D), (N // size,).

    What remains of the rows after whole blocks is not used.
    """
    pairs = zip(torch.split(x, size), torch.split(y, size), strict=True)
    values = [poly_mmd(a.double(), b.double()) for a, b in pairs if len(a) == size]
    return torch.stack(values)
