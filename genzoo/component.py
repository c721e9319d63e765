"""Components: a registered class by its name, with the values of its config."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

from genzoo.config import Bounds, Config


@dataclass(frozen=True, kw_only=True)
class Component(Config):
    """A registered class by its name, with the values of its config.

    `genzoo.registry.make` makes an instance of it, `genzoo.registry.describe` the other way round.

    >>> Component(name="cd", config={"num_steps": 3}).to_dict()
    {'name': 'cd', 'config': {'num_steps': 3}}
    """

    name: Annotated[str, Bounds(1, 4096)]
    """The registered name; for data also a path or a repository."""
    config: Mapping[str, Any] = field(default_factory=dict)
    """The fields that are given."""
