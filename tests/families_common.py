"""What the toys of every family share."""

import itertools
from dataclasses import dataclass, field
from typing import Annotated

import torch

from genzoo import Component, Label, Stage, register
from genzoo.plugin import Bounds, ConditionSpaces, Config, Space

_NUMBERS = itertools.count()
Width = Annotated[int, Bounds(1, 4096)]


@dataclass(frozen=True, kw_only=True)
class None_(Config):
    """Nothing to choose."""


def stage(name, **config):
    return (Stage.from_dict({"objective": {"name": name, "config": config}}),)


def learned_by(name, **config):
    """Return the `default_stages` of one stage with that objective."""
    return classmethod(lambda cls, _: stage(name, **config))


def sampled_by(name):
    """Return the `default_sampler` of that name."""
    return classmethod(lambda cls, config: Component(name=name))


def drawn_by(sampler):
    """Register a sampler for this session; return the `default_sampler` that names it."""
    name = f"test-{sampler.__name__.lower()}-{next(_NUMBERS)}"
    register("samplers", name)(sampler)
    return sampled_by(name)


def rows(*shape, seed=0, binary=False):
    x = torch.rand(*shape, generator=torch.Generator().manual_seed(seed))
    return x.round() if binary else x


@dataclass(frozen=True, kw_only=True)
class ToyConfig(Config):
    """A toy."""

    event: Space
    width: Width = 5


@dataclass(frozen=True, kw_only=True)
class LabelledConfig(ToyConfig):
    """A toy with labels."""

    conditions: ConditionSpaces = field(default_factory=lambda: {"label": Label(num_classes=3)})
