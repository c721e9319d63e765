"""Generated data whose distribution is known in closed form."""

from __future__ import annotations

import abc
import itertools
import math
from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
from torch import Tensor

from genzoo.plugin import (
    ArrayDataset,
    Binary,
    Bounds,
    DataConfig,
    DataInfo,
    Dataset,
    DataSource,
    Label,
    Mixture,
    Real,
    derive_seed,
)

_SPLITS = ("train", "valid", "test")


@dataclass(frozen=True, kw_only=True)
class BarsAndStripesConfig(DataConfig):
    """Bars and stripes."""

    side: Annotated[int, Bounds(2, 10)] = 4
    """The side of the square."""


class BarsAndStripes(DataSource[BarsAndStripesConfig]):
    """Every picture whose rows, or whose columns, are all on or all off.

    Each orientation has 2^side pictures; all-on and all-off occur twice, so that drawing a row is
    the same as drawing an orientation and then a pattern. Every split is the whole set.

    | Information Theory, Inference, and Learning Algorithms (MacKay, 2003)
    """

    Config = BarsAndStripesConfig

    def splits(self) -> tuple[str, ...]:
        """Return the names of the splits, which are all the same."""
        return _SPLITS

    def load(self, split: str) -> Dataset:
        """Return the 2^(side + 1) pictures."""
        side = self.config.side
        lines = torch.tensor(list(itertools.product((0.0, 1.0), repeat=side)))
        bars = lines[:, :, None].expand(-1, side, side)
        x = torch.cat([bars, bars.transpose(1, 2)])[:, None].contiguous()
        info = DataInfo(fields={"x": Binary(shape=(1, side, side))}, range={"x": (0.0, 1.0)})
        return ArrayDataset(x, info, f"bars-and-stripes {side}×{side}")


@dataclass(frozen=True, kw_only=True)
class MixtureConfig(DataConfig):
    """A mixture of Gaussians in the plane."""

    num: Annotated[int, Bounds(1, 10**8)] = 50_000
    """The number of points in a split."""
    seed: Annotated[int, Bounds(0, 2**63 - 1)] = 0
    """The seed of the points."""


class MixtureSource(DataSource[MixtureConfig]):
    """Abstract base class: points of a mixture of Gaussians with equal weights in the plane.

    Class attributes:
        title: The name of the data in the provenance of figures.
        sigma: The standard deviation of each Gaussian.
    """

    Config = MixtureConfig
    title: ClassVar[str]
    sigma: ClassVar[float]

    @abc.abstractmethod
    def modes(self) -> Tensor:
        """Return the means, (K, 2)."""

    def splits(self) -> tuple[str, ...]:
        """Return the names of the splits, drawn apart."""
        return _SPLITS

    def load(self, split: str) -> Dataset:
        """Draw the points of a split."""
        num, seed, modes = self.config.num, self.config.seed, self.modes()
        generator = torch.Generator().manual_seed(derive_seed(self.title, seed, split))
        label = torch.randint(len(modes), (num,), generator=generator)
        x = modes[label] + self.sigma * torch.randn(num, 2, generator=generator)
        fields = {"x": Real(shape=(2,)), "label": Label(num_classes=len(modes))}
        info = DataInfo(fields=fields, mixture={"x": Mixture(modes, self.sigma)})
        return ArrayDataset(x, info, f"{self.title}, seed {seed}", label)


class Ring(MixtureSource):
    """Eight Gaussians with equal weights on a circle of radius 1, σ = 0.01."""

    title = "ring"
    sigma = 0.01

    def modes(self) -> Tensor:
        """Return the means, (8, 2)."""
        angle = torch.arange(8) * (2 * math.pi / 8)
        return torch.stack([angle.cos(), angle.sin()], dim=1)


class Grid(MixtureSource):
    """Twenty-five Gaussians with equal weights on a 5 × 5 grid with spacing 2, σ = 0.05."""

    title = "grid"
    sigma = 0.05

    def modes(self) -> Tensor:
        """Return the means, (25, 2)."""
        return torch.cartesian_prod(torch.arange(-4.0, 5, 2), torch.arange(-4.0, 5, 2))
