"""Components: a registered class by its name, with the values of its config."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar

from genzoo.config import Bounds, Config


@dataclass(frozen=True, kw_only=True)
class Component(Config):
    """A registered class by its name, with the values of its config.

    `genzoo.registry.make` makes an instance of it, `genzoo.registry.describe` the other way round.
    Where a config has a component, its name alone is short for one without values.

    >>> Component(name="cd", config={"num_steps": 3}).to_dict()
    {'name': 'cd', 'config': {'num_steps': 3}}
    """

    _short: ClassVar[str] = "name"
    name: Annotated[str, Bounds(1, 4096)]
    """The registered name; for data also a path or a repository."""
    config: Mapping[str, Any] = field(default_factory=dict)
    """The fields that are given."""


@dataclass(frozen=True, kw_only=True)
class ComponentOverride(Config):
    """What a user changes of a component: some of its values, or the component itself."""

    _short: ClassVar[str] = "name"
    name: Annotated[str | None, Bounds(1, 4096)] = None
    """The registered name; None keeps the one that is prescribed."""
    config: Mapping[str, Any] = field(default_factory=dict)
    """The fields that are given."""

    def over(self, prescribed: Component | ComponentOverride) -> ComponentOverride:
        """Return what is prescribed with these values put over its own.

        Another component takes nothing from it: of another optimiser, say, the same learning
        rate means something else.
        """
        if self.name in (None, prescribed.name):
            values = {**prescribed.config, **self.config}
            return ComponentOverride(name=prescribed.name, config=values)
        return self
