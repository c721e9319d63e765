"""The arguments that several commands share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import tyro

from genzoo.cli.value_kinds import DATA, MODEL, name_of
from genzoo.config import Bounds, Config

Seed = Annotated[int, Bounds(0, 2**63 - 1)]


@dataclass(frozen=True, kw_only=True)
class Arguments(Config):
    """Abstract base class of the checked arguments of a command."""

    _title = "--"

    @classmethod
    def _where(cls, name: str) -> str:
        return super()._where(name).replace("_", "-")  # As the flag is typed.


@dataclass(frozen=True, kw_only=True)
class FromModel(Arguments):
    """Abstract base class of the arguments of a command that takes a model."""

    folder: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="MODEL"), MODEL]
    """The model folder, or a Hub repository: user/name."""
    revision: str | None = None
    """The branch, tag or commit of the repository."""


@dataclass(frozen=True, kw_only=True)
class OnData(Arguments):
    """Abstract base class of the arguments of a command that reads data."""

    data_name: Annotated[str | None, tyro.conf.arg(name="data"), DATA] = None
    """The data; by default the model's training data, with the same settings."""
    data_y_name: Annotated[str | None, tyro.conf.arg(name="data-y"), DATA] = None
    """The data of the second domain, for a model of two domains."""
    split: str | None = None
    """The split; by default "test", or the only one."""


@dataclass(frozen=True, kw_only=True)
class OnDevice(Arguments):
    """Abstract base class of the arguments of a command that computes."""

    device: str = "cpu"
    """The device, such as cuda."""


@dataclass(frozen=True, kw_only=True)
class WithConditions(Arguments):
    """Abstract base class of the arguments of a command that takes conditions."""

    condition: Annotated[tuple[str, ...], tyro.conf.UseAppendAction] = ()
    """The value of a condition: NAME=VALUE, or --condition.NAME VALUE."""
    label: Annotated[tuple[str, ...], tyro.conf.UseAppendAction] = ()
    """Short for --condition.label: the index or the name of a class."""
    text: Annotated[tuple[str, ...], tyro.conf.UseAppendAction] = ()
    """Short for --condition.text."""


@dataclass(frozen=True, kw_only=True)
class WithSampler(Arguments):
    """Abstract base class of the arguments of a command that draws samples."""

    sampler_name: Annotated[str | None, tyro.conf.arg(name="sampler"), name_of("samplers")] = None
    """The sampler (see genzoo list samplers); by default the model's own."""


@dataclass(frozen=True, kw_only=True)
class InProcesses(Arguments):
    """Abstract base class of the arguments of a command that runs in several processes."""

    num_processes: Annotated[int, Bounds(1, 10_000)] | None = None
    """The number of processes on this machine that share the work, each with an accelerator if
    there are any; by default one, or those that a launcher has started."""
