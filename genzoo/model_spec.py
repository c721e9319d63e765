"""Models inside models."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Annotated, Any

from genzoo import registry
from genzoo.component import Component
from genzoo.config import Bounds, Config
from genzoo.errors import ConfigError, suggest
from genzoo.model import Model
from genzoo.spaces import Space
from genzoo.spec import DataInfo
from genzoo.stage import Stage

MAX_DEPTH = 2
_depth: ContextVar[int] = ContextVar("depth", default=0)


@dataclass(frozen=True, kw_only=True)
class ModelSpec(Config):
    """A zoo model inside another one, as a field of the outer model's config.

    The inner model is an ordinary submodule: its weights are stored with those of the outer model.

    Raises:
        ConfigError: No model is registered under the name.
    """

    name: Annotated[str, Bounds(1, 64)]
    """The registered name."""
    config: Mapping[str, Any] = field(default_factory=dict)
    """The fields of its config."""

    def __post_init__(self) -> None:
        super().__post_init__()
        known = registry.names("models")
        if self.name not in known:
            raise ConfigError(
                f"ModelSpec: no installed plugin has a model {self.name!r}. "
                f"{suggest(self.name, known)}"
            )

    @property
    def event(self) -> Space:
        """The model's event, from its config; nothing is built.

        Raises:
            ConfigError: Its config is refused, or models are nested more than two deep.
        """
        with _deeper(self.name):
            cls = registry.load("models", self.name)
            found: Space = cls.Config.from_dict(self.config).event
            return found

    def default_stages(self, where: str) -> tuple[Stage, ...]:
        """Return the model's default stages, as stages of the outer model; nothing is built.

        Arguments:
            where: The model's name in the outer one.

        Raises:
            ConfigError: Its config is refused, or models are nested more than two deep.
        """
        with _deeper(self.name):
            cls = registry.load("models", self.name)
            stages = cls.default_stages(cls.Config.from_dict(self.config))
        return tuple(
            dataclasses.replace(
                stage,
                model=where if stage.model is None else f"{where}.{stage.model}",
                inputs=tuple(f"{where}.{name}" for name in stage.inputs),
            )
            for stage in stages
        )

    def fitted(self, info: DataInfo) -> ModelSpec:
        """Return a copy whose config fits the data; values that are set take precedence.

        Raises:
            ConfigError: Its config is refused.
        """
        cls = registry.load("models", self.name)
        return ModelSpec(name=self.name, config=cls.configure(info, **self.config).to_dict())

    def build(self) -> Model:
        """Return a new model.

        Raises:
            ConfigError: Its config is refused, or models are nested more than two deep.
        """
        with _deeper(self.name):
            model: Model = registry.make("models", Component(name=self.name, config=self.config))
            return model


@contextlib.contextmanager
def _deeper(name: str) -> Iterator[None]:
    """Raise ConfigError if a model that is created inside is nested too deep."""
    depth = _depth.get() + 1
    if depth > MAX_DEPTH:
        raise ConfigError(f"{name!r} is nested {depth} deep; {MAX_DEPTH} are allowed.")
    outer = _depth.set(depth)
    try:
        yield
    finally:
        _depth.reset(outer)
