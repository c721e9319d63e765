"""Models by name: created, or loaded from folders and repositories."""

from __future__ import annotations

import fnmatch
import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

import torch

from genzoo import registry
from genzoo.component import Component
from genzoo.data import Dataset, as_dataset
from genzoo.errors import ConfigError
from genzoo.hub.source import source_of
from genzoo.spaces import Space
from genzoo.storage import OpenModel, open_model

if TYPE_CHECKING:
    from genzoo.pretrained.generative_model import GenerativeModel


class GenModel:
    """The loader: name or repository → registry → class → config → weights."""

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

        Nothing in it is imported, unpickled or run: its config names a registered model, and its
        weights are safetensors. All files of a repository come from one commit and are compared
        with the Hub's checksums. Config and headers are checked before weights are fetched or
        read.

        Arguments:
            source: A folder, or a repository ``user/name`` if there is no such folder.
            revision: The branch, tag or commit of the repository; "main" by default. A full commit
                that is in the cache is loaded without a request.
            subfolder: The subfolder of the model.
            token: The access token; None means that of HF_TOKEN or of ``hf auth login``, False
                means none.
            cache_dir: The cache of fetched files; None means huggingface_hub's cache.
            verify: Whether fetched files are compared with their checksums again, even if they are
                unchanged since the last time.
            device: The device of the model.
            dtype: The dtype of its floating-point weights; as stored by default.

        Raises:
            LoadError: The model is refused; the subclass and the message say why.
            HubError: It is not available; the subclass and the message say why.
            UnknownNameError: No installed plugin registers the model.
            ConfigError: The device is not available, or the source is malformed.
        """
        device = check_device(device)
        with source_of(
            source,
            revision=revision,
            subfolder=subfolder,
            token=token,
            cache_dir=cache_dir,
            verify=verify,
        ) as files:
            return fill(open_model(files), device, dtype)


def fill(
    opened: OpenModel, device: torch.device, dtype: torch.dtype | None = None
) -> GenerativeModel:
    """Check an open model, and return it with its weights, in eval mode.

    Raises:
        LoadError, HubError, UnknownNameError: As `GenModel.from_pretrained`.
    """
    model = opened.check().fill()
    model.to(device=device, dtype=dtype)
    return cast(
        "GenerativeModel", model.eval()
    )  # The registry has only such classes in this group.


def check_device(device: torch.device | str) -> torch.device:
    """Check that a device works, and return it.

    Raises:
        ConfigError: It is not a device, or it is not available.
    """
    try:
        return torch.empty(0, device=device).device
    except (RuntimeError, NotImplementedError, AssertionError) as error:
        first = str(error).partition("\n")[0].partition(". ")[0]
        raise ConfigError(
            f"Device {str(device)!r} is not available: {first}. Use cpu, or install a build "
            "of torch for it."
        ) from error


def create_model(
    name: str,
    *,
    data: Dataset | Any = None,
    conditions: Sequence[str] | Mapping[str, Space] | None = None,
    **config: Any,
) -> GenerativeModel:
    """Create a model by its registered name from the fields of its config.

    Arguments:
        name: The registered name.
        data: A dataset, or what `genzoo.data.as_dataset` takes. Fields that are not given are
            fitted to it, as ``genzoo train`` does.
        conditions: With data, the names of the fields that the model is conditioned on. Without
            data, the space of each condition.
        config: Fields of the model's config.

    Raises:
        UnknownNameError: No model has this name.
        ConfigError: A field is unknown, or a value is out of bounds.
        DataError: The model does not support the data, or they lack a condition.
    """
    if data is not None:
        cls = registry.load("models", name)
        names = None if conditions is None else tuple(conditions)
        fitted: GenerativeModel = cls(cls.configure(as_dataset(data).info, names, **config))
        return fitted
    given = config if conditions is None else {**config, "conditions": conditions}
    model: GenerativeModel = registry.make("models", Component(name=name, config=given))
    return model


def list_models(pattern: str = "*") -> list[str]:
    """Return the names of registered models without importing any.

    Arguments:
        pattern: A pattern that names must match, such as "*gan*".
    """
    return fnmatch.filter(registry.names("models"), pattern)
