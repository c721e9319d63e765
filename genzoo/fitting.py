"""Checks that data fit a model: the spaces of its event and of its conditions."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from genzoo import registry
from genzoo.config import field_types, shown
from genzoo.errors import ConfigError, DataError, PluginError
from genzoo.spaces import Space
from genzoo.spec import DataInfo

if TYPE_CHECKING:
    from genzoo.model import Model

logger = logging.getLogger("genzoo")


def fitted(cls: type[Model], info: DataInfo, conditions: Sequence[str] | None) -> dict[str, Any]:
    """Return the fields of a model's config that follow from the data.

    Raises:
        DataError: The data lack a field, or the class does not support its space.
        ConfigError: The class does not support such a condition, or lacks one that it needs.
    """
    cls.check_event(info)
    names = tuple(cls.needs if conditions is None else conditions)
    known, spaces = field_types(cls.Config), _chosen(cls, info, names)
    # If a config derives its conditions, they are a property and not a field.
    derived = getattr(cls.Config, "conditions", None) is not None
    if names and "conditions" not in known and not derived:
        raise ConfigError(
            f"{cls.__name__} takes no condition, got {', '.join(names)}. Leave them out."
        )
    check_spaces(cls, info[cls.event_field], spaces)
    found = {"event": info[cls.event_field], "conditions": spaces}
    return {name: value for name, value in found.items() if name in known}


def _chosen(cls: type[Model], info: DataInfo, names: Sequence[str]) -> dict[str, Space]:
    for name in (*names, *cls.needs):
        if name not in info:
            raise DataError(_no_field(cls, name, info))
        if name == cls.event_field:
            raise ConfigError(
                f"{cls.__name__} models {name}, which cannot be its condition too. Leave it out."
            )
    return {name: info[name] for name in names}


def check_spaces(cls: type[Model], event: Space, conditions: Mapping[str, Space]) -> None:
    """Raise ConfigError if a class does not support a space of its event or conditions."""
    who = cls.__name__
    if not isinstance(event, cls.event_spaces):
        raise ConfigError(
            f"{who} models {titles(cls.event_spaces)} data, not {event.describe()}. Give an event "
            "of such a space, or choose another model (genzoo list models)."
        )
    for name in cls.needs:
        if name not in conditions:
            raise ConfigError(f"{who} needs the condition {name}. Add it to {list(conditions)}.")
    for name, space in conditions.items():
        if not isinstance(space, cls.condition_spaces):
            raise ConfigError(
                f"{who} takes {titles(cls.condition_spaces) or 'no'} conditions; {name} is "
                f"{space.describe()}. Leave it out, or choose another model (genzoo list models)."
            )


def check_nulls(model: Model) -> None:
    """Raise ConfigError if a model drops conditions whose space has no null."""
    for name, space in model.conditions.items():
        if model.takes_null and space.null is None:
            raise ConfigError(
                f"{type(model).__name__} drops its conditions in training; {name} is "
                f'{space.describe()}, which has no value for "not given". Give '
                "condition_dropout 0."
            )


def check_event(cls: type[Model], info: DataInfo) -> None:
    """Raise DataError if a class cannot model data of this space."""
    space = info[cls.event_field]
    if isinstance(space, cls.event_spaces):
        return
    low, high = _range(info, cls.event_field)
    remedy = _made_from(cls.event_spaces, info, cls.event_field)
    where = "" if math.isinf(low) and math.isinf(high) else f", in [{low:g}, {high:g}]"
    raise DataError(
        f"{cls.__name__} models {titles(cls.event_spaces)} data; these are "
        f"{titles([type(space)])}{where}. "
        f"{remedy or 'Convert the data, or choose another model (genzoo list models).'}"
    )


def check_data(model: Model, info: DataInfo) -> None:
    """Raise DataError unless the data can be used to train or evaluate the model."""
    who = type(model).__name__
    model.check_event(info)
    for name, space in model.conditions.items():
        if name not in info:
            raise DataError(_no_field(type(model), name, info))
        if reason := space.accepts(info[name]):
            raise DataError(
                f"{who} has the condition {name}, {space.describe()}; these data do not fit: "
                f"{reason}. Create the model for these data."
            )
        _check_names(name, space.value_names(), info[name].value_names())
    if "y" in info and "y" not in (*model.conditions, model.event_field):
        raise DataError(
            f"{who} models one domain; these data have a second one. Leave --data-y out, or "
            "name data of one domain."
        )
    space = info[model.event_field]
    if reason := model.event.accepts(space):
        other = [] if isinstance(space, type(model.event)) else [type(model.event)]
        remedy = _made_from(other, info, model.event_field) or "Reshape or convert the data."
        raise DataError(
            f"{who} models {model.event.describe()}; these data do not fit: {reason}. {remedy} Or "
            "make the model for these data."
        )


def _check_names(field: str, known: Sequence[str], found: Sequence[str]) -> None:
    """Raise DataError if a name has another number in the data than in the model.

    Names that the model does not know may be translations or captions of the same classes.
    """
    number = {name: place for place, name in enumerate(known)}
    for place, name in enumerate(found):
        if number.get(name, place) != place:
            raise DataError(
                f"{name!r} is class {place} of {field} in these data and class {number[name]} of "
                "the model. Name the same classes: in Python, as_dataset(data, like=...) keeps "
                "the numbers of other data."
            )
    if known and any(name not in number for name in found):
        logger.warning(
            "The data's classes of %s are %s, the model's are %s: they are matched by number.",
            *(field, shown(", ".join(found)), shown(", ".join(known))),
        )


def _range(info: DataInfo, name: str) -> tuple[float, float]:
    return info.range.get(name, (-math.inf, math.inf))


def _made_from(spaces: Sequence[type[Space]], info: DataInfo, name: str) -> str:
    """Return how to convert a field's values to one of the spaces; empty if unknown.

    Every way is named, since a model of several spaces may be meant for any of them.
    """
    hints = (space.made_from(info[name], *_range(info, name)) for space in spaces)
    return " Or: ".join(dict.fromkeys(filter(None, hints)))


def titles(spaces: Sequence[type[Space]]) -> str:
    """Return the registered names of classes of spaces, in words."""
    return " or ".join(sorted(_title(space) for space in spaces))


def _title(space: type[Space]) -> str:
    try:
        return registry.name_of("spaces", space)
    except PluginError:
        return space.__name__.lower()


def _no_field(cls: type[Model], name: str, info: DataInfo) -> str:
    given = {
        "y": "Name the other domain: --data-y DATA; in Python, genzoo.pair(x, y).",
        "text": "Give --data.captions, or data with texts",
    }
    remedy = given.get(name, "Give data with it")
    if not remedy.endswith("."):
        remedy += "." if name in cls.needs else "; or make the model without it."
    return (
        f"{cls.__name__} needs the field {name} of the data; they have {', '.join(info.fields)}. "
        f"{remedy}"
    )
