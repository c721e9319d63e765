"""A new plugin package from templates: a small working model with its tests."""

from __future__ import annotations

import importlib.util
import keyword
import re
from collections.abc import Mapping
from importlib import resources
from pathlib import Path

from genzoo import entry_points, registry
from genzoo.errors import ConfigError, NameConflictError, OutputExistsError
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


def make_plugin(name: str, folder: Path, *, license: str = "apache-2.0") -> list[Path]:
    """Write the package of a new plugin; return the files.

    Arguments:
        name: The model's registered name; the distribution is ``genzoo-NAME``.
        folder: The destination; it must not exist.
        license: One of ``LICENCES``.

    Raises:
        ConfigError: The name is not valid, or cannot be that of a Python package.
        NameConflictError: The name is already taken by a model, an objective, a package or a
            module.
        OutputExistsError: The folder exists.
    """
    fields = _fields(name, license)
    _check_free(name, fields)
    if folder.exists() or folder.is_symlink():
        raise OutputExistsError(f"{folder} exists. Choose another folder, with --folder.")
    texts = {
        _filled(path, fields): _filled(_read("template", file), fields)
        for path, file in _FILES.items()
    }
    texts["LICENSE"] = _filled(_read("licences", f"{license}.txt"), fields)
    with disk_full_named(folder):
        for path, text in texts.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            write_text(folder / path, text)
    return [folder / path for path in texts]


def _fields(name: str, license: str) -> Mapping[str, str]:
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
    return {
        "model": name,
        "distribution": f"genzoo-{name.replace('_', '-')}",
        "package": package,
        "title": _title(name),
        "licence": _SPDX[license],
        "version": __version__,
    }


def _title(name: str) -> str:
    """Return the name of the class, which must not be used by the templates."""
    title = "".join(part.capitalize() for part in re.split("[-_]", name))
    modules = [file for path, file in _FILES.items() if path.startswith("@package@")]
    used = {word for file in modules for word in re.findall(r"\w+", _read("template", file))}
    return f"{title}Model" if title in used else title


def _check_free(name: str, fields: Mapping[str, str]) -> None:
    """Raise if a name is taken, or cannot be imported."""
    taken = {"models": name, "objectives": f"{name}-nll", "samplers": name}
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
