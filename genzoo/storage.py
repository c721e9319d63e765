"""Model folders read: config, weights in safetensors, card. A folder is data, never code."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from genzoo import plugin_hints, registry
from genzoo.config import Config, shown
from genzoo.errors import (
    ConfigError,
    ConfigFileError,
    LoadError,
    MissingDependencyError,
    UnknownNameError,
    WeightsError,
)
from genzoo.files import check_inside, read_text
from genzoo.foreign_fields import in_one_line
from genzoo.layouts.foreign import Foreign, check_path_inside, local_file, marker_in, read_foreign
from genzoo.layouts.own import Places, places_in
from genzoo.meta_init import build_empty, check_memory, materialize, tied_names
from genzoo.model import GenerativeModel
from genzoo.parsing import strict_json
from genzoo.weights import (
    Header,
    WeightFiles,
    check_finite,
    missing_weights,
    plain_weights,
    read_header,
)

FORMAT = 1
CONFIG_FILE, WEIGHTS_FILE, INDEX_FILE = (
    "config.json",
    "model.safetensors",
    "model.safetensors.index.json",
)
MAX_CONFIG_BYTES = 2**20
_KEYS = {"genzoo", "model", "plugin", "dtype", "config"}
_OPTIONAL = {"layout"}
_PLUGIN = {"distribution", "version"}
_DTYPES = ("float16", "bfloat16", "float32", "float64")
WEIGHT_FILES = r"model(-\d+-of-\d+)?\.safetensors(\.index\.json)?"


class GenModel:
    """The loader: name or folder → registry → class → config → weights."""

    @staticmethod
    def from_pretrained(
        source: str | os.PathLike[str],
        *,
        revision: str | None = None,
        subfolder: str | None = None,
        token: str | bool | None = None,
        cache_dir: str | os.PathLike[str] | None = None,
        verify: bool = False,
        device: torch.device | str = "cpu",
        dtype: torch.dtype | None = None,
    ) -> GenerativeModel:
        """Load a model, in eval mode, from a folder or from a repository of the Hub.

        Nothing of it is imported, unpickled or run: its config names a registered model, and its
        weights are safetensors. A repository's files all come from one commit and are held
        against the checksums that the Hub states.

        Arguments:
            source: A folder, or a repository ``user/name`` where there is no such folder.
            revision: The repository's branch, tag or commit; "main" by default. A full commit
                that is in the cache is loaded without a request.
            subfolder: The folder in it that holds the model.
            token: The token to ask with; None takes the one of HF_TOKEN or of ``hf auth login``,
                False none.
            cache_dir: Where fetched files are kept; None takes huggingface_hub's cache.
            verify: Whether fetched files are read in full even where they are known to be
                unchanged since they were.
            device: Where the model goes.
            dtype: The type its floating-point weights are turned into; as stored by default.

        Raises:
            LoadError: It is refused; the subclass and the message say why.
            HubError: It cannot be had from the Hub; the subclass and the message say why.
            UnknownNameError: No installed plugin registers the model.
            ConfigError: There is no such device here, or the source is malformed.
        """
        from genzoo.hub import local_folder

        device = check_device(device)
        folder = local_folder(
            source,
            revision=revision,
            subfolder=subfolder,
            token=token,
            cache_dir=cache_dir,
            verify=verify,
        )
        description, files = open_folder(folder)
        described = build_described(description, folder, files)
        state = files.read()
        check_finite(state, folder)
        model = described.filled(state)
        model.to(device=device, dtype=dtype)
        return model.eval()


@dataclass(frozen=True)
class Described:
    """A model on the meta device, built from its config, whose weights' headers fit it."""

    model: GenerativeModel
    config: Config
    tied: dict[str, str]

    def filled(self, state: dict[str, Tensor]) -> GenerativeModel:
        """Return the model with its weights."""
        materialize(self.model, type(self.model), self.config, state, self.tied)
        return self.model


