"""Toys whose configs hold components of a group of their own, for the tests of their flags."""

import logging
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pytest

import families
import genzoo
from families_common import sampled_by, stage
from genzoo import Component, registry
from genzoo.cli import main
from genzoo.estimate import Estimate
from genzoo.plugin import (
    Bounds,
    Config,
    DataConfig,
    DataSource,
    Group,
    Loss,
    Metric,
    ModelSpec,
    Objective,
    Unit,
    make,
)

GROUP = "flags_test.estimators"
MEAN_OF_FIVE = Component(name="mean", config={"num": 5})
MEAN_ALONE = Component(name="mean")
ROWS = np.random.default_rng(0).random((20, 3)).astype(np.float32)
TRAIN = "train toy-linear --data rows.npz --output run"
QUICK = "--trainer.max-steps 2 --trainer.batch-size 4 --trainer.threads 1 --overwrite"
MADE: list[Any] = []
"""What the toys below were made with."""


class Estimator:
    """Abstract base class of the group."""

    def __init__(self, config=None):
        self.config = config or self.Config()


@dataclass(frozen=True, kw_only=True)
class MeanConfig(Config):
    """A mean."""

    num: Annotated[int, Bounds(1, 100)] = 3
    """The number of draws."""
    pair: tuple[int, ...] = ()
    """Some numbers."""


@dataclass(frozen=True, kw_only=True)
class MedianConfig(Config):
    """A median."""

    share: Annotated[float, Bounds(0.0, 1.0)] = 0.5
    """The share below."""
    robust: bool = True
    """Whether it is robust."""


@dataclass(frozen=True, kw_only=True)
class SizedConfig(Config):
    """A config that needs a value."""

    size: int
    """The size."""


@dataclass(frozen=True, kw_only=True)
class ChainConfig(Config):
    """An estimator of an estimate."""

    estimator: Annotated[Component, Group(GROUP)] | None = None
    """The estimator before."""
    temperature: float = 1.0
    """The temperature."""


@dataclass(frozen=True, kw_only=True)
class EstimatingConfig(Config):
    """An estimated loss."""

    estimator: Annotated[Component, Group(GROUP)] = MEAN_OF_FIVE
    """The estimator."""
    other: Annotated[Component | None, Group(GROUP)] = None
    """Another one."""
    lr: float = 1e-3
    """The learning rate."""


class Estimating(Objective):
    """Minimises least squares."""

    Config = EstimatingConfig

    def __init__(self, model, config=None):
        super().__init__(model, config)
        held = (self.config.estimator, self.config.other)
        MADE.append([one and make(GROUP, one).config for one in held])

    def losses(self, batch, step):
        yield Loss(((self.model.net(batch["x"]) - 1) ** 2).sum(1).mean())


@dataclass(frozen=True, kw_only=True)
class DrawnConfig(Config):
    """Draws with an estimator."""

    estimator: Annotated[Component, Group(GROUP)] = MEAN_ALONE
    """The estimator."""


class Drawn(families.Fixed):
    """Draws."""

    Config = DrawnConfig

    def trajectory(self, model, num, **given):
        MADE.append(make(GROUP, self.config.estimator).config)
        return super().trajectory(model, num, **given)


class Judged(Metric):
    """A metric of an estimator."""

    Config = DrawnConfig

    def compute(self, case):
        MADE.append(make(GROUP, self.config.estimator).config)
        figure = Estimate(value=0.0, std_error=0.0, kind="exact", unit="nats", num_samples=1)
        return {"judged": figure}


@dataclass(frozen=True, kw_only=True)
class EstimatedDataConfig(DataConfig):
    """Data of an estimator."""

    estimator: Annotated[Component, Group(GROUP)] = MEAN_ALONE
    """The estimator."""


class Estimated(DataSource):
    """Rows of an estimator."""

    Config = EstimatedDataConfig

    def splits(self):
        return ("train",)

    def load(self, split):
        MADE.append(make(GROUP, self.config.estimator).config)
        return genzoo.as_dataset(ROWS)


@dataclass(frozen=True, kw_only=True)
class InnerConfig(Config):
    """Values of their own."""

    needed: int
    """What it needs."""


@dataclass(frozen=True, kw_only=True)
class HolderConfig(families.ToyConfig):
    """A model with a model inside."""

    decoder: ModelSpec | None = None
    """The decoder."""
    critic: ModelSpec = field(
        default_factory=lambda: ModelSpec(name="toy-linear", config={"width": 7})
    )
    """The critic."""
    again: ModelSpec = field(default_factory=lambda: ModelSpec(name="toy-flag-holder"))
    """One of its own kind, whose default is one of its own kind."""
    inner: InnerConfig = field(default_factory=lambda: InnerConfig(needed=41))
    """The values."""


class Holder(families.Linear):
    """Holds models."""

    Config = HolderConfig

    @classmethod
    def example(cls):
        return HolderConfig(event=Unit(shape=(3,))), {"x": families.rows(8, 3)}

    default_stages = classmethod(lambda cls, config: stage("toy-least-squares"))
    default_sampler = sampled_by("toy-fixed")


def register():
    """Register the toys for this session, and open their group."""
    registry.register_group(GROUP, Estimator)
    configs = {"mean": MeanConfig, "median": MedianConfig, "sized": SizedConfig}
    for name, config in {**configs, "chain": ChainConfig, "link": ChainConfig}.items():
        made = type(name.title(), (Estimator,), {"Config": config})
        made.__doc__ = f"The {name}."
        genzoo.register(GROUP, name)(made)
    genzoo.register(GROUP, "bare")(type("Bare", (Estimator,), {}))
    genzoo.register("objectives", "toy-estimating")(Estimating)
    genzoo.register("samplers", "toy-drawn")(Drawn)
    genzoo.register("metrics", "toy-judged")(Judged)
    genzoo.register("datasets", "toy-estimated")(Estimated)
    genzoo.register("models", "toy-flag-holder")(Holder)


def settle(folder, monkeypatch):
    """Go to a folder with data, and register the toys."""
    monkeypatch.setattr(logging.getLogger("genzoo"), "handlers", [])
    monkeypatch.chdir(folder)
    monkeypatch.setenv("COLUMNS", "120")
    np.savez("rows.npz", x=ROWS)
    MADE.clear()
    register()


def run(line, code=0):
    """Run a command, and check how it leaves."""
    with pytest.raises(SystemExit) as left:
        main(line.split())
    assert left.value.code == code


def trained(flags, model="toy-linear", objective="--objective toy-estimating"):
    """Train, and return the recipe."""
    MADE.clear()
    run(f"train {model} --data rows.npz --output run {QUICK} {objective} {flags}")
    return tomllib.loads(Path("run", "recipe.toml").read_text("utf-8"))


def helped(line, capsys):
    """Return the help of a command on one line."""
    capsys.readouterr()
    run(f"{line} --help")
    return " ".join(capsys.readouterr().out.split())


def refused(line, capsys):
    """Return the error of a command, which has written nothing."""
    capsys.readouterr()
    run(line, code=2)
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert not Path("run").exists()
    return said
