"""What installed distributions register, read from their metadata: no plugin is imported."""

from __future__ import annotations

import contextlib
import functools
import importlib.machinery
import importlib.util
import os
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from importlib import metadata
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote

from genzoo.parsing import strict_json
from genzoo.version import __version__

NAME = re.compile(r"[a-z][a-z0-9_+-]{0,63}")
FILE_NAME = re.compile(r"[a-z][a-z0-9_.-]{0,63}")
"""The name of a format: the file that marks it."""
OURS = "genzoo"
_OUR_GROUPS = "genzoo."
DISABLE = "GENZOO_DISABLE_PLUGINS"
"""The environment variable that lists distributions to disable, for debugging; or "all"."""

_TARGET = re.compile(r"(?P<target>[\w.]+:[\w.]+)\s*(\[(?P<extras>[^\]]*)\])?")
_NEEDS_US = re.compile(r"genzoo\s*([\[<>=!~;@(]|$)", re.IGNORECASE)


@dataclass(frozen=True)
class Entry:
    """A name that a distribution or a notebook has registered.

    Arguments:
        group: One of genzoo's groups, or one that a package has opened.
        name: The registered name.
        target: ``module:attribute``.
        distribution: The distribution that registered it; empty for a class of the running
            session.
        version: The distribution's version.
        extras: The extras whose packages it needs.
        problem: A problem that is known without importing it; else empty.
        disabled: Whether GENZOO_DISABLE_PLUGINS leaves it out.
        location: The folder of the distribution.
    """

    group: str
    name: str
    target: str
    distribution: str = ""
    version: str = ""
    extras: tuple[str, ...] = ()
    problem: str = ""
    disabled: bool = False
    location: str = field(default="", compare=False)


class Point(NamedTuple):
    """A line of a distribution's entry points: a name in a group, and its target."""

    group: str
    name: str
    value: str


@dataclass(frozen=True)
class Package:
    """An installed distribution that registers something.

    Arguments:
        name: Its name.
        version: Its version.
        requires: Its requirement of genzoo, such as "genzoo>=0.1".
        points: Its entry points in our groups.
        source: The distribution object of the standard library.
    """

    name: str
    version: str
    requires: tuple[str, ...]
    points: tuple[Point, ...]
    source: metadata.Distribution = field(compare=False, repr=False)

    @property
    def disabled(self) -> bool:
        """Whether GENZOO_DISABLE_PLUGINS leaves it out."""
        named = disabled_names()
        everybody_else = "all" in named and self.name != OURS
        return everybody_else or _normal(self.name) in named


def point_group(group: str) -> str:
    """Return the entry-point group of a group; a group that a package has opened has its own name.

    >>> point_group("models"), point_group("my_package.estimators")
    ('genzoo.models', 'my_package.estimators')
    """
    return group if "." in group else f"{_OUR_GROUPS}{group}"


@functools.cache
def packages(wanted: str = _OUR_GROUPS) -> tuple[Package, ...]:
    """Return the distributions that register something; if several have one name, the first.

    Arguments:
        wanted: The entry-point group; if it ends with a dot, all groups that begin with it.
    """
    found: dict[str, Package] = {}
    for dist in metadata.distributions():
        # Malformed metadata must not affect other distributions: this one registers nothing.
        with contextlib.suppress(ValueError, TypeError, OSError, KeyError):
            for package in _read(dist, wanted):
                found.setdefault(_normal(package.name), package)
    return tuple(found.values())


def names_of(group: str) -> set[str]:
    """Return the names that installed and enabled distributions register in a group."""
    on = [package for package in _packages_of(group) if not package.disabled]
    wanted = point_group(group)
    return {point.name for package in on for point in package.points if point.group == wanted}


@functools.cache
def entries_of(group: str) -> tuple[Entry, ...]:
    """Return what is registered in a group, with the known problem of each."""
    pairs = [(point, package) for package in _packages_of(group) for point in package.points]
    wanted = point_group(group)
    found = [_parse(point, package) for point, package in pairs if point.group == wanted]
    unique = list({(entry.name, entry.distribution): entry for entry in reversed(found)}.values())
    owners = Counter(entry.name for entry in unique if not entry.disabled)
    return tuple(
        replace(entry, problem=conflict([e for e in unique if e.name == entry.name]))
        if owners[entry.name] > 1 and not entry.disabled
        else entry
        for entry in unique
    )


def disabled_names() -> frozenset[str]:
    """Return the distributions that GENZOO_DISABLE_PLUGINS names."""
    return frozenset(filter(None, map(_normal, os.environ.get(DISABLE, "").split(","))))


def unknown_disabled() -> list[str]:
    """Return the names in GENZOO_DISABLE_PLUGINS that are not installed."""
    known = {_normal(package.name) for package in packages()}
    unknown = disabled_names() - known - {"all"}
    return sorted(name for name in unknown if not is_installed(name))


def is_installed(distribution: str) -> bool:
    """Whether a distribution of that name is installed, whatever it registers."""
    try:
        metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return False
    return True


def pattern_of(group: str) -> re.Pattern[str]:
    """Return the pattern of the names of a group."""
    return FILE_NAME if group == "formats" else NAME


def conflict(found: list[Entry]) -> str:
    """Return the message for a name that several distributions claim."""
    owners = " and ".join(sorted(entry.distribution for entry in found if not entry.disabled))
    return f"{found[0].name!r} in {found[0].group} is claimed by {owners}: uninstall one of them"


def forget() -> None:
    """Read the installed distributions again at the next call."""
    packages.cache_clear()
    entries_of.cache_clear()


def _packages_of(group: str) -> tuple[Package, ...]:
    wanted = point_group(group)
    return packages() if wanted.startswith(_OUR_GROUPS) else packages(wanted)


