"""What the writer of shards states about their rows: the space of each field."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from genzoo.data.streams.disk import Files
from genzoo.errors import DataError, GenzooError
from genzoo.files import replace_text
from genzoo.parsing import strict_json
from genzoo.spaces import Space

NAME = "genzoo-data.json"
"""The name of the file, next to the shards or in the folder above."""
_VERSION, _MOST_BYTES = 1, 2**22


def write_sheet(folder: Path, fields: Mapping[str, Space]) -> None:
    """Write the spaces of the rows in a folder of shards.

    Raises:
        DiskFullError: No space is left.
    """
    values = {name: space.to_dict() for name, space in fields.items()}
    text = json.dumps({"version": _VERSION, "fields": values}, indent=1, ensure_ascii=False)
    replace_text(folder / NAME, f"{text}\n")


def read_sheet(folders: Iterable[str], files: Files) -> Mapping[str, Space]:
    """Return the spaces that are stated in the first of some folders that states any.

    Arguments:
        folders: The paths or URLs of folders.
        files: Reads files.

    Raises:
        DataError: The file is damaged, or of another version.
    """
    for path in (f"{folder}/{NAME}" for folder in folders):
        with contextlib.suppress(FileNotFoundError, NotADirectoryError, PermissionError):
            return _fields_of(path, files.content(path, _MOST_BYTES))
    return {}


def _fields_of(path: str, content: bytes) -> Mapping[str, Space]:
    try:
        values = strict_json(content.decode("utf-8"))
        if values["version"] != _VERSION:
            raise ValueError(f"it has the version {values['version']}")
        return {str(name): Space.from_dict(one) for name, one in values["fields"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, GenzooError) as error:
        first = str(error).strip().partition("\n")[0].rstrip(".")
        raise DataError(
            f"{path!r} cannot be read: {first}. Export the data again, or remove the file."
        ) from error
