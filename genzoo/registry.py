"""The registry: names to classes, through entry points.

Names are listed from the installed distributions' metadata alone; a plugin is imported when one
of its names is asked for, never earlier. Our own plugins come in by the same door as everybody's.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import re
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, TypeVar

from genzoo.errors import MissingDependencyError, NameConflictError, PluginError, UnknownNameError

T = TypeVar("T", bound=type)

GROUPS = ("models", "objectives", "samplers", "datasets", "metrics", "formats")
"""What can be registered; the entry-point group of ``models`` is ``genzoo.models``."""

NAME = re.compile(r"[a-z][a-z0-9_-]{0,63}")

_BASES = {
    "models": "genzoo.model:GenerativeModel",
    "objectives": "genzoo.objective:Objective",
    "samplers": "genzoo.sampler:Sampler",
    "datasets": "genzoo.data.dataset:DataSource",
    "metrics": "genzoo.evaluation.metric:Metric",
}
_local: dict[tuple[str, str], type] = {}
_loaded: dict[tuple[str, str], type] = {}


@dataclass(frozen=True)
class Entry:
    """One name that a distribution, or a notebook, has registered.

    Arguments:
        group: One of ``GROUPS``.
        name: The registered name.
        target: ``module:attribute``.
        distribution: Who registered it; empty for a class of the running session.
        version: The distribution's version.
        extras: The extras whose packages it needs.
        problem: What is known to be wrong with it, without importing it; else empty.
    """

    group: str
    name: str
    target: str
    distribution: str = ""
    version: str = ""
    extras: tuple[str, ...] = ()
    problem: str = ""


def names(group: str) -> list[str]:
    """Return the registered names of a group, sorted, importing nothing."""
    return sorted({entry.name for entry in entries(group)})


def load(group: str, name: str) -> Any:
    """Return the class registered under ``name``, importing its plugin.

    Exceptions from inside the plugin pass through untouched.

    Raises:
        UnknownNameError: Nothing is registered under that name.
        NameConflictError: Two distributions claim it.
        MissingDependencyError: The plugin needs a package that is not installed.
        PluginError: The entry point holds something else than its group promises.
    """
    _check_group(group)
    if (group, name) in _local:
        return _local[group, name]
    found = [entry for entry in entries(group) if entry.name == name]
    if not found:
        raise UnknownNameError(group.removesuffix("s"), name, names(group))
    if len(found) > 1:
        raise NameConflictError(_conflict(found))
    if (group, name) not in _loaded:
        _loaded[group, name] = _import(found[0])
    return _loaded[group, name]


def register(group: str, name: str) -> Callable[[T], T]:
    """Register a class of the running session, as a decorator, for notebooks and scripts.

    Registering the same name again replaces the session's own class, never an installed one.

    Raises:
        NameConflictError: An installed distribution has that name.
        PluginError: The name is malformed, or the class is not of the group's kind.
    """
    _check_group(group)

    def decorate(cls: T) -> T:
        if not NAME.fullmatch(name):
            raise PluginError(f"{name!r} is no valid name: use {NAME.pattern}.")
        if any(entry.name == name and entry.distribution for entry in entries(group)):
            raise NameConflictError(f"{name!r} in {group} is taken; choose another name.")
        _check_kind(group, name, cls)
        _local[group, name] = cls
        return cls

    return decorate


def entries(group: str) -> list[Entry]:
    """Return every entry of a group with what is known to be wrong with it, importing nothing."""
    _check_group(group)
    local = [
        Entry(group, name, f"{cls.__module__}:{cls.__qualname__}")
        for (where, name), cls in _local.items()
        if where == group
    ]
    return sorted([*_installed(group), *local], key=lambda e: (e.name, e.distribution))


def name_of(group: str, cls: type) -> str:
    """Return the name that ``cls`` is registered under.

    Raises:
        PluginError: It is not registered.
    """
    for (where, name), known in [*_local.items(), *_loaded.items()]:
        if where == group and known is cls:
            return name
    package = cls.__module__.partition(".")[0]
    for entry in entries(group):
        if entry.target.startswith(package) and load(group, entry.name) is cls:
            return entry.name
    raise PluginError(
        f"{cls.__module__}.{cls.__qualname__} is not registered. Give its package an entry point "
        f"in the group genzoo.{group}, or decorate it with @genzoo.register({group!r}, name)."
    )


def distribution_of(group: str, name: str) -> tuple[str, str]:
    """Return the distribution and version behind a name; two empty texts for the session's own."""
    for entry in entries(group):
        if entry.name == name:
            return entry.distribution, entry.version
    return "", ""


