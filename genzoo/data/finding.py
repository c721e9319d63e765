"""The source of data that a name or a path means."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from genzoo import registry
from genzoo.data.dataset import DataSource
from genzoo.data.hub.saved import is_saved
from genzoo.data.images.decoding import ENDINGS
from genzoo.data.streams.locations import is_pattern
from genzoo.data.streams.sheet import NAME as SHEET
from genzoo.data.tables.files import ENDINGS as TABLES, PARQUET, is_table
from genzoo.data.tables.parquet_file import holds_features
from genzoo.errors import ConfigError, DataError, UnknownNameError

_ARRAYS = (".npz", ".npy", ".safetensors")
_TEXT = (".txt",)
_REPOSITORY = re.compile(r"[\w.-]+/[\w.-]+")


def find_source(
    name_or_path: str | os.PathLike[str], config: Mapping[str, Any] | None = None
) -> tuple[type[DataSource], str]:
    """Return the source's class and its location.

    Arguments:
        name_or_path: A registered name, a path, which may begin with ~, or a Hub repository. A
            file's ending may be in any letter case. Patterns of files and URLs are streamed.
        config: The values of its config; ``streaming`` decides how shards are read.

    Raises:
        UnknownNameError: Neither a registered name nor a path.
        DataError: The file is not data, the folder may not be read, or the name is that of a
            reader.
        ConfigError: It is not a text or a path.
    """
    name = name_of(name_or_path)
    if (config or {}).get("streaming") or (is_pattern(name) and not os.path.exists(name)):
        return registry.load("datasets", "stream"), _streamed(name)
    if name in registry.names("datasets"):
        return _complete(registry.load("datasets", name), name), ""
    location = os.path.expanduser(name)
    path = Path(location)
    if name and os.path.isdir(path):
        return registry.load("datasets", _reader_of_folder(path)), location
    if (reader := _reader_of_file(path)) is not None:
        return registry.load("datasets", reader), location
    if os.path.isfile(path):
        endings = ", ".join((*_ARRAYS, *TABLES, *_TEXT))
        raise DataError(f"{name!r} is not a data file: use {endings}, or a folder of images.")
    if _REPOSITORY.fullmatch(name) and not os.path.isdir(path.parent):
        return registry.load("datasets", "hub"), name
    raise UnknownNameError("dataset (and no such path)", name, registry.names("datasets"))


def _streamed(name: str) -> str:
    """Return the location of shards; a dataset that is not in shards is refused."""
    if name in registry.names("datasets"):
        raise DataError(
            f"{name!r} has no shards to stream. Leave --data.streaming out, or write it as "
            f"shards: genzoo data export {name} --output shards."
        )
    return os.path.expanduser(name)


def name_of(name_or_path: Any) -> str:
    """Return a name or a path as text.

    Raises:
        ConfigError: It is neither.
    """
    if isinstance(name_or_path, os.PathLike):
        name_or_path = os.fspath(name_or_path)
    if isinstance(name_or_path, str):
        return name_or_path
    raise ConfigError(
        f"load_dataset takes a name or a path, not a {type(name_or_path).__name__}. What you hold "
        "is taken by as_dataset(data)."
    )


def _reader_of_file(path: Path) -> str | None:
    if path.suffix.lower() in _ARRAYS:
        return "arrays"
    if path.suffix.lower() in _TEXT:
        return "text-file"
    return _reader_of_table(path) if is_table(path.name) else None


def _reader_of_folder(folder: Path) -> str:
    try:
        names = os.listdir(folder)
    except OSError as error:
        raise DataError(
            f"The folder {str(folder)!r} cannot be read: {error.strerror}. Check its permissions."
        ) from error
    if SHEET in names:
        raise DataError(
            f"The folder {str(folder)!r} has shards of genzoo data export, which are streamed. "
            "Give --data.streaming, or in Python streaming=True."
        )
    if is_saved(names):
        return "saved"
    if any("-idx3-ubyte" in name for name in names):
        return "idx"
    table = _table_in(folder)
    return "images" if table is None else _reader_of_table(table)


def _reader_of_table(path: Path) -> str:
    is_parquet = path.suffix.lower() in PARQUET
    return "saved" if is_parquet and holds_features(path) else "tables"


def _table_in(folder: Path) -> Path | None:
    """Return a table in a folder without images; tables next to images describe these."""
    found = None
    for path in _files(folder):
        if path.name.lower().endswith(ENDINGS):
            return None
        found = path if found is None and is_table(path.name) else found
    return found


def _files(folder: Path) -> Iterator[Path]:
    for root, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith((".", "__"))]
        yield from (Path(root, name) for name in names)


def _complete(cls: type[DataSource], name: str) -> type[DataSource]:
    """Refuse the name of a reader in place of data."""
    if cls.located:
        raise DataError(
            f"{name!r} is a reader, not a dataset. Give the file, the folder or the "
            f"repository itself; ./{name} is a folder of that name."
        )
    return cls
