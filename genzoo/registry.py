"""The registry: names to classes, through entry points.

Names are listed from the installed distributions' metadata alone; a plugin is imported when one
of its names is asked for, never earlier. Our own plugins come in by the same door as everybody's.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import importlib.util
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import Any, TypeVar

from genzoo.errors import MissingDependencyError, NameConflictError, PluginError, UnknownNameError

T = TypeVar("T", bound=type)

GROUPS = ("models", "objectives", "samplers", "datasets", "metrics", "formats")
"""What can be registered; the entry-point group of ``models`` is ``genzoo.models``."""

NAME = re.compile(r"[a-z][a-z0-9_-]{0,63}")
FILE_NAME = re.compile(r"[a-z][a-z0-9_.-]{0,63}")
"""What a format is registered under: the file that marks it."""
_TARGET = re.compile(r"(?P<target>[\w.]+:[\w.]+)\s*(\[(?P<extras>[^\]]*)\])?")

_BASES = {
    "models": "genzoo.model:GenerativeModel",
    "objectives": "genzoo.objective:Objective",
    "samplers": "genzoo.sampler:Sampler",
    "datasets": "genzoo.data.dataset:DataSource",
    "metrics": "genzoo.evaluation.metric:Metric",
    "formats": "genzoo.formats:Format",
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
        PluginError: What the entry point names is not there, or not what its group promises.
    """
    _check_group(group)
    if (group, name) in _local:
        return _local[group, name]
    found = [entry for entry in entries(group) if entry.name == name]
    if not found:
        raise UnknownNameError(group.removesuffix("s"), name, names(group))
    if len(found) > 1:
        raise NameConflictError(f"{_conflict(found)}.")
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
        pattern = _pattern(group)
        if not pattern.fullmatch(name):
            raise PluginError(f"{name!r} is no valid name: use {pattern.pattern}.")
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
    for entry in _candidates(group, cls):
        with contextlib.suppress(MissingDependencyError, PluginError):
            if load(group, entry.name) is cls:
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
    importlib.invalidate_caches()
    _installed.cache_clear()
    _points.cache_clear()
    _loaded.clear()


def _candidates(group: str, cls: type) -> list[Entry]:
    """Return the sound entries of a class's own package, the one that spells it out first."""
    package, exact = cls.__module__.partition(".")[0], f"{cls.__module__}:{cls.__qualname__}"
    same = re.compile(rf"{re.escape(package)}[.:]")
    found = [e for e in entries(group) if same.match(e.target) and not e.problem]
    return sorted(found, key=lambda entry: entry.target != exact)


@functools.cache
def _installed(group: str) -> tuple[Entry, ...]:
    """Read the metadata; one entry for each distribution and name."""
    found = [_parse(point, dist) for point, dist in _points() if point.group == f"genzoo.{group}"]
    unique = list({(entry.name, entry.distribution): entry for entry in reversed(found)}.values())
    owners = Counter(entry.name for entry in unique)
    return tuple(
        replace(entry, problem=_conflict([e for e in unique if e.name == entry.name]))
        if owners[entry.name] > 1
        else entry
        for entry in unique
    )


@functools.cache
def _points() -> list[tuple[metadata.EntryPoint, metadata.Distribution]]:
    return list(_scan())


def _scan() -> Iterator[tuple[metadata.EntryPoint, metadata.Distribution]]:
    """Yield our groups' entry points; a distribution whose metadata are malformed has none."""
    for dist in metadata.distributions():
        with contextlib.suppress(ValueError, TypeError, OSError, KeyError):
            points = [p for p in dist.entry_points if p.group.startswith("genzoo.")]
            if points and dist.name and dist.version:
                yield from [(point, dist) for point in points]


def _parse(point: metadata.EntryPoint, dist: metadata.Distribution) -> Entry:
    """Return an entry point as an entry, with what is wrong with it alone."""
    parts = _TARGET.fullmatch(point.value)
    target, extras = (parts["target"], parts["extras"]) if parts else (point.value, "")
    module = target.partition(":")[0]
    problem, pattern = "", _pattern(point.group.removeprefix("genzoo."))
    if not pattern.fullmatch(point.name):
        problem = f"{point.name!r} is not a valid name: use {pattern.pattern}"
    elif parts is None:
        problem = f"its target {point.value!r} is not MODULE:CLASS: mend {dist.name}"
    elif not _module_exists(module):
        problem = f"its module {module} cannot be found: reinstall {dist.name}"
    needed = tuple(extra.strip() for extra in (extras or "").split(",") if extra.strip())
    group = point.group.removeprefix("genzoo.")
    return Entry(group, point.name, target, dist.name, dist.version, needed, problem)


def _pattern(group: str) -> re.Pattern[str]:
    return FILE_NAME if group == "formats" else NAME


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


def _import(entry: Entry) -> Any:
    if entry.problem:
        raise PluginError(f"{entry.name!r} in {entry.group}: {entry.problem}.")
    name, _, attribute = entry.target.partition(":")
    try:
        module = importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] == name.partition(".")[0]:
            raise
        raise MissingDependencyError(_missing(entry, error)) from error
    try:
        found = functools.reduce(getattr, attribute.split("."), module)
    except AttributeError as error:
        raise PluginError(
            f"{entry.target}, registered by {entry.distribution}, is not there: reinstall it."
        ) from error
    _check_kind(entry.group, entry.name, found)
    return found


def _missing(entry: Entry, error: ModuleNotFoundError) -> str:
    extras = f"[{','.join(entry.extras)}]" if entry.extras else ""
    return (
        f"{entry.name!r} needs the module {error.name!r}, which is not installed. "
        f"Try: pip install '{entry.distribution}{extras}'"
    )


def _conflict(found: list[Entry]) -> str:
    owners = " and ".join(sorted(entry.distribution for entry in found))
    return f"{found[0].name!r} in {found[0].group} is claimed by {owners}: uninstall one of them"


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