def refresh() -> None:
    """Look at the installed distributions afresh, as after an installation while running."""
    _installed.cache_clear()
    _loaded.clear()


@functools.cache
def _installed(group: str) -> tuple[Entry, ...]:
    """Read the metadata; one entry for each distribution and name."""
    found = {
        (point.name, _owner(point)[0]): point
        for point in reversed(metadata.entry_points(group=f"genzoo.{group}"))
    }
    claims: dict[str, list[str]] = defaultdict(list)
    for name, owner in found:
        claims[name].append(owner)
    return tuple(_entry(group, point, claims[name]) for (name, _), point in found.items())


def _entry(group: str, point: metadata.EntryPoint, owners: list[str]) -> Entry:
    owner, version = _owner(point)
    problem = ""
    if not NAME.fullmatch(point.name):
        problem = f"not a valid name: use {NAME.pattern}"
    elif len(owners) > 1:
        problem = f"claimed by {' and '.join(sorted(owners))}: uninstall one of them"
    elif not _module_exists(point.module):
        problem = f"its module {point.module} cannot be found: reinstall {owner}"
    extras = tuple(point.extras)
    return Entry(group, point.name, point.value.split(" ")[0], owner, version, extras, problem)


def _owner(point: metadata.EntryPoint) -> tuple[str, str]:
    return (point.dist.name, point.dist.version) if point.dist else ("", "")


def _module_exists(module: str) -> bool:
    """Whether the module's file is there, without importing its package."""
    top, *rest = module.split(".")
    try:
        spec = importlib.util.find_spec(top)
    except (ImportError, ValueError):
        return False
    if spec is None or not rest:
        return spec is not None
    bases = [Path(folder, *rest) for folder in spec.submodule_search_locations or ()]
    return any(base.is_dir() or any(base.parent.glob(f"{base.name}.*")) for base in bases)


def _import(entry: Entry) -> type:
    module, _, attribute = entry.target.partition(":")
    try:
        found = functools.reduce(getattr, attribute.split("."), importlib.import_module(module))
    except ModuleNotFoundError as error:
        if error.name and error.name.partition(".")[0] == module.partition(".")[0]:
            raise
        raise MissingDependencyError(_missing(entry, error)) from error
    except AttributeError as error:
        if getattr(error, "obj", None) is not importlib.import_module(module):
            raise
        raise PluginError(
            f"{entry.target}, registered by {entry.distribution}, is not there."
        ) from error
    _check_kind(entry.group, entry.name, found)
    return found  # type: ignore[no-any-return]


def _missing(entry: Entry, error: ModuleNotFoundError) -> str:
    extras = f"[{','.join(entry.extras)}]" if entry.extras else ""
    return (
        f"{entry.name!r} needs the module {error.name!r}, which is not installed. "
        f"Try: pip install '{entry.distribution}{extras}'"
    )


def _conflict(found: list[Entry]) -> str:
    owners = " and ".join(sorted(entry.distribution for entry in found))
    return f"{found[0].name!r} in {found[0].group} is claimed by {owners}; uninstall one of them."


def _check_group(group: str) -> None:
    if group not in GROUPS:
        raise UnknownNameError("group", group, GROUPS)


def _check_kind(group: str, name: str, found: object) -> None:
    if group not in _BASES:
        return
    module, _, attribute = _BASES[group].partition(":")
    base = getattr(importlib.import_module(module), attribute)
    if not (isinstance(found, type) and issubclass(found, base)):
        raise PluginError(f"{name!r} in {group} must be a subclass of {base.__name__}: {found!r}.")
