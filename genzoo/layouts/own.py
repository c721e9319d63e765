"""genzoo's own layouts: model files placed where another library looks for them too.

``config.json`` names them, so that loading, pushing and pulling know what belongs to the model.
These names are checked as untrusted input.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from genzoo.config import shown
from genzoo.errors import ConfigFileError
from genzoo.layouts.foreign import check_path
from genzoo.model_files import file_of

MAX_PLACES = 100
"""The maximum number of weight files, and of other files, in a layout."""
_PREFIX = re.compile(r"(?:[A-Za-z0-9_-]+\.)+")
_MOST_PREFIX = 200
_KEYS = {"weights", "files"}


@dataclass(frozen=True, kw_only=True)
class Layout:
    """The files of a model's tensors, and further files for another library.

    All other tensors stay in ``model.safetensors``, which does not exist if none is left. Files
    that are named here are never sharded; only ``model.safetensors`` is.

    Arguments:
        weights: Paths of safetensors files in the model's folder, such as
            ``unet/diffusion_pytorch_model.safetensors``, each with the prefix of its tensors'
            names in the model, such as ``network.unet.``, which is removed.
        files: The texts of other files by path, such as ``model_index.json``. They are pushed and
            pulled with the model, but loading does not read them. Their names must be those of
            JSON or plain text.
    """

    weights: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return its entry in ``config.json``; nothing for the default layout."""
        stated = {"weights": dict(self.weights), "files": sorted(self.files)}
        return {"layout": stated} if self.weights or self.files else {}


@dataclass(frozen=True, kw_only=True)
class Places:
    """The checked entry of a layout in ``config.json``.

    Arguments:
        weights: As in `Layout`.
        files: The paths of the other files.
    """

    weights: Mapping[str, str] = field(default_factory=dict)
    files: tuple[str, ...] = ()

    @property
    def paths(self) -> tuple[str, ...]:
        """All paths."""
        return (*self.weights, *self.files)

    @property
    def markers(self) -> tuple[str, ...]:
        """Files next to ``config.json`` by which another library recognises the folder."""
        return tuple(name for name in self.files if "/" not in name)


def places_in(description: Mapping[str, Any]) -> Places:
    """Return the paths in a description; none for the default layout.

    Raises:
        ConfigFileError: They are malformed, too many, in conflict, or lead out of the folder.
    """
    if "layout" not in description:
        return Places()
    found = description["layout"]
    if not isinstance(found, dict) or found.keys() != _KEYS:
        raise ConfigFileError(f"layout must hold weights and files, got {shown(found)}.")
    weights, files = found["weights"], found["files"]
    if not (isinstance(weights, dict) and isinstance(files, list)):
        raise ConfigFileError(
            f"layout must hold an object of weights and a list of files, got {shown(found)}."
        )
    if max(len(weights), len(files)) > MAX_PLACES or not (weights or files):
        raise ConfigFileError(
            f"layout names {len(weights)} files of weights and {len(files)} others; 1 to "
            f"{MAX_PLACES} are allowed."
        )
    _check_paths(weights, files)
    _check_prefixes(list(weights.values()))
    return Places(weights=weights, files=tuple(files))


def _check_paths(weights: Iterable[str], files: list[Any]) -> None:
    paths = [check_path(path) for path in (*weights, *files)]
    folders = {path.rpartition("/")[0] for path in paths}
    if len(set(map(str.lower, paths))) < len(paths) or folders & set(paths):
        raise ConfigFileError("layout names a file twice, or as a folder too.")
    for path in weights:
        _check_kind(path, "/" in path and path.endswith(".safetensors"), "safetensors in a folder")
    for path in files:
        _check_kind(path, path.endswith((".json", ".txt")), "JSON or plain text")


def _check_kind(path: str, fits: bool, kind: str) -> None:
    if not fits or file_of(path) is not None:
        raise ConfigFileError(f"layout names {path!r}, where a file of its own must be {kind}.")


def _check_prefixes(prefixes: list[Any]) -> None:
    for prefix in prefixes:
        plain = isinstance(prefix, str) and len(prefix) <= _MOST_PREFIX
        if not (plain and _PREFIX.fullmatch(prefix)):
            raise ConfigFileError(f"layout: {shown(prefix)} is not a prefix of tensors' names.")
    for first, second in zip(sorted(prefixes), sorted(prefixes)[1:], strict=False):
        if second.startswith(first):
            raise ConfigFileError(f"layout puts tensors of {second!r} into two files.")
