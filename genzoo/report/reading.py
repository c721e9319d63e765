"""Files of a folder that may be anybody's: inside it, of a modest size, or not at all."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from genzoo.errors import LoadError
from genzoo.files import check_inside

MAX_TEXT_BYTES = 2**20


@dataclass(frozen=True)
class Text:
    """A text file.

    Arguments:
        name: The file's name.
        text: What it says; None where it is missing or cannot be read.
        note: What a reader must know of that; empty where all is well.
    """

    name: str
    text: str | None
    note: str = ""


def inside(folder: Path, *parts: str) -> Path:
    """Return a path in the folder, no part of which is a link that leaves it.

    Raises:
        LoadError: One is.
    """
    path = folder
    for part in parts:
        path = path / part
        check_inside(path, folder)
    return path


def read_text(folder: Path, *parts: str) -> Text:
    """Read a text file, or say why not; past a size only its beginning."""
    name = "/".join(parts)
    try:
        path = inside(folder, *parts)
        if not path.exists():
            return Text(name, None)
        if not path.is_file():
            return Text(name, None, f"{name} is no file.")
        with path.open("rb") as file:
            raw = file.read(MAX_TEXT_BYTES + 1)
    except (OSError, LoadError) as error:
        return Text(name, None, f"{name} is not shown: {error}")
    text = raw[:MAX_TEXT_BYTES].decode("utf-8", "replace")
    cut = f"Only the first {MAX_TEXT_BYTES:,} bytes of {name} are shown."
    return Text(name, text, cut if len(raw) > MAX_TEXT_BYTES else "")


def changed_at(path: Path) -> str:
    """Return when a file was last written; empty where it is not there."""
    try:
        seconds = path.stat().st_mtime
    except OSError:
        return ""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")
