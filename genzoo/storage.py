"""Loading models: open, check, fill. A model folder is data, never code.

``open_model(source)`` reads the description of a model once; ``.check()`` builds it once on the
meta device and compares it with the headers of its weights; ``.fill()`` reads the weights. The
files come from a `ModelSource`: a local folder, or a commit of a Hub.
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
from genzoo.errors import ConfigFileError, WeightsError
from genzoo.layouts.foreign import (
    TranslatedModel,
    check_path_inside,
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
    """Abstract base class of the files of one model.

    Arguments:
        folder: Their folder, also before they are fetched.
        title: Its name in errors.
        commit: Their commit; empty for a local folder.
    """

    def __init__(self, folder: Path, title: str, commit: str = "") -> None:
        self.folder, self.title, self.commit = folder, title, commit

    @abc.abstractmethod
    def __contains__(self, name: object) -> bool:
        """Whether a name exists, as a file or anything else."""

    @abc.abstractmethod
    def names(self, folder: str) -> Iterable[str]:
        """Return the names of the files in a subfolder; "" is the model's folder."""

    @abc.abstractmethod
    def description(self) -> dict[str, Any]:
        """Return the content of ``config.json``.

        Raises:
            ConfigFileError: It is missing or malformed.
        """

    @abc.abstractmethod
    def file(self, name: str, most: int) -> Path:
        """Return the path of a file with a maximum size, fetched if necessary.

        Raises:
            LoadError: The file does not exist, or does not belong to the model.
            HubError: It is not available.
        """

    @abc.abstractmethod
    def has_file(self, name: str) -> bool:
        """Whether there is a file with this name that is not a link out of the folder.

        Raises:
            LoadError: It is a link out of the folder.
        """

    @abc.abstractmethod
    def header(self, name: str) -> Header:
        """Return the header of a weight file.

        Raises:
            WeightsError: It is malformed.
            HubError: It is not available.
        """

    @abc.abstractmethod
    def fetch(self, names: Iterable[str]) -> None:
        """Fetch weight files.

        Raises:
            HubError: A file is not available.
        """

    @abc.abstractmethod
    def is_here(self, names: Iterable[str]) -> bool:
        """Whether weight files are on this machine."""


class FolderSource(ModelSource):
    """A local folder.

    Arguments:
        folder: The folder.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        super().__init__(Path(folder), str(folder))

    def __contains__(self, name: object) -> bool:
        """Whether a name exists; broken links count, so that they are refused later."""
        return os.path.lexists(self.folder / str(name))

    def names(self, folder: str) -> Iterable[str]:
        return [path.name for path in (self.folder / folder).glob("*")]

    def description(self) -> dict[str, Any]:
        return read_description(self.folder)

    def file(self, name: str, most: int) -> Path:
        """Return the path of a file; its reader bounds the size."""
        path = check_path_inside(name, self.folder)
        if not path.is_file():
            raise ConfigFileError(f"{self.title!r} has no {name}. Fetch or save it again.")
        return path

    def has_file(self, name: str) -> bool:
        return check_path_inside(name, self.folder).is_file()

    def header(self, name: str) -> Header:
        return read_header(self.folder / name)

    def fetch(self, names: Iterable[str]) -> None:
        """Do nothing, because all files are here."""

    def is_here(self, names: Iterable[str]) -> bool:
        """Return True."""
        return True


class OpenModel(abc.ABC):
    """Abstract base class of a model of which only configs have been read.

    Arguments:
        source: Its files.
        places: The paths of its weights outside of the default layout.
    """

    def __init__(self, source: ModelSource, places: Places) -> None:
        self.source, self.places = source, places

    @property
    @abc.abstractmethod
    def description(self) -> dict[str, Any]:
        """The content of ``config.json``, real or derived."""

    @abc.abstractmethod
    def _plain_names(self) -> list[str]:
        """Return the weight files in the default layout."""

    @cached_property
    def weight_names(self) -> list[str]:
        """The weight files.

        Raises:
            WeightsError: One does not exist, or the index is malformed.
        """
        names = [*self._plain_names(), *self.places.weights]
        require_weights(self.source, names)
        return names

    @cached_property
    def weights(self) -> WeightFiles:
        """The weights, with their headers read.

        Raises:
            WeightsError: A header is malformed, a tensor is in two files, or a tensor is in a
                default file although its prefix belongs to another file.
        """
        folder, prefixes = self.source.folder, self.places.weights
        headers = ((folder / name, self.source.header(name)) for name in self.weight_names)
        own = {folder / name: prefix for name, prefix in prefixes.items()}
        files = WeightFiles(folder, headers, own)
        for name, (path, _, _) in files.headers.items():
            if path not in own and name.startswith(tuple(prefixes.values())):
                raise WeightsError(
                    f"{path}: the tensor {shown(name)} must be in another file, by the layout "
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
        """Build the model on the meta device, and compare it with the headers of its weights.

        Raises:
            LoadError: The config or the weights are refused, or do not fit together.
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
        """Fetch the weights; headers of remote files are checked against the config first.

        Raises:
            LoadError, UnknownNameError: As `check`.
            HubError: They are not available.
        """
        if self.resolved and not self.source.is_here(self.weight_names):
            self.check()
        self.source.fetch(self.weight_names)


