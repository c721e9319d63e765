"""What the toys of every family share."""

from dataclasses import dataclass
from typing import Annotated

import torch

from genzoo import (
    Bounds,
    Config,
    Stage,
)

Shape = Annotated[tuple[Annotated[int, Bounds(1, 4096)], ...], Bounds(1, 4)]
Width = Annotated[int, Bounds(1, 4096)]


@dataclass(frozen=True, kw_only=True)
class None_(Config):
    """Nothing to choose."""


def stage(name, **config):
    return (Stage.from_dict({"objective": {"name": name, "config": config}}),)


def rows(*shape, seed=0, binary=False):
    x = torch.rand(*shape, generator=torch.Generator().manual_seed(seed))
    return x.round() if binary else x


@dataclass(frozen=True, kw_only=True)
class ToyConfig(Config):
    """A toy."""

    event_shape: Shape
    width: Width = 5


@dataclass(frozen=True, kw_only=True)
class LabelledConfig(ToyConfig):
    """A toy with labels."""

    num_classes: Annotated[int, Bounds(1, 1000)] = 3
