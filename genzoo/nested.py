"""Models inside models."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

from genzoo import registry
from genzoo.config import Bounds, Config
from genzoo.errors import ConfigError
from genzoo.model import GenerativeModel, create_model

MAX_DEPTH = 2


@dataclass(frozen=True, kw_only=True)
class ModelSpec(Config):
    """A zoo model that another one holds: a field of the outer model's config.

    The inner model is an ordinary submodule: its weights are stored with the outer model's.

    Raises:
        ConfigError: The name is not a registered model's, or models are nested too deeply.
    """

    name: Annotated[str, Bounds(1, 64)]
    """The registered name."""
    config: Mapping[str, Any] = field(default_factory=dict)
    """The fields of its config."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.name not in registry.names("models"):
            raise ConfigError(f"ModelSpec: no installed plugin has a model {self.name!r}.")
        if _depth(self.config) >= MAX_DEPTH:
            raise ConfigError(
                f"Models are nested at most {MAX_DEPTH} deep; {self.name!r} is deeper."
            )

    def build(self) -> GenerativeModel:
        """Return a new model."""
        return create_model(self.name, **self.config)


def _depth(config: Any) -> int:
    """Return how many models are nested inside a config's values."""
    if not isinstance(config, Mapping):
        return 0
    inner = max((_depth(value) for value in config.values()), default=0)
    return inner + (set(config) == {"name", "config"})