def _read(dist: metadata.Distribution, wanted: str) -> Iterator[Package]:
    """Yield the distribution if it registers something."""
    text = dist.read_text("entry_points.txt")
    if not text or wanted not in text:
        return
    points = tuple(_points(text, wanted))
    head = _head(dist)
    name, version = head.get("name", [""])[0], head.get("version", [""])[0]
    if points and name and version:
        requires = tuple(r for r in head.get("requires-dist", ()) if _NEEDS_US.match(r))
        yield Package(name, version, requires, points, dist)


def _points(text: str, wanted: str) -> Iterator[Point]:
    """Yield the entry points in the groups that are wanted.

    This parser takes a tenth of the standard library's time.

    Raises:
        ValueError: A line of those groups is neither a comment nor NAME = TARGET.
    """
    group, is_wanted = "", False
    for line in map(str.strip, text.splitlines()):
        if line.startswith("[") and line.endswith("]"):
            group = line[1:-1].strip()
            is_wanted = group == wanted or (wanted.endswith(".") and group.startswith(wanted))
        elif line and line[0] not in "#;" and is_wanted:
            name, equals, value = line.partition("=")
            if not equals:
                raise ValueError(f"not NAME = TARGET: {line!r}")
            yield Point(group, name.strip(), value.strip())


def _head(dist: metadata.Distribution) -> dict[str, list[str]]:
    """Return the fields of the metadata's head.

    The standard library also parses the description, at each access. For a thousand distributions,
    this would take longer than everything else.
    """
    text = dist.read_text("METADATA") or dist.read_text("PKG-INFO") or ""
    fields: dict[str, list[str]] = {}
    for line in text.partition("\n\n")[0].splitlines():
        key, colon, value = line.partition(":")
        if colon and not key.startswith((" ", "\t")):
            fields.setdefault(key.lower(), []).append(value.strip())
    return fields


def _location(dist: metadata.Distribution) -> str:
    """Return the folder of the code: for an editable installation, that of the project."""
    return _editable(dist) or str(dist.locate_file(""))


def _editable(dist: metadata.Distribution) -> str:
    """Return the project's folder of an editable installation; else ""."""
    with contextlib.suppress(ValueError, TypeError, KeyError, AttributeError):
        url = strict_json(dist.read_text("direct_url.json") or "{}")
        if url.get("dir_info", {}).get("editable"):
            return unquote(str(url["url"]).removeprefix("file://"))
    return ""


def _parse(point: Point, package: Package) -> Entry:
    """Return an entry point as an entry, with its own problem."""
    parts = _TARGET.fullmatch(point.value)
    target, extras = (parts["target"], parts["extras"]) if parts else (point.value, "")
    needed = tuple(extra.strip() for extra in (extras or "").split(",") if extra.strip())
    return Entry(
        point.group.removeprefix(_OUR_GROUPS),
        point.name,
        target,
        package.name,
        package.version,
        needed,
        _problem(point, target if parts else "", package),
        package.disabled,
        _location(package.source),
    )


def _problem(point: Point, target: str, package: Package) -> str:
    pattern = pattern_of(point.group.removeprefix(_OUR_GROUPS))
    if package.disabled:
        return f"disabled by {DISABLE}: unset it to use {package.name}"
    if not pattern.fullmatch(point.name):
        return f"{point.name!r} is not a valid name: use {pattern.pattern}"
    if not target:
        return f"its target {point.value!r} is not MODULE:CLASS: fix {package.name}"
    if outdated := _outdated(package):
        return outdated
    module = target.partition(":")[0]
    if find_module(module) is None:
        return (
            f"its module {module} cannot be found; {point.name} = {point.value} is written in "
            f"{_written_in(package.source)}: correct it there and reinstall {package.name}"
        )
    return ""


def _written_in(dist: metadata.Distribution) -> str:
    """Return the file with the entry points of a distribution.

    For an editable installation, it is the project's pyproject.toml, if there is one.
    """
    folder = _editable(dist)
    if folder and Path(folder, "pyproject.toml").is_file():
        return str(Path(folder, "pyproject.toml"))
    written = [file for file in dist.files or () if file.name == "entry_points.txt"]
    if written:
        return str(dist.locate_file(written[0]))
    return f"entry_points.txt of the package, in {_location(dist)}"


@functools.cache
def _outdated(package: Package) -> str:
    """Return the problem if a package requires another genzoo than the running one."""
    if not package.requires or package.name == OURS:
        return ""
    from packaging.requirements import InvalidRequirement, Requirement
    from packaging.version import Version

    running = Version(__version__)
    for text in package.requires:
        with contextlib.suppress(InvalidRequirement):
            wanted = Requirement(text)
            here = wanted.marker is None or wanted.marker.evaluate({"extra": ""})
            if here and not wanted.specifier.contains(running, prereleases=True):
                newer = any(s.operator in ("<", "<=", "==") for s in wanted.specifier)
                remedy = package.name if newer else OURS
                return (
                    f"{package.name} {package.version} needs {OURS}{wanted.specifier}, and this "
                    f"is {OURS} {running}: pip install --upgrade {remedy}"
                )
    return ""


def find_module(module: str) -> importlib.machinery.ModuleSpec | None:
    """Return where a module is, as an import would find it, or None; no parent is imported."""
    top, *rest = module.split(".")
    try:
        spec = importlib.util.find_spec(top)
    except (ImportError, ValueError):
        return None
    for part in rest:
        if spec is None or spec.submodule_search_locations is None:
            return None
        places = list(spec.submodule_search_locations)
        spec = importlib.machinery.PathFinder.find_spec(f"{spec.name}.{part}", places)
    return spec


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name.strip()).lower()