def open_folder(folder: Path) -> tuple[dict[str, Any], WeightFiles]:
    """Return what a folder says its model is, and its weights with their headers read.

    The layout is our own or, where there is no ``config.json``, that of a registered format.

    Raises:
        LoadError: The config or a header is missing, malformed, or of a kind that is not
            supported.
    """
    known = (CONFIG_FILE, *registry.names("formats"))
    marker = marker_in([name for name in known if os.path.lexists(folder / name)], CONFIG_FILE)
    if marker is None:
        return open_own(folder)
    foreign = read_foreign(marker, local_file(folder), lambda name: os.path.lexists(folder / name))
    files = _local_weights(folder, [], foreign.weights)
    return describe_foreign(foreign, files, marker), files


def open_own(folder: Path) -> tuple[dict[str, Any], WeightFiles]:
    """Return the same of a folder in our own layout.

    Raises:
        LoadError: As `open_folder`.
    """
    description = read_description(folder)
    weights = places_in(description).weights
    plain = any(os.path.lexists(folder / name) for name in (WEIGHTS_FILE, INDEX_FILE))
    rest = plain_weights(folder, WEIGHTS_FILE, INDEX_FILE) if plain or not weights else []
    return description, _local_weights(folder, rest, weights)


def _local_weights(folder: Path, rest: Sequence[str], prefixes: Mapping[str, str]) -> WeightFiles:
    for name in prefixes:
        if not check_path_inside(name, folder).is_file():
            there = [path.name for path in (folder / name).parent.glob("*")]
            raise WeightsError(missing_weights(folder, name, there))
    return placed_weights(folder, rest, prefixes, lambda name: read_header(folder / name))


def placed_weights(
    folder: Path,
    rest: Sequence[str],
    prefixes: Mapping[str, str],
    header: Callable[[str], Header],
) -> WeightFiles:
    """Return the weights of a folder.

    Arguments:
        folder: Where they are, or will be.
        rest: Files whose tensors have the model's names.
        prefixes: The other files, with what stands before their tensors' names in the model.
        header: Reads the header of a file.

    Raises:
        WeightsError: A tensor stands in two files, or in one of ``rest`` though its name begins
            as those of another file.
    """
    names = [*rest, *prefixes]
    own = {folder / name: prefix for name, prefix in prefixes.items()}
    files = WeightFiles(folder, ((folder / name, header(name)) for name in names), own)
    for name, (path, _, _) in files.headers.items():
        if path not in own and name.startswith(tuple(prefixes.values())):
            raise WeightsError(
                f"{path}: the tensor {shown(name)} must stand in another file, by the layout in "
                f"{CONFIG_FILE}. Fetch or save the model again."
            )
    return files


def describe_foreign(foreign: Foreign, files: WeightFiles, marker: str) -> dict[str, Any]:
    """Return what ``config.json`` would say of a foreign folder's model.

    Raises:
        WeightsError: The weights are of several types, or of none that a model can have.
    """
    types = {dtype for _, dtype, _ in files.headers.values() if dtype.is_floating_point}
    dtypes = sorted(str(dtype).removeprefix("torch.") for dtype in types)
    if len(dtypes) != 1 or dtypes[0] not in _DTYPES:
        raise WeightsError(
            f"The weights in {str(files.folder)!r} are of the types {', '.join(dtypes) or 'none'};"
            f" one of {', '.join(_DTYPES)} is needed. Save them again."
        )
    distribution, version = registry.distribution_of("formats", marker)
    found = {
        "genzoo": FORMAT,
        "model": foreign.model,
        "plugin": {"distribution": distribution, "version": version},
        "dtype": dtypes[0],
        "config": dict(foreign.config),
    }
    return check_description(found, files.folder / marker)


