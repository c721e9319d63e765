"""Models loaded: open, check, fill. What is loaded is data, never code.

``open_model(source)`` reads what a model is, once; ``.check()`` builds it once on the meta device
and holds the headers of its weights against it; ``.fill()`` reads the weights. The files come from
a `ModelSource`: a folder here, or a commit of a Hub.
"""

from __future__ import annotations

import abc
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from genzoo import registry
from genzoo.config import Config, shown
from genzoo.description import (
    DTYPES,
    FORMAT,
    check_description,
    read_description,
    resolve_description,
)
from genzoo.errors import WeightsError
from genzoo.layouts.foreign import (
    TranslatedModel,
    check_path_inside,
    local_file,
    marker_in,
    read_foreign,
)
from genzoo.layouts.own import Places, places_in
from genzoo.meta_init import build_empty, check_memory, materialize, tied_names
from genzoo.model import Model
from genzoo.model_files import CONFIG, INDEX, WEIGHTS
from genzoo.weights import (
    Header,
    WeightFiles,
    check_finite,
    missing_weights,
    read_header,
    read_index,
)


class ModelSource(abc.ABC):
    """The files of one model, wherever they are; abstract.

    Arguments:
        folder: Where they are, or will be once they are fetched.
        title: What to call it in an error.
        commit: The commit that they are of; empty of a folder of this machine.
    """

    def __init__(self, folder: Path, title: str, commit: str = "") -> None:
        self.folder, self.title, self.commit = folder, title, commit

    @abc.abstractmethod
    def __contains__(self, name: object) -> bool:
        """Whether there is something of that name, of whatever kind."""

    @abc.abstractmethod
    def names(self, folder: str) -> Iterable[str]:
        """Return the names of the files in a folder of the model's; "" is the model's own."""

    @abc.abstractmethod
    def description(self) -> dict[str, Any]:
        """Return what ``config.json`` says.

        Raises:
            ConfigFileError: It is missing or malformed.
        """

    @abc.abstractmethod
    def file(self, name: str, most: int) -> Path:
        """Return the path of a file of at most so many bytes, fetched if need be.

        Raises:
            LoadError: There is no such file, or it is not one of the model's own.
            HubError: It is not available.
        """

    @abc.abstractmethod
    def has_file(self, name: str) -> bool:
        """Whether there is a file of that name, which leads nowhere else.

        Raises:
            LoadError: It is a link out of the folder.
        """

    @abc.abstractmethod
    def header(self, name: str) -> Header:
        """Return the header of a file of weights.

        Raises:
            WeightsError: It is malformed.
            HubError: It is not available.
        """

    @abc.abstractmethod
    def fetch(self, names: Iterable[str]) -> None:
        """Bring files of weights here.

        Raises:
            HubError: A file is not available.
        """

    @abc.abstractmethod
    def is_here(self, names: Iterable[str]) -> bool:
        """Whether files of weights are on this machine."""


class FolderSource(ModelSource):
    """A folder of this machine.

    Arguments:
        folder: The folder.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        super().__init__(Path(folder), str(folder))
        self._file = local_file(self.folder)

    def __contains__(self, name: object) -> bool:
        """Whether something has that name: a link that leads nowhere is refused, not passed by."""
        return os.path.lexists(self.folder / str(name))

    def names(self, folder: str) -> Iterable[str]:
        """Return the names of what is in a folder of the model's."""
        return [path.name for path in (self.folder / folder).glob("*")]

    def description(self) -> dict[str, Any]:
        """Return what ``config.json`` says."""
        return read_description(self.folder)

    def file(self, name: str, most: int) -> Path:
        """Return the path of a file; who reads it bounds what is read."""
        return self._file(name, most)

    def has_file(self, name: str) -> bool:
        """Whether there is a file of that name."""
        return check_path_inside(name, self.folder).is_file()

    def header(self, name: str) -> Header:
        """Return the header of a file of weights."""
        return read_header(self.folder / name)

    def fetch(self, names: Iterable[str]) -> None:
        """Do nothing: all files are here."""

    def is_here(self, names: Iterable[str]) -> bool:
        """Return True."""
        return True


class OpenModel(abc.ABC):
    """A model of which no more than its configs has been read; abstract.

    Arguments:
        source: Its files.
        places: Where its weights are, but for those in the plain layout.
    """

    def __init__(self, source: ModelSource, places: Places) -> None:
        self.source, self.places = source, places

    @property
    @abc.abstractmethod
    def description(self) -> dict[str, Any]:
        """The content of ``config.json``, real or derived."""

    @abc.abstractmethod
    def _plain_names(self) -> list[str]:
        """Return the files of weights in the plain layout."""

    @cached_property
    def weight_names(self) -> list[str]:
        """The files of weights.

        Raises:
            WeightsError: One is not there, or the index is malformed.
        """
        names = [*self._plain_names(), *self.places.weights]
        require_weights(self.source, names)
        return names

    @cached_property
    def weights(self) -> WeightFiles:
        """The weights, with their headers read.

        Raises:
            WeightsError: A header is malformed; a tensor stands in two files, or in one of the
                plain layout though its name begins as those of another file.
        """
        folder, prefixes = self.source.folder, self.places.weights
        headers = ((folder / name, self.source.header(name)) for name in self.weight_names)
        own = {folder / name: prefix for name, prefix in prefixes.items()}
        files = WeightFiles(folder, headers, own)
        for name, (path, _, _) in files.headers.items():
            if path not in own and name.startswith(tuple(prefixes.values())):
                raise WeightsError(
                    f"{path}: the tensor {shown(name)} must stand in another file, by the layout "
                    f"in {CONFIG.name}. Fetch or save the model again."
                )
        return files

    @cached_property
    def resolved(self) -> tuple[type[Model], Config]:
        """The registered class and the checked config.

        Raises:
            UnknownNameError: No installed plugin registers the model.
            ConfigFileError: The config does not fit the class.
        """
        return resolve_description(self.description, self.source.folder)

    def check(self) -> CheckedModel:
        """Build the model without memory, and hold the headers of its weights against it.

        Raises:
            LoadError: The config or the weights are refused, or do not fit each other.
            UnknownNameError: No installed plugin registers the model.
        """
        (cls, config), files = self.resolved, self.weights
        model = build_empty(cls, config, max_tensors=len(files.headers))
        dtype = getattr(torch, self.description["dtype"])
        if model.dtype != dtype:
            model.to(dtype)
        tied = tied_names(model)
        expected = {k: v for k, v in model.state_dict().items() if k not in tied}
        files.check(expected)
        check_memory(model, files.num_bytes())
        return CheckedModel(self, model, expected, tied)

    def fetch(self) -> None:
        """Bring the weights here; what is not here is checked against the config beforehand.

        Raises:
            LoadError, UnknownNameError: As `check`.
            HubError: They are not available.
        """
        if self.resolved and not self.source.is_here(self.weight_names):
            self.check()
        self.source.fetch(self.weight_names)


