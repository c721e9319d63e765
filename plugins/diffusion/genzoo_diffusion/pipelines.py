"""Kinds of pipelines of diffusers: their parts, and their translation."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from genzoo.plugin import ConfigFileError, TranslatedModel, shown

MARKER = "model_index.json"
_ABSENT = (None, [None, None])


@dataclass(frozen=True, kw_only=True)
class Pipeline:
    """A kind of pipeline that can be loaded.

    Arguments:
        parts: Its parts, each with the library and the allowed classes.
        configs: The paths of the required JSON files.
        texts: The paths of optional text files.
        translate: Returns the config of the model, given the contents of the files.
        refused: Parts that are not allowed, and why.
        unused: Parts that are allowed and do not affect samples.
    """

    parts: Mapping[str, tuple[str, tuple[str, ...]]]
    configs: tuple[str, ...]
    texts: tuple[str, ...] = ()
    translate: Callable[[Mapping[str, Any]], TranslatedModel]
    refused: Mapping[str, str] = field(default_factory=dict)
    unused: tuple[str, ...] = ()

    def check(self, marker: Mapping[str, Any]) -> None:
        """Check the parts of a repository.

        Raises:
            ConfigFileError: A part is missing, has another class, or is not supported.
        """
        for name, (library, classes) in self.parts.items():
            if marker.get(name) not in [[library, each] for each in classes]:
                raise ConfigFileError(
                    f"{MARKER}: {name} is {shown(marker.get(name))}, which is not supported. "
                    f"{' or '.join(classes)} of {library} is."
                )
        for name, value in marker.items():
            if value not in _ABSENT and isinstance(value, list):
                self._check_known(name, value)

    def _check_known(self, name: str, value: Any) -> None:
        if name not in {*self.parts, *self.unused}:
            why = self.refused.get(name, "A part of that name is not supported.")
            raise ConfigFileError(f"{MARKER}: {name} is {shown(value)}. {why}")


def fields(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return a part's config without diffusers' private entries."""
    return {name: value for name, value in config.items() if not name.startswith("_")}


def image_shape(path: str, unet: Mapping[str, Any]) -> list[Any]:
    """Return the (C, H, W) of a U-Net, which the model's bounds check.

    Arguments:
        path: The path of its config.
        unet: Its contents.

    Raises:
        ConfigFileError: Input and output have different sizes, or the size is missing.
    """
    channels, size = unet.get("in_channels"), unet.get("sample_size")
    sides = size if isinstance(size, list) else [size, size]
    if channels != unet.get("out_channels") or size is None or len(sides) != 2:
        raise ConfigFileError(
            f"{path}: {shown(unet.get('out_channels'))} channels of {shown(channels)}, with "
            f"size {shown(size)}. Input and output must have equal channels, and a size is needed."
        )
    return [channels, *sides]


def unit_space(shape: list[Any]) -> dict[str, Any]:
    """Return the stored form of images in [0, 1] of a shape."""
    return {"name": "unit", "config": {"shape": shape}}
