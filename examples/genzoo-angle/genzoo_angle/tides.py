"""Tides: times of high water, as angles."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated

import torch

from genzoo.plugin import ArrayDataset, Bounds, DataConfig, DataInfo, Dataset, DataSource, Label
from genzoo_angle.angle import Angle, wrap
from genzoo_angle.von_mises import draw

_SPLITS = ("train", "valid", "test")
PORTS = ("north", "east", "south", "west")
DELAYS = torch.tensor([0.0, 1.2, 2.6, -1.8])
"""How long after the moon's transit high water comes at each port, as an angle."""


@dataclass(frozen=True, kw_only=True)
class TidesConfig(DataConfig):
    """Times of high water at four ports."""

    num: Annotated[int, Bounds(1, 10**7)] = 10_000
    """How many rows a split has."""
    seed: Annotated[int, Bounds(0, 2**40)] = 0
    """Where the rows come from."""
    concentration: Annotated[float, Bounds(0.0, 1e4)] = 8.0
    """κ of the time of high water around the one that is expected."""


class Tides(DataSource[TidesConfig]):
    """The time of high water on a clock of 24 hours, made up, in [−π, π).

    The moon passes later each day, and high water comes some time after it, which depends on the
    port: x ~ VM(moon + delay of the port, κ). The moon's phase is a field of its own, ``moon``;
    most observations are made near new moon, moon ~ VM(0, 2).
    """

    Config = TidesConfig

    def splits(self) -> tuple[str, ...]:
        """Return the names of the splits, drawn apart."""
        return _SPLITS

    def load(self, split: str) -> Dataset:
        """Draw the rows of a split."""
        num, kappa = self.config.num, self.config.concentration
        seed = len(_SPLITS) * self.config.seed + _SPLITS.index(split)
        generator = torch.Generator().manual_seed(seed)
        label = torch.randint(len(PORTS), (num,), generator=generator)
        moon = draw(torch.tensor([2.0, 0.0]).expand(num, 1, 2), generator)
        mean = moon + DELAYS[label][:, None]
        x = draw(kappa * torch.stack([mean.cos(), mean.sin()], dim=-1), generator)
        angle = Angle(shape=(1,))
        fields = {"x": angle, "label": Label(num_classes=len(PORTS), names=PORTS), "moon": angle}
        info = DataInfo(fields=fields, range={"x": (-math.pi, math.pi)})
        name = f"tides/{split}, seed {self.config.seed}"
        return ArrayDataset(wrap(x), info, name, label, columns={"moon": moon})
