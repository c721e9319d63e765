"""Checks of the spaces of images and rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from genzoo.plugin import ConfigError, Space


def without_levels(config: Any, given: Mapping[str, Any]) -> Any:
    """Return a config without grey levels.

    A network with outputs in [0, 1] does not hit grey levels exactly.

    Arguments:
        config: A model's config that fits the data.
        given: The fields that the user has given, which are kept.
    """
    found: dict[str, Any] = {"event": config.event.relaxed()}
    conditions = getattr(config, "conditions", {})
    if conditions:
        found["conditions"] = {name: space.relaxed() for name, space in conditions.items()}
    return replace(config, **{k: v for k, v in found.items() if k not in given})


def demand_image(space: Space, where: str) -> tuple[int, int, int]:
    """Return (C, H, W).

    Raises:
        ConfigError: The rows are not images.
    """
    if len(space.event_shape) != 3:
        raise ConfigError(
            f"{where} must be images of shape (C, H, W), got rows of shape {space.event_shape}. "
            "Reshape them, for example to (1, H, W) for grey images."
        )
    channels, height, width = space.event_shape
    return channels, height, width
