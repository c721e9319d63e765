"""The registry: names to classes, through entry points.

Names are listed from the metadata of installed distributions. A plugin is imported when one of its
names is loaded, never earlier. genzoo's own plugins are registered in the same way as everybody
else's.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, TypeVar

from genzoo import entry_points
from genzoo.component import Component
from genzoo.config import Config, Mark
from genzoo.entry_points import NAME as NAME, Entry as Entry
from genzoo.errors import (
    ConfigError,
    MissingDependencyError,
    NameConflictError,
    PluginError,
    UnknownNameError,
    suggest,
)
from genzoo.groups import (
    GROUPS as GROUPS,
    base_of,
    check_group,
    group_of,
    known_groups as known_groups,
    register_group as register_group,
)

T = TypeVar("T", bound=type)

_local: dict[tuple[str, str], type] = {}
_loaded: dict[tuple[str, str], type] = {}


def names(group: str) -> list[str]:
    """Return the registered names of a group, sorted, without importing."""
    check_group(group)
    local = {name for where, name in _local if where == group}
    return sorted(entry_points.names_of(group) | local)


def load(group: str, name: str) -> Any:
    """Return the class registered under ``name``, importing its plugin.

    Exceptions from inside the plugin pass through unchanged.

    Raises:
        UnknownNameError: Nothing is registered under that name.
        NameConflictError: Two distributions claim it.
        MissingDependencyError: The plugin needs a package that is not installed.
        PluginError: The class does not exist, or is not a subclass of its group's base.
    """
    check_group(group)
    if (group, name) in _local:
        return _local[group, name]
    claims = [entry for entry in entries(group) if entry.name == name]
    found = [entry for entry in claims if not entry.disabled] or claims[:1]
    if not found:
        remedy = _elsewhere(group, name)
        raise UnknownNameError(group.removesuffix("s"), name, names(group), remedy)
    if len(found) > 1:
        raise NameConflictError(f"{entry_points.conflict(found)}.")
    if (group, name) not in _loaded:
        _loaded[group, name] = import_entry(found[0])
    return _loaded[group, name]


def make(group: str, component: Component, *args: Any) -> Any:
    """Return an instance of the class that a component names.

    Arguments:
        group: Its group.
        component: The class's name, with the values of its config.
        args: The constructor's arguments before the config, such as an objective's model.

    Raises:
        ConfigError: Its config has no such field, or a value is out of bounds.
        GenzooError: The name is unknown, or its plugin cannot be loaded, as for `load`; or the
            class has no ``Config``.
    """
    config = config_of(group, component)
    return load(group, component.name)(*args, config)


def describe(instance: Any) -> Component:
    """Return the component of an instance: its registered name with the values of its config.

    Raises:
        PluginError: Its class is not registered.
    """
    name = name_of(group_of(instance), type(instance))
    return Component(name=name, config=instance.config.to_dict())


def config_of(group: str, component: Component) -> Config:
    """Return the config of a component, checked by its class.

    Raises:
        ConfigError: Its config has no such field, or a value is out of bounds.
        GenzooError: The name is unknown, or its plugin cannot be loaded, as for `load`; or the
            class has no ``Config``.
    """
    kind = getattr(load(group, component.name), "Config", None)
    if not (isinstance(kind, type) and issubclass(kind, Config)):
        raise PluginError(
            f"{component.name!r} in {group} has no Config, so it cannot be made from values. Load "
            "its class instead."
        )
    return kind.from_dict(component.config)


@dataclass(frozen=True)
class Group(Mark):
    """An annotation of a config's field that holds a component of a group.

    The name is checked against the metadata of installed distributions when the config is made;
    the values are checked when the component is made.

    >>> from typing import Annotated
    >>> Annotated[Component, Group("samplers")]
    typing.Annotated[genzoo.component.Component, Group(name='samplers')]
    """

    name: str

    def check(self, value: Any, where: str) -> None:
        """Raise ConfigError if the group does not have the component's name."""
        known = names(self.name)
        if value.name is not None and value.name not in known:
            raise ConfigError(
                f"{where} must name one of the {self.name}, got {value.name!r}. "
                f"{suggest(value.name, known)} {_elsewhere(self.name, value.name)}".rstrip()
            )