class OwnModel(OpenModel):
    """A model in genzoo's layout, described by ``config.json``.

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
    """A model in another library's layout, translated by a registered format.

    Arguments:
        source: Its files.
        marker: The file that identifies the layout.
    """

    def __init__(self, source: ModelSource, marker: str) -> None:
        self._marker = marker
        self._foreign: TranslatedModel = read_foreign(marker, source.file, source.__contains__)
        super().__init__(source, Places(weights=self._foreign.weights))

    @cached_property
    def description(self) -> dict[str, Any]:
        """The content that ``config.json`` would have.

        Raises:
            WeightsError: The weights have several dtypes, or one that a model cannot have.
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
    """A model on the meta device that fits the headers of its weights.

    Arguments:
        opened: Its description.
        model: The model.
        expected: The stored tensors by name, on the meta device.
        tied: The second names of shared parameters, with the first names.
    """

    opened: OpenModel
    model: Model
    expected: Mapping[str, Tensor]
    tied: Mapping[str, str]

    def fill(self) -> Model:
        """Return the model with its weights, which are fetched if necessary.

        Headers that came from a Hub are read again from the fetched files, because a Hub might not
        send the same bytes twice.

        Raises:
            LoadError: A file cannot be read, has values that are not finite, or has changed.
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
    """Read the description of a model, in genzoo's layout or in that of a registered format.

    Raises:
        LoadError: A config is missing, malformed or not supported.
        HubError: A file is not available.
    """
    marker = marker_in(source, CONFIG.name)
    return OwnModel(source) if marker is None else ForeignModel(source, marker)


def plain_weights(source: ModelSource) -> list[str]:
    """Return the names of the weight files in the default layout: one, or those of an index.

    Raises:
        WeightsError: The index is malformed.
        LoadError: It is a link out of the folder.
    """
    if INDEX.name not in source:
        return [WEIGHTS.name]
    return read_index(source.file(INDEX.name, INDEX.max_bytes))


def require_weights(source: ModelSource, names: Iterable[str]) -> None:
    """Raise WeightsError if a weight file does not exist."""
    for name in names:
        if not source.has_file(name):
            stored = source.names(name.rpartition("/")[0])
            raise WeightsError(missing_weights(source.title, name, stored))


def _dtype_of(files: WeightFiles) -> str:
    """Return the dtype of a model's weights.

    Raises:
        WeightsError: They have several dtypes, or one that a model cannot have.
    """
    types = {dtype for _, dtype, _ in files.headers.values() if dtype.is_floating_point}
    dtypes = sorted(str(dtype).removeprefix("torch.") for dtype in types)
    if len(dtypes) != 1 or dtypes[0] not in DTYPES:
        raise WeightsError(
            f"The weights in {str(files.folder)!r} have the dtypes {', '.join(dtypes) or 'none'};"
            f" one of {', '.join(DTYPES)} is needed. Save them again."
        )
    return dtypes[0]
