"""The text of a file."""

from __future__ import annotations

from pathlib import Path

from genzoo.data.unpacking import MAX_BYTES, check_file, check_size
from genzoo.errors import DataError


def read_text(path: Path, most: int = MAX_BYTES) -> str:
    r"""Return the text of a file in UTF-8, with "\n" as the end of each line.

    Arguments:
        path: The file.
        most: The maximum size of the file in bytes.

    Raises:
        DataError: It is missing, unreadable, larger, empty, or not in UTF-8.
    """
    try:
        check_file(path)
        check_size(path.stat().st_size, most, path)
        raw = path.read_bytes()
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line, byte = raw[: error.start].count(b"\n") + 1, raw[error.start]
        raise DataError(
            f"{str(path)!r} is not text in UTF-8: the byte 0x{byte:02x} in line {line} is not "
            "part of a character. Convert it, as with: iconv -f latin1 -t utf-8."
        ) from error
    except FileNotFoundError as error:
        raise DataError(f"There is no file {str(path)!r}. Check the path.") from error
    except (OSError, ValueError) as error:
        raise DataError(f"{str(path)!r} cannot be read: {error}.") from error
    if not text:
        raise DataError(f"{str(path)!r} is empty: it has no characters. Give another file.")
    return text.replace("\r\n", "\n").replace("\r", "\n")
