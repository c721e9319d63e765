"""The fixed arguments of the commands that describe and share a model."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from genzoo.cli.common_arguments import Arguments, OnDevice, Seed, WithConditions, WithSampler
from genzoo.cli.value_kinds import DATA, FOLDER, ValueKind
from genzoo.config import Bounds

_Samples = Annotated[int, Bounds(0, 10_000)]


@dataclass(frozen=True, kw_only=True)
class CardArguments(WithSampler, WithConditions, OnDevice):
    """Write a model folder's card, README.md, and its picture of samples, samples.png."""

    folder: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="FOLDER"), FOLDER]
    """The model folder."""
    license: str | None = None
    """The licence, such as apache-2.0; by default that of the existing card."""
    name: str | None = None
    """The title of the model; by default that of the existing card, or the folder's name."""
    source: str | None = None
    """The repository or folder in the card's example; by default that of the existing card, or the
    folder's name."""
    num: _Samples = 36
    """The number of samples in the picture; 0 leaves the picture unchanged."""
    seed: Seed = 0
    """The seed of the samples."""


@dataclass(frozen=True, kw_only=True)
class PushArguments(Arguments):
    """Push a model folder to a Hub repository in one commit."""

    folder: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="FOLDER"), FOLDER]
    """The model folder."""
    repository: Annotated[
        str,
        tyro.conf.Positional,
        tyro.conf.arg(metavar="USER/NAME"),
        ValueKind("user/name"),
    ]
    """The repository; created if it does not exist."""
    private: bool = False
    """Create a private repository; by default as your account's settings say."""
    revision: str | None = None
    """The branch, created if it does not exist; "main" by default."""
    license: str | None = None
    """The licence for the model's card, such as mit; by default that of the existing card."""
    message: str | None = None
    """The message of the commit."""
    samples: _Samples = 36
    """The number of samples in the picture that is drawn if the folder has no samples.png; 0 for
    none."""


@dataclass(frozen=True, kw_only=True)
class PublishArguments:
    """Push model folders, each to a repository with the folder's name."""

    folders: Annotated[
        tuple[Path, ...],
        tyro.conf.Positional,
        tyro.conf.arg(metavar="FOLDER"),
        ValueKind("folders", paths="folders"),
    ]
    """The model folders; files among them, as from folder/*, are ignored."""
    namespace: str | None = None
    """The user or organisation; by default yourself."""
    private: bool = False
    """Create private repositories; by default as your account's settings say."""


@dataclass(frozen=True, kw_only=True)
class PullArguments:
    """Copy a model from the Hub into a folder, with its card, recipe, figures and pictures."""

    repository: Annotated[
        str,
        tyro.conf.Positional,
        tyro.conf.arg(metavar="USER/NAME"),
        ValueKind("user/name"),
    ]
    """The repository."""
    folder: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="FOLDER"), FOLDER]
    """The destination; created if it does not exist."""
    revision: str | None = None
    """The branch, tag or commit; "main" by default."""
    overwrite: bool = False
    """Replace the model in the folder."""


@dataclass(frozen=True, kw_only=True)
class DataArguments(Arguments):
    """Write a dataset as shards with a card, to be streamed: genzoo data export NAME.

    The rows that are streamed back (--data FOLDER --data.streaming) are equal. The folder can be
    pushed to the Hub as a dataset.
    """

    action: Annotated[Literal["export"], tyro.conf.Positional, tyro.conf.arg(metavar="export")]
    """What is done: export writes shards."""
    data_name: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="DATA"), DATA]
    """The dataset, a path or user/name."""
    output: Annotated[Path, FOLDER]
    """The folder, which must not exist."""
    format: Literal["parquet", "webdataset"] = "parquet"
    """The format of the shards."""
    split: str | None = None
    """The split; by default all."""
    shard_rows: Annotated[int, Bounds(1, 10**9)] = 10_000
    """The most rows of a shard."""