def build_described(description: dict[str, Any], folder: Path, files: WeightFiles) -> Described:
    """Build a folder's model without memory, and hold the headers of its weights against it.

    Raises:
        LoadError: The config or the weights are refused, or do not fit each other.
        UnknownNameError: No installed plugin registers the model.
    """
    cls, config = resolve_description(description, folder)
    model = build_empty(cls, config, max_tensors=len(files.headers))
    _as_stored(model, description["dtype"])
    tied = tied_names(model)
    files.check({k: v for k, v in model.state_dict().items() if k not in tied})
    check_memory(model, files.num_bytes())
    return Described(model, config, tied)


def check_device(device: torch.device | str) -> torch.device:
    """Return the device, having tried it.

    Raises:
        ConfigError: It is not one, or this machine or this build of torch has none.
    """
    try:
        return torch.empty(0, device=device).device
    except (RuntimeError, NotImplementedError, AssertionError) as error:
        first = str(error).partition("\n")[0].partition(". ")[0]
        raise ConfigError(
            f"The device {str(device)!r} is not to be had: {first}. Use cpu, or install a build "
            "of torch for it."
        ) from error


def written_places(folder: Path) -> Places:
    """Return what the layout of a folder's model names; nothing where there is no sound config."""
    try:
        return places_in(read_description(folder))
    except LoadError:
        return Places()


def read_description(folder: Path) -> dict[str, Any]:
    """Read and check ``config.json``, strictly: no duplicate keys, no NaN, nothing unknown.

    Raises:
        ConfigFileError: It is missing or malformed.
    """
    path = folder / CONFIG_FILE
    if not folder.is_dir():
        raise ConfigFileError(f"There is no model folder {str(folder)!r}. Check the path.")
    check_inside(path, folder)
    try:
        found = strict_json(read_text(path, MAX_CONFIG_BYTES))
    except FileNotFoundError as error:
        raise ConfigFileError(
            f"{str(folder)!r} holds no {CONFIG_FILE}, so it is no model folder. A training run "
            "has one once it has ended; before that, go on with it by --resume."
        ) from error
    except (OSError, ValueError) as error:
        raise ConfigFileError(f"{path} cannot be read: {error}") from error
    return check_description(found, path)


def check_description(found: Any, path: Path) -> dict[str, Any]:
    """Return what ``config.json`` holds, having looked at it.

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
            "A newer one may read it: pip install --upgrade genzoo"
        )
    if not (isinstance(found["model"], str) and registry.NAME.fullmatch(found["model"])):
        raise ConfigFileError(f"{path}: {shown(found['model'])} is no name of a model.")
    if found["dtype"] not in _DTYPES:
        raise ConfigFileError(
            f"{path}: dtype is {shown(found['dtype'])}; {', '.join(_DTYPES)} exist."
        )
    if not isinstance(found["config"], dict):
        raise ConfigFileError(f"{path}: config must be an object, got {shown(found['config'])}.")
    plugin = found["plugin"]
    if not (isinstance(plugin, dict) and plugin.keys() == _PLUGIN and _are_texts(plugin.values())):
        raise ConfigFileError(
            f"{path}: plugin must hold the texts {', '.join(sorted(_PLUGIN))}, got "
            f"{shown(plugin)}."
        )
    try:
        places_in(found)
    except ConfigFileError as error:
        raise ConfigFileError(f"{path}: {error}") from error
    return found


def _are_texts(values: Iterable[Any]) -> bool:
    return all(isinstance(value, str) for value in values)


def resolve_description(
    description: dict[str, Any], folder: Path
) -> tuple[type[GenerativeModel], Config]:
    """Return the registered class and the checked config that a description names.

    Raises:
        UnknownNameError: No installed plugin registers the model.
        ConfigFileError: The config does not fit the class.
    """
    name, path = description["model"], folder / CONFIG_FILE
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
    except Exception as error:  # A plugin's own checks, of values that it did not think of.
        raise ConfigFileError(
            f"{path}: {cls.Config.__name__} cannot be made: {in_one_line(error)}."
        ) from error


def _as_stored(model: GenerativeModel, dtype: str) -> None:
    if model.dtype != getattr(torch, dtype):
        model.to(getattr(torch, dtype))
