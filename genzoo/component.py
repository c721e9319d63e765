"""Components: a registered class by its name, with the values of its config."""

from __future__ import annotations

import abc
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Generic

from genzoo.config import Bounds, C, Config


@dataclass(frozen=True, kw_only=True)
class Component(Config):
    """A registered class by its name, with the values of its config.

    `genzoo.plugin.make` makes an instance of it, `genzoo.plugin.describe` returns the
    component of an instance. In a config, a name is short for a component without values.

    >>> Component(name="cd", config={"num_steps": 3}).to_dict()
    {'name': 'cd', 'config': {'num_steps': 3}}
    """

    _short: ClassVar[str] = "name"

    name: Annotated[str, Bounds(1, 4096)]
    """The registered name; for data also a path or a repository."""
    config: Mapping[str, Any] = field(default_factory=dict)
    """The fields of its config that are set."""


@dataclass(frozen=True, kw_only=True)
class ComponentOverride(Config):
    """A user's change of a component: some of its values, or another component."""

    _short: ClassVar[str] = "name"

    name: Annotated[str | None, Bounds(1, 4096)] = None
    """The registered name; None keeps the prescribed one."""
    config: Mapping[str, Any] = field(default_factory=dict)
    """The fields of its config that are set."""

    def over(self, prescribed: Component | ComponentOverride) -> ComponentOverride:
        """Return the prescribed component with these values over its own.

        Another component takes nothing from it.
        """
        # The same learning rate means something else to another optimiser.
        if self.name in (None, prescribed.name):
            values = {**prescribed.config, **self.config}
            return ComponentOverride(name=prescribed.name, config=values)
        return self


class Configured(abc.ABC, Generic[C]):
    """What is made of the values of a config alone, such as a sampler; abstract.

    A subclass names the type of its config twice: ``class Gibbs(Sampler[GibbsConfig])`` is what
    type checkers see of ``self.config``, ``Config = GibbsConfig`` what is made at run time.

    Class attributes:
        Config: A frozen, keyword-only dataclass with bounds, whose fields all have defaults.

    Arguments:
        config: An instance of ``Config``; its defaults if it is left out.
    """

    Config: ClassVar[type[Config]]

    def __init__(self, config: C | None = None) -> None:
        given: Any = self.Config() if config is None else config
        self.config: C = given

    def __repr__(self) -> str:
        values = ", ".join(f"{key}={value!r}" for key, value in vars(self.config).items())
        return f"{type(self).__name__}({values})"
