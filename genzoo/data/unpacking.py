"""The memory that files of arrays need, from their headers, before anything is unpacked.

A megabyte can unpack to a gigabyte. So a file's headers are read first, within bounds, and the
size that they state is compared with a limit that the user can raise.
"""

from __future__ import annotations

import math
import struct
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Annotated, Any

from numpy.lib import format as npy
from safetensors import safe_open

from genzoo.config import Bounds
from genzoo.errors import DataError

MAX_BYTES = 2**30
"""The default limit of memory for arrays of a file."""
MaxBytes = Annotated[int, Bounds(1, 2**45)]
"""The type of the config field with this limit."""
_MAX_ARRAYS, _MAX_DIRECTORY, _MAX_HEADER = 1000, 2**20, 2**20
_UNPACKED = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_ZIP = (b"PK\x03\x04", b"PK\x05\x06")
_HEADERS = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
_SMALL = ("uint8", "bool", "U8", "BOOL")


def check_size(size: int, most: int, what: object) -> None:
    """Refuse data that need more memory than allowed.

    Raises:
        DataError: They do.
    """
    if size > most:
        raise DataError(
            f"{what} would take {size:,} bytes once it is unpacked; {most:,} are allowed. If it "
            f"is meant to be that large, raise the limit: --data.max-bytes {size}."
        )


def check_file(path: Path) -> None:
    """Refuse a path that is not a plain file, such as a pipe or a device, which may never end.

    Raises:
        ValueError: It is not a plain file.
    """
    if path.exists() and not path.is_file():
        raise ValueError("it is not a plain file")


def size_of(path: Path) -> int:
    """Return the bytes of the arrays of a file as rows, from its headers.

    Bytes stay bytes, labels become 64-bit integers, other values take at least four bytes each.

    Raises:
        OSError, ValueError, and what the readers of the formats raise: It is damaged, or of a
            kind that is not read.
    """
    if path.suffix == ".safetensors":
        return _of_safetensors(path)
    with path.open("rb") as file:
        start = file.read(4)
        file.seek(0)
        return _of_npz(file) if start in _ZIP else _of_npy(file, path.stat().st_size, "")


def _of_npy(file: IO[bytes], length: int, name: str) -> int:
    """Return the bytes of an array in a file of a given length, reading only the header."""
    version = npy.read_magic(file)
    if version not in _HEADERS:
        raise ValueError(f"its header is of version {version}, which plain arrays do not need")
    shape, _, dtype = _HEADERS[version](file)
    if dtype.hasobject:
        return 0  # numpy refuses these before anything is read.
    size, there = _size(shape, dtype.itemsize, dtype.name, name), length - file.tell()
    if math.prod(shape) * dtype.itemsize > there:
        raise ValueError(f"its header states the shape {shape}, but {there} bytes follow")
    return size


def _of_npz(file: IO[bytes]) -> int:
    bounded: Any = _Bounded(file)
    with zipfile.ZipFile(bounded) as archive:
        bounded.most = None
        entries = archive.infolist()
        if len(entries) > _MAX_ARRAYS:
            raise ValueError(f"it holds {len(entries)} arrays; {_MAX_ARRAYS} are allowed")
        return sum(_of_entry(archive, entry) for entry in entries)


def _of_entry(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> int:
    if entry.compress_type not in _UNPACKED:
        raise ValueError(f"{entry.filename!r} is packed in a way that numpy does not use")
    if not entry.filename.endswith(".npy"):
        return entry.file_size
    with archive.open(entry) as file:
        return max(entry.file_size, _of_npy(file, entry.file_size, entry.filename))


def _of_safetensors(path: Path) -> int:
    with path.open("rb") as file:
        (length,) = struct.unpack("<Q", file.read(8).ljust(8, b"\0"))
    if length > _MAX_HEADER:
        raise ValueError(f"its header has {length:,} bytes; {_MAX_HEADER:,} are allowed")
    with safe_open(path, framework="np") as tensors:
        parts = ((name, tensors.get_slice(name)) for name in tensors.keys())  # noqa: SIM118
        sizes = (_size(t.get_shape(), 0, t.get_dtype(), name) for name, t in parts)
        return max(sum(sizes), path.stat().st_size)


def _size(shape: Sequence[int], itemsize: int, dtype: str, name: str) -> int:
    """Return the bytes of an array, stored or as rows, whichever is more."""
    if any(length < 0 for length in shape):
        raise ValueError(f"its header states the shape {tuple(shape)}")
    as_rows = 8 if name.startswith("label") else 1 if dtype in _SMALL else 4
    return math.prod(shape) * max(itemsize, as_rows)


class _Bounded:
    """A file that limits the bytes per read to ``most``.

    The list of files of a zip is read at once, with the length that the file claims.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.most: int | None = _MAX_DIRECTORY

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes."""
        if self.most is None:
            return self._file.read(size)
        found = self._file.read(self.most + 1 if size < 0 else min(size, self.most + 1))
        if len(found) > self.most:
            raise ValueError(f"its list of arrays has over {self.most:,} bytes")
        return found

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)
