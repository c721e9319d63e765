"""The content of ``config.json``: read strictly, checked, and resolved to a class."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from genzoo import plugin_hints, registry
from genzoo.config import Config, shown
from genzoo.errors import (
    ConfigError,
    ConfigFileError,
    LoadError,
    MissingDependencyError,
    UnknownNameError,
)
from genzoo.foreign_fields import in_one_line
from genzoo.layouts.own import Places, places_in
from genzoo.model import Model
from genzoo.model_files import CONFIG
from genzoo.parsing import strict_json

FORMAT = 1
DTYPES = ("float16", "bfloat16", "float32", "float64")
_KEYS = {"genzoo", "model", "plugin", "dtype", "config"}
_OPTIONAL = {"layout"}
_PLUGIN = {"distribution", "version"}


def read_description(folder: Path) -> dict[str, Any]:
    """Read and check ``config.json``, strictly: no duplicate keys, no NaN, nothing unknown.

    Raises:
        ConfigFileError: It is missing or malformed.
    """
    path = folder / CONFIG.name
    if not folder.is_dir():
        raise ConfigFileError(f"There is no model folder {str(folder)!r}. Check the path.")
    try:
        found = strict_json(CONFIG.read_text(folder))
    except FileNotFoundError as error:
        raise ConfigFileError(
            f"{str(folder)!r} has no {CONFIG.name}, so it is not a model folder. A training run "
            "has one when it has ended; before that, resume it with --resume."
        ) from error
    except (OSError, ValueError) as error:
        raise ConfigFileError(f"{path} cannot be read: {error}") from error
    return check_description(found, path)


def check_description(found: Any, path: Path) -> dict[str, Any]:
    """Check and return the content of ``config.json``.

    Raises:
        ConfigFileError: It is malformed.
    """
    if not isinstance(found, dict):
        raise ConfigFileError(f"{path} must hold an object, got a {type(found).__name__}.")
    unknown, missing = sorted(found.keys() - _KEYS - _OPTIONAL), sorted(_KEYS - found.keys())
    if unknown or missing:
        raise ConfigFileError(
            f"{path} must hold {', '.join(sorted(_KEYS))}; unknown: {shown(unknown)}, missing: "
            f"{missing}."
        )
    if type(found["genzoo"]) is not int or found["genzoo"] != FORMAT:
        raise ConfigFileError(
            f"{path} has format {shown(found['genzoo'])}; this version of genzoo reads {FORMAT}. "
            "A newer version may read it: pip install --upgrade genzoo"
        )
    if not (isinstance(found["model"], str) and registry.NAME.fullmatch(found["model"])):
        raise ConfigFileError(f"{path}: {shown(found['model'])} is not the name of a model.")
    if found["dtype"] not in DTYPES:
        raise ConfigFileError(
            f"{path}: dtype is {shown(found['dtype'])}; {', '.join(DTYPES)} exist."
        )
    if not isinstance(found["config"], dict):
        raise ConfigFileError(f"{path}: config must be an object, got {shown(found['config'])}.")
    plugin = found["plugin"]
    fields = plugin.values() if isinstance(plugin, dict) and plugin.keys() == _PLUGIN else [None]
    if not all(isinstance(value, str) for value in fields):
        raise ConfigFileError(
            f"{path}: plugin must hold the texts {', '.join(sorted(_PLUGIN))}, got "
            f"{shown(plugin)}."
        )
    try:
        places_in(found)
    except ConfigFileError as error:
        raise ConfigFileError(f"{path}: {error}") from error
    return found


def resolve_description(
    description: Mapping[str, Any], folder: Path
) -> tuple[type[Model], Config]:
    """Return the registered class and the checked config that a description names.

    Raises:
        UnknownNameError: No installed plugin registers the model.
        ConfigFileError: The config does not fit the class.
    """
    name, path = description["model"], folder / CONFIG.name
    if all(entry.name != name for entry in registry.entries("models")):
        remedy = f"{path} asks for it. {plugin_hints.advice_for(name)}"
        raise UnknownNameError("model", name, registry.names("models"), remedy)
    cls = registry.load("models", name)
    try:
        return cls, cls.Config.from_dict(description["config"])
    except (LoadError, MissingDependencyError):
        raise
    except (ConfigError, UnknownNameError) as error:  # Of a space, or of a model in the model.
        raise ConfigFileError(f"{path}: {error}") from error
    except Exception as error:  # A plugin's own checks may raise anything.
        raise ConfigFileError(
            f"{path}: {cls.Config.__name__} cannot be made: {in_one_line(error)}."
        ) from error


def describe(model: Model) -> dict[str, Any]:
    """Return the content of ``config.json`` for a model, without its layout."""
    known = registry.describe(model)
    distribution, version = registry.distribution_of("models", known.name)
    return {
        "genzoo": FORMAT,
        "model": known.name,
        "plugin": {"distribution": distribution, "version": version},
        "dtype": str(model.dtype).removeprefix("torch."),
        "config": dict(known.config),
    }


def written_places(folder: Path) -> Places:
    """Return the paths in the layout of a folder's model; nothing if there is no valid config."""
    try:
        return places_in(read_description(folder))
    except LoadError:
        return Places()
