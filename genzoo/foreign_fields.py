"""Configs of other libraries, read as data: bounded fields of an allow-list, and nothing else.

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
from genzoo.files import check_inside, strict_json

MAX_BYTES = 2**20
"""How large a JSON file that a library's config stands in may be."""
_LONG = 300


@dataclass(frozen=True, kw_only=True)
class ForeignFields(Config):
    """Fields of a config of another library, with that library's defaults; abstract."""

    _title: ClassVar[str] = "the field "


@dataclass(frozen=True, kw_only=True)
class Allowed:
    """What may stand in a config of another library.

    Arguments:
        fields: The schema, with bounds, of what is passed on. Its defaults are the library's.
        inert: Further names, each with the values at which they change nothing.
        ignored: Names that are not passed on, whatever they hold, because what is computed does
            not depend on them.
    """

    fields: type[ForeignFields]
    inert: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    ignored: frozenset[str] = frozenset()

    def passed(self, found: Mapping[str, Any], where: str) -> dict[str, Any]:
        """Return the fields to pass on, those too that ``found`` leaves to their defaults.

        Arguments:
            found: What the config holds.
            where: What to call it in an error.

        Raises:
            ConfigFileError: It holds a name or a value that is not allowed.
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
                f"{where}: the field {shown(name)} is not one that is read, so it is refused. "
                f"{suggest(name, field_types(self.fields))}"
            )


def check_file(path: Path, folder: Path) -> None:
    """Refuse what is no file, such as a pipe to wait for, and a link out of its folder.

    Raises:
        LoadError: It is.
    """
    check_inside(path, folder)
    if not path.is_file():
        raise ConfigFileError(f"{path} is no file, so it is not read. Fetch or save it again.")


def read_object(path: Path, most: int = MAX_BYTES) -> dict[str, Any]:
    """Return the object that a JSON file of a folder holds, strictly.

    Raises:
        LoadError: It is missing, malformed, larger than ``most`` bytes, a link, or no object.
    """
    check_file(path, path.parent)
    try:
        if path.stat().st_size > most:
            raise ValueError(f"it is larger than {most:,} bytes")
        found = strict_json(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigFileError(f"{path} cannot be read: {error}.") from error
    if not isinstance(found, dict):
        raise ConfigFileError(f"{path} must hold an object, got a {type(found).__name__}.")
    return found


@contextlib.contextmanager
def refusing(what: str) -> Iterator[None]:
    """Turn whatever another library raises into a refusal, to load ``what``.

    Raises:
        LoadError: Something was raised that is not one of our own errors of loading.
    """
    try:
        yield
    except GenzooError as error:
        if isinstance(error, ConfigError):
            raise LoadError(f"{what} cannot be loaded: {error}") from error
        raise
    except Exception as error:  # The library says nowhere what it raises for a stranger's values.
        raise LoadError(f"{what} cannot be loaded: {in_one_line(error)}") from error
    except BaseException as error:
        if not is_panic(error):
            raise
        raise LoadError(f"{what} cannot be loaded: {in_one_line(error)}") from error


def is_panic(error: BaseException) -> bool:
    """Whether an error is what a library in Rust raises when it gives up.

    pyo3 derives its PanicException from BaseException, and gives no name to import it by.
    """
    return type(error).__name__ == "PanicException"


def in_one_line(error: BaseException) -> str:
    """Return an error's message in one line, cut to 300 characters; its type if it has none."""
    text = " ".join(str(error).split()).rstrip(".") or type(error).__name__
    return text if len(text) <= _LONG else f"{text[:_LONG]}…"
