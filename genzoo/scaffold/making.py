"""A new plugin package from templates: a small working model with its tests."""

from __future__ import annotations

import importlib.util
import keyword
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path

from genzoo import entry_points, registry
from genzoo.errors import ConfigError, NameConflictError, OutputExistsError, suggest
from genzoo.files import disk_full_named, write_text
from genzoo.version import __version__

LICENCES = ("apache-2.0", "bsd-3-clause", "mit")
_SPDX = {"apache-2.0": "Apache-2.0", "bsd-3-clause": "BSD-3-Clause", "mit": "MIT"}
_FIELD = re.compile(r"@(\w+)@")
_FILES = {
    "pyproject.toml": "pyproject.toml.txt",
    "README.md": "README.md.txt",
    ".gitignore": "gitignore.txt",
    ".github/workflows/test.yml": "ci.yml.txt",
    "@package@/__init__.py": "init.py.txt",
    "@package@/py.typed": "py.typed.txt",
    "@package@/model.py": "model.py.txt",
    "@package@/sampler.py": "sampler.py.txt",
    "@package@/objective.py": "objective.py.txt",
    "tests/test_@package@.py": "test_model.py.txt",
}


@dataclass(frozen=True)
class _Part:
    """What a package may have next to its model.

    Arguments:
        group: Its group in the registry.
        name: Its registered name.
        target: Its module and class.
        about: What it is, for the README.
        files: The template of each file.
    """

    group: str
    name: str
    target: str
    about: str
    files: Mapping[str, str] = field(default_factory=dict)


def _part(part: str, group: str, name: str, title: str, about: str) -> _Part:
    files = {
        f"@package@/{part}.py": f"{part}.py.txt",
        f"tests/test_@package@_{part}.py": f"test_{part}.py.txt",
    }
    return _Part(group, name, f"@package@.{part}:@title@{title}", about, files)


_PARTS = {
    "dataset": _part("dataset", "datasets", "@model@", "Data", "the dataset `@model@`"),
    "metric": _part(
        "metric", "metrics", "@model@-distance", "Distance", "the metric `@model@-distance`"
    ),
    "space": _part("space", "spaces", "@model@", "Space", "the kind of data `@model@`"),
}
PARTS = tuple(_PARTS)
"""What a package may have next to its model."""


def make_plugin(
    name: str, folder: Path, *, license: str = "apache-2.0", parts: Sequence[str] = ()
) -> list[Path]:
    """Write the package of a new plugin; return the files.

    Arguments:
        name: The model's registered name; the distribution is ``genzoo-NAME``.
        folder: The destination; it must not exist.
        license: One of ``LICENCES``.
        parts: What it has next to the model: some of ``PARTS``, each with its test.

    Raises:
        ConfigError: The name is not valid, or cannot be that of a Python package; or a part is
            unknown.
        NameConflictError: The name is already taken by a model, an objective, another part, a
            package or a module.
        OutputExistsError: The folder exists.
    """
    chosen = _chosen(parts)
    fields = _fields(name, license, chosen)
    _check_free(name, fields, chosen)
    if folder.exists() or folder.is_symlink():
        raise OutputExistsError(f"{folder} exists. Choose another folder, with --folder.")
    texts = {
        _filled(path, fields): _filled(_read("template", file), fields)
        for path, file in _files(chosen).items()
    }
    texts["LICENSE"] = _filled(_read("licences", f"{license}.txt"), fields)
    with disk_full_named(folder):
        for path, text in texts.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            write_text(folder / path, text)
    return [folder / path for path in texts]


def _chosen(parts: Sequence[str]) -> list[_Part]:
    """Return parts by their names, in one order."""
    for part in parts:
        if part not in PARTS:
            raise ConfigError(f"A package has no part {part!r}. {suggest(part, PARTS)}")
    return [_PARTS[part] for part in PARTS if part in parts]


def _files(parts: Sequence[_Part]) -> dict[str, str]:
    """Return the template of each file."""
    found = dict(_FILES)
    for part in parts:
        found |= part.files
    return found


def _fields(name: str, license: str, parts: Sequence[_Part]) -> Mapping[str, str]:
    if not registry.NAME.fullmatch(name):
        raise ConfigError(f"{name!r} is not a valid name: use {registry.NAME.pattern}.")
    if not registry.NAME.fullmatch(f"{name}-nll") or name[-1] in "-_":
        raise ConfigError(
            f"{name!r} is not a valid name of a package: use at most 60 characters, the last of "
            "them a letter or a digit."
        )
    if license not in LICENCES:
        raise ConfigError(f"There is no text of {license!r} here. Known: {', '.join(LICENCES)}.")
    package = f"genzoo_{name.replace('-', '_')}"
    known = {"model": name, "package": package, "title": _title(name)}
    return {
        **known,
        "distribution": f"genzoo-{name.replace('_', '-')}",
        "licence": _SPDX[license],
        "version": __version__,
        "points": "".join(_filled(_point(part), known) for part in parts),
        "parts": "".join(_filled(f"\nIt also has {part.about}.\n", known) for part in parts),
    }


def _point(part: _Part) -> str:
    """Return the entry point of a part, for pyproject.toml."""
    return f'\n[project.entry-points."genzoo.{part.group}"]\n{part.name} = "{part.target}"\n'


def _title(name: str) -> str:
    """Return the name of the class, which must not be used by the templates."""
    title = "".join(part.capitalize() for part in re.split("[-_]", name))
    files = _files(list(_PARTS.values()))
    modules = [file for path, file in files.items() if path.startswith("@package@")]
    used = {word for file in modules for word in re.findall(r"\w+", _read("template", file))}
    return f"{title}Model" if title in used else title


def _check_free(name: str, fields: Mapping[str, str], parts: Sequence[_Part]) -> None:
    """Raise if a name is taken, or cannot be imported."""
    taken = {"models": name, "objectives": f"{name}-nll", "samplers": name}
    taken |= {part.group: _filled(part.name, fields) for part in parts}
    for group, wanted in taken.items():
        if wanted in registry.names(group):
            owner = registry.distribution_of(group, wanted)[0] or "this session"
            raise NameConflictError(
                f"{wanted!r} in {group} is taken, by {owner}. Choose another name."
            )
    if not fields["title"].isidentifier() or keyword.iskeyword(fields["title"]):
        raise ConfigError(f"{name!r} does not give a valid name of a class. Choose another name.")
    if importlib.util.find_spec(fields["package"]) is not None:
        raise NameConflictError(
            f"A module {fields['package']} is installed already. Choose another name."
        )
    if entry_points.is_installed(fields["distribution"]):
        raise NameConflictError(
            f"{fields['distribution']} is installed already. Choose another name."
        )


def _read(folder: str, file: str) -> str:
    return resources.files("genzoo").joinpath("scaffold", folder, file).read_text("utf-8")


def _filled(text: str, fields: Mapping[str, str]) -> str:
    return _FIELD.sub(lambda found: fields.get(found[1], found[0]), text)
