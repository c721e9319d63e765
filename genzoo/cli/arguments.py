"""The arguments of each command that no class of the zoo has a say in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import tyro

_RESOLVED_LATER = "See all fields with: genzoo train NAME --data DATA --help"


@dataclass(frozen=True, kw_only=True)
class TrainArguments:
    """Train a model: genzoo train NAME --data DATA --output DIR, or --recipe FILE.toml."""

    name: Annotated[str | None, tyro.conf.Positional] = None
    """The model (see genzoo list models). See its fields with: genzoo train NAME --data DATA --help"""
    output: Path
    """The folder of the run, where the trained model is written too."""
    data: str | None = None
    """A dataset's name, an array file, a folder of images, or a repository user/name."""
    recipe: Path | None = None
    """A recipe to make, instead of NAME and --data."""
    resume: bool = False
    """Go on with the run in --output, bit for bit."""
    overwrite: bool = False
    """Replace the run in --output."""


@dataclass(frozen=True, kw_only=True)
class SampleArguments:
    """Draw samples from a trained model into a picture or an array."""

    folder: Annotated[str, tyro.conf.Positional]
    """The model folder."""
    num: int
    """How many samples."""
    output: Path
    """FILE.png for a picture, FILE.npz for an array named x."""
    seed: int | None = None
    """Where the randomness comes from; a fresh one by default."""
    batch_size: int | None = None
    """Samples per block; for one size a seed gives the same samples whatever --num."""
    label: int | None = None
    """The label that a model conditioned on labels is given."""
    text: str | None = None
    """The text that a model conditioned on text is given."""
    device: str = "cpu"
    """Where to compute, such as cuda."""
    sampler: str | None = None
    """How to draw (see genzoo list samplers); the model's own way by default."""


@dataclass(frozen=True, kw_only=True)
class EvaluateArguments:
    """Judge a trained model on data."""

    folder: Annotated[str, tyro.conf.Positional]
    """The model folder."""
    data: str | None = None
    """The data, with the fields that they were trained with; those of the run by default."""
    split: str | None = None
    """The split; "test" by default, or the only one there is."""
    binarize: str | None = None
    """How grey data become 0/1: static, dynamic or threshold."""
    metrics: tuple[str, ...] = ()
    """Which (see genzoo list metrics); all that the model and the data allow by default."""
    json: Path | None = None
    """Write the figures with their receipt to this file too."""
    seed: int = 0
    """Where the estimators' randomness comes from."""
    max_examples: int = 10_000
    """At most so many rows are used."""
    device: str = "cpu"
    """Where to compute, such as cuda."""


@dataclass(frozen=True, kw_only=True)
class InspectArguments:
    """Say what a model folder holds, from its config and weight headers alone."""

    folder: Annotated[str, tyro.conf.Positional]
    """The model folder."""


@dataclass(frozen=True, kw_only=True)
class QuickstartArguments:
    """Train a model of handwritten digits, store it, load it, sample it and judge it."""

    output: Path = Path("quickstart")
    """The folder that everything is written to; an earlier quickstart there is replaced."""
    fast: bool = False
    """A tenth of the training, to see that everything works."""


@dataclass(frozen=True)
class Peeked:
    """What can be told of arguments before it is known which flags there are.

    Arguments:
        positional: The first argument, if it is no flag.
        flags: The values of the flags that name classes.
    """

    positional: str = ""
    flags: dict[str, str] = field(default_factory=dict)


def peek(
    args: Sequence[str], names: Sequence[str] = ("data", "objective", "sampler", "recipe")
) -> Peeked:
    """Find the flags that name classes, given as ``--flag value`` or ``--flag=value``."""
    found: dict[str, Any] = {}
    for i, argument in enumerate(args):
        flag, joined, value = argument.removeprefix("--").partition("=")
        if argument.startswith("--") and flag in names:
            found[flag] = value if joined else (args[i + 1] if i + 1 < len(args) else "")
    first = args[0] if args and not args[0].startswith("-") else ""
    return Peeked(first, found)
