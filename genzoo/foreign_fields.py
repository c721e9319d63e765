"""Configs of other libraries, read as data: bounded fields of an allow-list only.

What such a config says is a stranger's word, and the library that it is of may take it for a path,
a module or a kernel to fetch. So it is read here, and only what a schema names is passed on.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from genzoo.config import Config, field_types, shown
from genzoo.errors import ConfigError, ConfigFileError, GenzooError, LoadError, suggest
from genzoo.files import check_inside, read_bytes
from genzoo.parsing import strict_json

MAX_BYTES = 2**20
"""The maximum size of a JSON file with a library's config."""
_LONG = 300


@dataclass(frozen=True, kw_only=True)
class ForeignFields(Config):
    """Abstract base class of the fields of another library's config, with its defaults."""

    _title: ClassVar[str] = "the field "


@dataclass(frozen=True, kw_only=True)
class AllowedFields:
    """The allowed content of a config of another library.

    Arguments:
        fields: The schema of the fields that are passed on, with bounds and the library's
            defaults.
        inert: Further names, each with the values that have no effect.
        ignored: Names that are not passed on, whatever their value, because no computation depends
            on them.
    """

    fields: type[ForeignFields]
    inert: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    ignored: frozenset[str] = frozenset()

    def passed(self, found: Mapping[str, Any], where: str) -> dict[str, Any]:
        """Return the fields to pass on, including those that ``found`` leaves at their defaults.

        Arguments:
            found: The content of the config.
            where: Its name in errors.

        Raises:
            ConfigFileError: A name or a value is not allowed.
        """
        known = field_types(self.fields)
        for name, value in found.items():
            if name not in known:
                self._check_rest(name, value, where)
        try:
            return self.fields.from_dict({k: v for k, v in found.items() if k in known}).to_dict()
        except ConfigError as error:
            raise ConfigFileError(f"{where}: {error}") from error

    def _check_rest(self, name: str, value: Any, where: str) -> None:
        if name in self.inert:
            if not any(type(value) is type(one) and value == one for one in self.inert[name]):
                raise ConfigFileError(
                    f"{where}: {name} is {shown(value)}, which is not supported; "
                    f"{' or '.join(map(shown, self.inert[name]))} is."
                )
        elif name not in self.ignored:
            raise ConfigFileError(
                f"{where}: the field {shown(name)} is not supported, so it is refused. "
                f"{suggest(name, field_types(self.fields))}"
            )


def check_file(path: Path, folder: Path) -> None:
    """Refuse what is not a file, such as a pipe to wait for, and a link out of its folder.

    Raises:
        LoadError: It is.
    """
    check_inside(path, folder)
    if not path.is_file():
        raise ConfigFileError(f"{path} is not a file, so it is not read. Fetch or save it again.")


def read_file(path: Path, most: int = MAX_BYTES) -> bytes:
    """Return what a file of a folder holds.

    Raises:
        LoadError: It is missing, larger than ``most`` bytes, not a file, or a link out of its
            folder.
    """
    check_file(path, path.parent)
    try:
        return read_bytes(path, most)
    except (OSError, ValueError) as error:
        raise ConfigFileError(f"{path} cannot be read: {error}.") from error


def parse_object(raw: bytes, where: str) -> dict[str, Any]:
    """Return the object that JSON holds, strictly: no key twice, no NaN, at most 30 levels.

    Arguments:
        raw: JSON in UTF-8, whose size the caller bounds.
        where: Its name in errors.

    Raises:
        ConfigFileError: It is malformed, or not an object.
    """
    try:
        found = strict_json(raw.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise ConfigFileError(f"{where} cannot be read: {error}.") from error
    if not isinstance(found, dict):
        raise ConfigFileError(f"{where} must hold an object, got a {type(found).__name__}.")
    return found


def read_object(path: Path, most: int = MAX_BYTES) -> dict[str, Any]:
    """Return the object that a JSON file of a folder holds; see `read_file`, `parse_object`.

    Raises:
        LoadError: It is missing, malformed, larger than ``most`` bytes, a link, or not an object.
    """
    return parse_object(read_file(path, most), str(path))


@contextlib.contextmanager
def foreign_errors(kind: type[GenzooError], failed: str, remedy: str = "") -> Iterator[None]:
    """Turn whatever another library raises into an error of ours, in one line.

    A library says nowhere what it raises for a stranger's values. Our own errors pass.

    Arguments:
        kind: The class of the error.
        failed: What failed, the beginning of its message.
        remedy: What to do, a sentence.
    """
    try:
        yield
    except GenzooError:
        raise
    except BaseException as error:
        # pyo3 derives its PanicException from BaseException and does not export it.
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        more = f". {remedy}" if remedy else ""
        raise kind(f"{failed}: {in_one_line(error)}{more}") from error


@contextlib.contextmanager
def loading(what: str) -> Iterator[None]:
    """Turn any error of another library into a refusal to load ``what``.

    Raises:
        LoadError: An error was raised that is not one of genzoo's errors of loading.
    """
    failed = f"{what} cannot be loaded"
    try:
        with foreign_errors(LoadError, failed):
            yield
    except ConfigError as error:
        raise LoadError(f"{failed}: {error}") from error


def in_one_line(error: BaseException) -> str:
    """Return an error's message in one line, cut to 300 characters; its type if it has none."""
    text = " ".join(str(error).split()).rstrip(".") or type(error).__name__
    return text if len(text) <= _LONG else f"{text[:_LONG]}…"
