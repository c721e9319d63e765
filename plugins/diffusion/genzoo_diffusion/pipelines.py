"""Pipelines of diffusers: which parts one must have, and what they come to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from genzoo.plugin import ConfigFileError, TranslatedModel, shown

MARKER = "model_index.json"
_ABSENT = (None, [None, None])


@dataclass(frozen=True, kw_only=True)
class Pipeline:
    """A kind of pipeline that can be read.

    Arguments:
        parts: Its parts, each with the library and the classes that it may be of.
        configs: The paths of the JSON files that are needed.
        texts: The paths of the files that are read as texts where they are there.
        translate: Returns what it is in the zoo, given what the files hold.
        refused: Parts that may not be there, and why.
        unused: Parts that may be there and have no say in what is drawn.
    """

    parts: Mapping[str, tuple[str, tuple[str, ...]]]
    configs: tuple[str, ...]
    texts: tuple[str, ...] = ()
    translate: Callable[[Mapping[str, Any]], TranslatedModel]
    refused: Mapping[str, str] = field(default_factory=dict)
    unused: tuple[str, ...] = ()

    def check(self, marker: Mapping[str, Any]) -> None:
        """Look at the parts that a repository says it has.

        Raises:
            ConfigFileError: One is missing, of another class, or more than this kind has.
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
            why = self.refused.get(name, "No part of that name is supported.")
            raise ConfigFileError(f"{MARKER}: {name} is {shown(value)}. {why}")


def fields(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return a part's config without what diffusers notes in it for itself."""
    return {name: value for name, value in config.items() if not name.startswith("_")}


def image_shape(path: str, unet: Mapping[str, Any]) -> list[Any]:
    """Return the (C, H, W) that a U-Net is for, which the model's own bounds check.

    Arguments:
        path: The path of its config.
        unet: What that holds.

    Raises:
        ConfigFileError: What comes out is not as large as what goes in, or has no size.
    """
    channels, size = unet.get("in_channels"), unet.get("sample_size")
    sides = size if isinstance(size, list) else [size, size]
    if channels != unet.get("out_channels") or size is None or len(sides) != 2:
        raise ConfigFileError(
            f"{path}: {shown(unet.get('out_channels'))} channels of {shown(channels)}, of the "
            f"size {shown(size)}. As many as go in must come out, and a size must be said."
        )
    return [channels, *sides]


def unit_space(shape: list[Any]) -> dict[str, Any]:
    """Return the stored form of images in [0, 1] of a shape, whose own bounds check it."""
    return {"name": "unit", "config": {"shape": shape}}