def register(group: str, name: str) -> Callable[[T], T]:
    """Decorator that registers a class of the running session, for notebooks and scripts.

    Registering the same name again replaces the session's own class, never an installed one.

    Raises:
        NameConflictError: An installed distribution has that name.
        PluginError: The name is malformed, or the class is not a subclass of the group's base.
    """
    check_group(group)

    def decorate(cls: T) -> T:
        pattern = entry_points.pattern_of(group)
        if not pattern.fullmatch(name):
            raise PluginError(f"{name!r} is not a valid name: use {pattern.pattern}.")
        if any(entry.name == name and entry.distribution for entry in entries(group)):
            raise NameConflictError(f"{name!r} in {group} is taken; choose another name.")
        _check_kind(group, name, cls)
        _local[group, name] = cls
        return cls

    return decorate


def entries(group: str) -> list[Entry]:
    """Return every entry of a group with its known problem, without importing."""
    check_group(group)
    local = [
        Entry(group, name, f"{cls.__module__}:{cls.__qualname__}")
        for (where, name), cls in _local.items()
        if where == group
    ]
    return _in_order([*entry_points.entries_of(group), *local])


def listed(group: str) -> list[Entry]:
    """Return every entry of a group, also of one that no imported package has opened.

    Of such a group it is what installed distributions register.
    """
    known = group in known_groups()
    return entries(group) if known else _in_order(entry_points.entries_of(group))


def _in_order(found: Iterable[Entry]) -> list[Entry]:
    return sorted(found, key=lambda entry: (entry.name, entry.distribution))


def name_of(group: str, cls: type) -> str:
    """Return the name that ``cls`` is registered under.

    Raises:
        PluginError: It is not registered.
    """
    for (where, name), known in [*_local.items(), *_loaded.items()]:
        if where == group and known is cls:
            return name
    for entry in _candidates(group, cls):
        with contextlib.suppress(MissingDependencyError, PluginError):
            if load(group, entry.name) is cls:
                return entry.name
    raise PluginError(
        f"{cls.__module__}.{cls.__qualname__} is not registered. Give its package an entry point "
        f"in the group {entry_points.point_group(group)}, or decorate it with "
        f"@genzoo.register({group!r}, name)."
    )


def distribution_of(group: str, name: str) -> tuple[str, str]:
    """Return the distribution and version of a name, or two empty texts for a session's class."""
    for entry in entries(group):
        if entry.name == name:
            return entry.distribution, entry.version
    return "", ""


def refresh() -> None:
    """Read the installed distributions again, for example after an installation."""
    importlib.invalidate_caches()
    entry_points.forget()
    _loaded.clear()


def _candidates(group: str, cls: type) -> list[Entry]:
    """Return the valid entries of a class's own package, the explicit one first."""
    package, exact = cls.__module__.partition(".")[0], f"{cls.__module__}:{cls.__qualname__}"
    same = re.compile(rf"{re.escape(package)}[.:]")
    found = [e for e in entries(group) if same.match(e.target) and not e.problem]
    return sorted(found, key=lambda entry: entry.target != exact)


def import_entry(entry: Entry) -> Any:
    """Return the class that an entry names, importing its module.

    Raises:
        MissingDependencyError: It needs a package that is not installed.
        PluginError: The class does not exist, or is not a subclass of its group's base.
    """
    if entry.problem:
        raise PluginError(f"{entry.name!r} in {entry.group}: {entry.problem}.")
    name, _, attribute = entry.target.partition(":")
    try:
        module = importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] == name.partition(".")[0]:
            raise
        extras = f"[{','.join(entry.extras)}]" if entry.extras else ""
        raise MissingDependencyError(
            f"{entry.name!r} needs the module {error.name!r}, which is not installed. "
            f"Try: pip install '{entry.distribution}{extras}'"
        ) from error
    try:
        found = functools.reduce(getattr, attribute.split("."), module)
    except AttributeError as error:
        raise PluginError(
            f"{entry.target}, registered by {entry.distribution}, does not exist: reinstall it."
        ) from error
    _check_kind(entry.group, entry.name, found)
    return found


def _elsewhere(group: str, name: str) -> str:
    """Return a hint if other groups have the name; else nothing."""
    others = [other for other in known_groups() if other != group and name in names(other)]
    return f"{name!r} is one of the {' and the '.join(others)}: name it there." if others else ""


def _check_kind(group: str, name: str, found: object) -> None:
    base = base_of(group)
    if not (isinstance(found, type) and issubclass(found, base)):
        raise PluginError(f"{name!r} in {group} must be a subclass of {base.__name__}: {found!r}.")