class OwnModel(OpenModel):
    """A model in our own layout: ``config.json`` says what it is.

    Arguments:
        source: Its files.
    """

    def __init__(self, source: ModelSource) -> None:
        self._description = source.description()
        super().__init__(source, places_in(self._description))

    @property
    def description(self) -> dict[str, Any]:
        """What ``config.json`` says."""
        return self._description

    def _plain_names(self) -> list[str]:
        there = any(name in self.source for name in (WEIGHTS.name, INDEX.name))
        return plain_weights(self.source) if there or not self.places.weights else []


class ForeignModel(OpenModel):
    """A model in another library's layout, which a registered format translates.

    Arguments:
        source: Its files.
        marker: The file by which the layout is known.
    """

    def __init__(self, source: ModelSource, marker: str) -> None:
        self._marker = marker
        self._foreign: TranslatedModel = read_foreign(marker, source.file, source.__contains__)
        super().__init__(source, Places(weights=self._foreign.weights))

    @cached_property
    def description(self) -> dict[str, Any]:
        """What ``config.json`` would say.

        Raises:
            WeightsError: The weights are of several types, or of none that a model can have.
        """
        distribution, version = registry.distribution_of("formats", self._marker)
        found = {
            "genzoo": FORMAT,
            "model": self._foreign.model,
            "plugin": {"distribution": distribution, "version": version},
            "dtype": _dtype_of(self.weights),
            "config": dict(self._foreign.config),
        }
        return check_description(found, self.source.folder / self._marker)

    def _plain_names(self) -> list[str]:
        return []


@dataclass(frozen=True)
class CheckedModel:
    """A model on the meta device, whose weights' headers fit it.

    Arguments:
        opened: What it was made of.
        model: The model.
        expected: The tensors that are stored, by name, without memory.
        tied: Names of parameters that are another one, with that one's name.
    """

    opened: OpenModel
    model: Model
    expected: Mapping[str, Tensor]
    tied: Mapping[str, str]

    def fill(self) -> Model:
        """Return the model with its weights, fetched where they are not here.

        Headers that a Hub was asked for are read again from the fetched files: nothing else says
        that it sent the same twice.

        Raises:
            LoadError: A file cannot be read, holds what is not finite, or is another one.
            HubError: A file is not available.
        """
        opened, source = self.opened, self.opened.source
        if not source.is_here(opened.weight_names):
            del opened.weights
        source.fetch(opened.weight_names)
        opened.weights.check(self.expected)
        state = opened.weights.read()
        check_finite(state, source.folder)
        cls, config = opened.resolved
        materialize(self.model, cls, config, state, self.tied)
        return self.model


def open_model(source: ModelSource) -> OpenModel:
    """Return a model whose configs are read: in our layout, or in that of a registered format.

    Raises:
        LoadError: A config is missing, malformed, or of a kind that is not supported.
        HubError: A file is not available.
    """
    marker = marker_in(source, CONFIG.name)
    return OwnModel(source) if marker is None else ForeignModel(source, marker)


def plain_weights(source: ModelSource) -> list[str]:
    """Return the names of the weight files in the plain layout: one, or those of an index.

    Raises:
        WeightsError: The index is malformed.
        LoadError: It is a link out of the folder.
    """
    if INDEX.name not in source:
        return [WEIGHTS.name]
    return read_index(source.file(INDEX.name, INDEX.max_bytes))


def require_weights(source: ModelSource, names: Iterable[str]) -> None:
    """Raise WeightsError where a weight file is not there."""
    for name in names:
        if not source.has_file(name):
            beside = source.names(name.rpartition("/")[0])
            raise WeightsError(missing_weights(source.title, name, beside))


def _dtype_of(files: WeightFiles) -> str:
    """Return the one type of a model's weights.

    Raises:
        WeightsError: They are of several types, or of none that a model can have.
    """
    types = {dtype for _, dtype, _ in files.headers.values() if dtype.is_floating_point}
    dtypes = sorted(str(dtype).removeprefix("torch.") for dtype in types)
    if len(dtypes) != 1 or dtypes[0] not in DTYPES:
        raise WeightsError(
            f"The weights in {str(files.folder)!r} are of the types {', '.join(dtypes) or 'none'};"
            f" one of {', '.join(DTYPES)} is needed. Save them again."
        )
    return dtypes[0]
