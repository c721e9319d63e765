"""Files of an untrusted folder, with checks of links and sizes."""

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
        text: Its text; None if it is missing or cannot be read.
        note: A remark about it, or empty.
    """

    name: str
    text: str | None
    note: str = ""


def inside(folder: Path, *parts: str) -> Path:
    """Return a path in the folder; no part of it may be a link out of the folder.

    Raises:
        LoadError: A part is such a link.
    """
    path = folder
    for part in parts:
        path = path / part
        check_inside(path, folder)
    return path


def read_text(folder: Path, *parts: str) -> Text:
    """Read a text file, or the reason why not; of a large file only the beginning."""
    name = "/".join(parts)
    try:
        path = inside(folder, *parts)
        if not path.exists():
            return Text(name, None)
        if not path.is_file():
            return Text(name, None, f"{name} is not a file.")
        with path.open("rb") as file:
            raw = file.read(MAX_TEXT_BYTES + 1)
    except (OSError, LoadError) as error:
        return Text(name, None, f"{name} is not shown: {error}")
    text = raw[:MAX_TEXT_BYTES].decode("utf-8", "replace")
    cut = f"Only the first {MAX_TEXT_BYTES:,} bytes of {name} are shown."
    return Text(name, text, cut if len(raw) > MAX_TEXT_BYTES else "")


def changed_at(path: Path) -> str:
    """Return the time of a file's last write; empty if it does not exist."""
    try:
        seconds = path.stat().st_mtime
    except OSError:
        return ""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")
