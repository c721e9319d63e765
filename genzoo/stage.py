"""Stages and recipes: what is trained, on which data and how, as values that a file can hold."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from genzoo.component import Component
from genzoo.config import Bounds, Config, shown
from genzoo.errors import ConfigError
from genzoo.markup import facts, folded
from genzoo.parsing import MAX_TOML_BYTES, strict_toml
from genzoo.training.config import TrainerConfig


@dataclass(frozen=True, kw_only=True)
class Stage(Config):
    """An objective with its training values and, where needed, the part of the model it trains.

    >>> Stage(model="second", inputs=("first",), objective="pcd").objective
    Component(name='pcd', config={})
    """

    objective: Component
    """What is minimised."""
    trainer: Mapping[str, Any] = field(default_factory=dict)
    """Fields of `TrainerConfig` that the paper prescribes; the user's values override them."""
    model: Annotated[str | None, Bounds(1, 4096)] = None
    """The nested model that the objective is for, by its dotted name; None means the whole model.
    Only this model is trained."""
    inputs: Annotated[tuple[Annotated[str, Bounds(1, 4096)], ...], Bounds(0, 16)] = ()
    """The nested models that the data pass through first, in order, by their dotted names. The
    stage's data are draws of the last one's codes, or their means if the codes are real numbers.
    If empty, the data are unchanged."""
    part: str | tuple[str, ...] = ""
    """The submodule of that model that is trained, or several, by their dotted names; if empty,
    the whole model."""

    def __post_init__(self) -> None:
        super().__post_init__()
        TrainerConfig.from_dict(self.trainer)


def stage_for(objective: str, own: Sequence[Stage]) -> Stage:
    """Return the stage of an objective that is named for a model.

    It is the model's stage with this objective, if there is one. Another objective trains the part
    of the model that its last stage trains, so that an autoencoder of a model of codes stays as it
    is.

    Arguments:
        objective: The name of the objective.
        own: The model's default stages.
    """
    known = [stage for stage in own if stage.objective.name == objective]
    if known:
        return known[0]
    last = own[-1] if own and own[-1].model is None else None
    return Stage(objective=Component(name=objective), part=last.part if last else "")


@dataclass(frozen=True, kw_only=True)
class Recipe(Config):
    """The definition of a run: the same recipe, versions and machine give the same model."""

    model: Component
    """The model, with the fields of its config that are set."""
    data: Component
    """The data, with the fields of their config."""
    data_y: Component | None = None
    """The data of the second domain, if there is one."""
    eval_data: Component | None = None
    """The held-out data of evaluations during training, if they are not a share of the data."""
    eval_split: Annotated[str, Bounds(1, 200)] | None = None
    """The split of these; None means "test", or the only one."""
    pretrained: Annotated[str | None, Bounds(1, 4096)] = None
    """The stored model that training starts from, a folder or a repository user/name; None starts
    from new weights."""
    revision: Annotated[str | None, Bounds(1, 200)] = None
    """The branch, tag or commit of that repository."""
    stages: tuple[Stage, ...] = ()
    """The stages in order; if empty, the model's default stages."""
    trainer: TrainerConfig = field(default_factory=TrainerConfig)
    """Training values for every stage."""
    factories: Mapping[str, str] | None = None
    """What functions in Python made (optimizer, lr_scheduler), in words. A recipe cannot hold such
    a function, so repeating the run needs the function again."""

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> Recipe:
        """Read a recipe from a TOML file.

        Raises:
            ConfigError: The file cannot be read, is not TOML, or is not a recipe.
        """
        try:
            with Path(path).open("rb") as file:
                values = strict_toml(file.read(MAX_TOML_BYTES + 1).decode("utf-8"))
        except FileNotFoundError as error:
            raise ConfigError(
                f"There is no recipe {os.fspath(path)!r}. Check the path."
            ) from error
        except (OSError, ValueError) as error:
            raise ConfigError(f"The recipe {os.fspath(path)!r} cannot be read: {error}") from error
        try:
            return cls.from_dict(values)
        except ConfigError as error:
            raise ConfigError(f"The recipe {os.fspath(path)!r}: {error}") from error

    def _repr_html_(self) -> str:
        objectives = ", ".join(stage.objective.name for stage in self.stages)
        found = {"model": self.model.name, "data": self.data.name, "objectives": objectives}
        return f"<div>{facts(found)}{folded('recipe', self.to_toml())}</div>"

    def to_toml(self) -> str:
        """Return the recipe as TOML; `read` returns an equal recipe.

        Raises:
            ConfigError: It contains a value that TOML cannot express.
        """
        import tomli_w  # What only reads recipes, as `genzoo list` does, does without it.

        return tomli_w.dumps(_storable(self.to_dict()))


def _storable(value: Any) -> Any:
    """Return a value without the entries that are None, checked: TOML knows more types than JSON.

    Raises:
        ConfigError: It contains a value that TOML, or a reader of 64 bits, cannot express.
    """
    if isinstance(value, Mapping):
        return {_text(k, "the key "): _storable(v) for k, v in value.items() if v is not None}
    if isinstance(value, (list, tuple)):
        return [_storable(item) for item in value]
    if isinstance(value, str):
        return _text(value, "the text ")
    if isinstance(value, float) or (isinstance(value, int) and value.bit_length() <= 64):
        return value
    raise ConfigError(
        f"A recipe cannot hold {shown(value)}: use texts, numbers, lists and tables."
    )


def _text(text: Any, what: str) -> str:
    if not isinstance(text, str):
        raise ConfigError(f"A recipe cannot hold {what}{shown(text)}: use a text.")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ConfigError(
            f"A recipe cannot hold {what}{text!r}: it is not Unicode. Leave that character out."
        ) from error
    return text
