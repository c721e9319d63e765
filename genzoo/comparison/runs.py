"""The runs of a comparison: finished runs, or model folders."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from genzoo.errors import ConfigError, GenzooError, LoadError
from genzoo.evaluation.reading import Stored, read_stored
from genzoo.evaluation.storing import weights_sha256
from genzoo.hub import names_repository
from genzoo.model import Model
from genzoo.model_files import CONFIG, RECIPE
from genzoo.pretrained.loading import check_device
from genzoo.report.log import Log, read_log
from genzoo.stage import Recipe
from genzoo.storage import FolderSource, open_model


@dataclass(frozen=True)
class Run:
    """A finished run, or a model folder.

    Arguments:
        folder: The folder.
        model: The model without its weights.
        family: The model's registered name.
    """

    folder: Path
    model: Model
    family: str

    @cached_property
    def stored(self) -> tuple[list[Stored], list[str]]:
        """The evaluations in the folder of its present weights, and sentences on others."""
        found, notes = read_stored(self.folder)
        own = [s for s in found if s.weights in ("", weights_sha256(self.folder))]
        old = [s.path.name for s in found if s not in own]
        said = [f"{self.folder}: {name} is of earlier weights, and is not shown." for name in old]
        return own, [*said, *notes]

    @cached_property
    def log(self) -> Log:
        """The log of its training; empty if there is none."""
        return read_log(self.folder)

    @cached_property
    def objectives(self) -> tuple[str, ...]:
        """The objective of each stage, if its recipe says so."""
        try:
            return tuple(s.objective.name for s in Recipe.read(self.folder / RECIPE.name).stages)
        except GenzooError:
            return ()

    def load(self, device: str) -> Model:
        """Return the model with its weights.

        Raises:
            LoadError: They are refused.
        """
        found = check_device(device)
        return open_model(FolderSource(self.folder)).check().fill().eval().to(found)

    @property
    def parameters(self) -> int:
        """The number of parameters."""
        return sum(parameter.numel() for parameter in self.model.parameters())


def open_runs(folders: Sequence[str | os.PathLike[str]]) -> dict[str, Run]:
    """Return the runs by names that distinguish them.

    Raises:
        ConfigError: There are fewer than two, one is named twice, or their events differ.
        LoadError: A folder has no finished run.
    """
    if isinstance(folders, (str, os.PathLike)) or len(folders) < 2:
        given = [folders] if isinstance(folders, (str, os.PathLike)) else folders
        raise ConfigError(
            f"A comparison needs at least two runs, got {', '.join(map(str, given)) or 'none'}. "
            "Name more folders."
        )
    seen: dict[str, str] = {}
    for folder in map(str, folders):
        real = os.path.realpath(folder)
        if real in seen:
            raise ConfigError(f"{folder!r} is named twice. Name each run once.")
        seen[real] = folder
    runs = {str(folder): _opened(Path(folder)) for folder in folders}
    _demand_equal_events(runs)
    return dict(zip(_short(list(seen)), runs.values(), strict=True))


def _opened(folder: Path) -> Run:
    if names_repository(str(folder)):
        raise LoadError(
            f"{str(folder)!r} is not a folder. Runs are compared on this machine: fetch a "
            "repository with genzoo pull first."
        )
    if not (folder / CONFIG.name).is_file() and (folder / RECIPE.name).is_file():
        raise LoadError(f"{str(folder)!r} is a run without a model yet. Compare it when it ends.")
    try:
        opened = open_model(FolderSource(folder))
        return Run(folder, opened.check().model, opened.description["model"])
    except LoadError as error:
        raise LoadError(f"{str(folder)!r} is not a run or a model: {error}") from error


def _demand_equal_events(runs: Mapping[str, Run]) -> None:
    (first, a), *others = runs.items()
    for name, b in others:
        shapes = [(run.model.event_field, run.model.event.event_shape) for run in (a, b)]
        if shapes[0] != shapes[1]:
            raise ConfigError(
                f"{first!r} models {a.model.event}, {name!r} models {b.model.event}: figures of "
                "different events are not comparable. Compare runs on the same data."
            )


def _short(paths: Sequence[str]) -> list[str]:
    """Return the last parts of paths, as many as distinguish them.

    >>> _short(["/runs/a/best", "/runs/b/best", "/runs/c"])
    ['a/best', 'b/best', 'c']
    """
    names = []
    for path in paths:
        parts, num = Path(path).parts, 1
        while sum(Path(other).parts[-num:] == parts[-num:] for other in paths) > 1:
            num += 1
        names.append("/".join(parts[-num:]))
    return names
