"""The files of a model folder in one table."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from genzoo.files import check_inside, read_text


@dataclass(frozen=True)
class ModelFile:
    """A file of a model folder, or several with one pattern.

    Arguments:
        name: Its name, or a title for several files.
        pushed: Whether it is part of a repository, so it is pushed and pulled.
        cleared: Whether it is removed when a new run replaces the one in the folder.
        max_bytes: Its maximum size; 0 for a file that is read in pieces, each bounded by its
            reader.
        pattern: A regular expression for the names of several files.
    """

    name: str
    pushed: bool
    cleared: bool
    max_bytes: int = 0
    pattern: str = ""

    def matches(self, name: str) -> bool:
        """Whether a file name belongs to this row."""
        return re.fullmatch(self.pattern or re.escape(self.name), name) is not None

    def read_text(self, folder: Path) -> str:
        """Return the file of a folder as a text.

        Raises:
            LoadError: It is a link that leads out of the folder.
            OSError: It cannot be read.
            ValueError: It is not a plain file, is too large, or is not UTF-8.
        """
        check_inside(folder / self.name, folder)
        return read_text(folder / self.name, self.max_bytes)


_MIB = 2**20

# What is pushed.                 pushed cleared  max_bytes
CONFIG = ModelFile("config.json", True, True, _MIB)
WEIGHTS = ModelFile("model.safetensors", True, True)
SHARDS = ModelFile("shards", True, True, pattern=r"model-\d+-of-\d+\.safetensors")
INDEX = ModelFile("model.safetensors.index.json", True, True, _MIB)
CARD = ModelFile("README.md", True, True, 1_000_000)
RECIPE = ModelFile("recipe.toml", True, True, _MIB)
EVALUATION = ModelFile("evaluation.json", True, True, 4_000_000)
SAMPLES = ModelFile("samples.png", True, False, 20_000_000)
PICTURES = ModelFile(
    "pictures", True, False, 20_000_000, pattern=r"[A-Za-z0-9_][A-Za-z0-9_-]*\.png"
)
# What stays here.
EVALUATIONS = ModelFile("evaluations", False, True, _MIB, r"evaluation.*\.json")
ENVIRONMENT = ModelFile("environment.json", False, True, _MIB)
METRICS = ModelFile("metrics.jsonl", False, True, 2**28)
MEANINGS = ModelFile("meanings.json", False, True, _MIB)
STATUS = ModelFile("status.json", False, True, _MIB)
REPORT = ModelFile("report.html", False, True)
CHECKPOINTS = ModelFile("checkpoints", False, True)
PROGRESS = ModelFile("samples", False, True)
BEST = ModelFile("best", False, True)
LAST = ModelFile("last", False, True)
EMA_SNAPSHOTS = ModelFile("ema-snapshots", False, True)
EMA = ModelFile("ema", False, True)
EMA_FIGURES = ModelFile("ema.json", False, True, 4_000_000)
TRACKERS = ModelFile("genzoo", False, False)
LOCK = ModelFile(".lock", False, False)
# Weights under a name that this version does not use.
LEFTOVERS = ModelFile("other weights", False, True, pattern=r"model.*\.safetensors.*")

TABLE = (
    *(CONFIG, WEIGHTS, SHARDS, INDEX, CARD, RECIPE, EVALUATION, SAMPLES, PICTURES),
    *(
        EVALUATIONS,
        ENVIRONMENT,
        METRICS,
        MEANINGS,
        STATUS,
        REPORT,
        CHECKPOINTS,
        PROGRESS,
        BEST,
        LAST,
        EMA_SNAPSHOTS,
        EMA,
        EMA_FIGURES,
    ),
    *(TRACKERS, LOCK, LEFTOVERS),
)
"""All files. If two rows match a name, the first counts."""
LOADED = (CONFIG, WEIGHTS, SHARDS, INDEX)
"""The files that a model is loaded from, if its layout does not name more."""
MAX_LAYOUT_BYTES = 2**25
"""The maximum size of a file that ``config.json`` names for another library."""


def file_of(name: str) -> ModelFile | None:
    """Return the row of the table for a file name, or None if a model folder has no such file.

    >>> file_of("model-00001-of-00002.safetensors") is SHARDS, file_of("notes.txt")
    (True, None)
    """
    return next((file for file in TABLE if file.matches(name)), None)


def is_pushed(name: str) -> bool:
    """Whether a file of this name is part of a repository."""
    file = file_of(name)
    return file is not None and file.pushed


def pattern_of(files: Iterable[ModelFile]) -> str:
    """Return a regular expression for the names of files."""
    return "|".join(file.pattern or re.escape(file.name) for file in files)
