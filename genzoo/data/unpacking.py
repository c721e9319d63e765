"""The memory that files of arrays need, from their headers, before anything is unpacked.

A megabyte can unpack to a gigabyte. So a file's headers are read first, within bounds, and the
size that they state is compared with a limit that the user can raise.
"""

from __future__ import annotations

import math
import struct
import zipfile
from pathlib import Path
from typing import IO, Annotated, Any

from numpy.lib import format as npy
from safetensors import safe_open

from genzoo.config import Bounds
from genzoo.data.arrays.mapping import HEADERS, can_map, is_archive, start_of
from genzoo.data.arrays.names import part_of
from genzoo.errors import DataError

MAX_BYTES = 2**30
"""The default limit of memory for arrays of a file."""
MaxBytes = Annotated[int, Bounds(1, 2**45)]
"""The type of the config field with this limit."""
_MAX_ARRAYS, _MAX_DIRECTORY, _MAX_HEADER = 1000, 2**20, 2**20
_UNPACKED = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


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
    """Return the bytes of memory that the arrays of a file take, from its headers.

    Arrays that are mapped take none. Labels become 64-bit integers; others stay as they are.

    Raises:
        OSError, ValueError, and what the readers of the formats raise: It is damaged, or of a
            kind that is not read.
    """
    if path.suffix.lower() == ".safetensors":
        return _of_safetensors(path)
    with path.open("rb") as file:
        return _of_npz(file) if is_archive(file) else _of_npy(file, path.stat().st_size, "x", 0)


def _of_npy(file: IO[bytes], length: int, name: str, start: int | None) -> int:
    """Return the bytes of an array in a file of a given length, reading only the header.

    Arguments:
        file: The file, at its begin.
        length: Its length.
        name: The array's name.
        start: Where the file begins in the one that can be mapped; None if it is packed.
    """
    version = npy.read_magic(file)
    if version not in HEADERS:
        raise ValueError(f"its header is of version {version}, which plain arrays do not need")
    shape, _, dtype = HEADERS[version](file)
    if dtype.hasobject:
        return 0  # numpy refuses these before anything is read.
    there = length - file.tell()
    if any(side < 0 for side in shape):
        raise ValueError(f"its header states the shape {tuple(shape)}")
    if math.prod(shape) * dtype.itemsize > there:
        raise ValueError(f"its header states the shape {shape}, but {there} bytes follow")
    if _is_label(name):
        return int(math.prod(shape) * max(8, dtype.itemsize))
    mapped = start is not None and can_map(dtype, start + file.tell())
    return 0 if mapped else int(math.prod(shape) * dtype.itemsize)


def _of_npz(file: IO[bytes]) -> int:
    bounded: Any = _Bounded(file)
    with zipfile.ZipFile(bounded) as archive:
        bounded.most = None
        entries = archive.infolist()
        if len(entries) > _MAX_ARRAYS:
            raise ValueError(f"it holds {len(entries)} arrays; {_MAX_ARRAYS} are allowed")
        return sum(_of_entry(file, archive, entry) for entry in entries)


def _of_entry(file: IO[bytes], archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> int:
    if entry.compress_type not in _UNPACKED:
        raise ValueError(f"{entry.filename!r} is packed in a way that numpy does not use")
    if not entry.filename.endswith(".npy"):
        return entry.file_size
    start, name = start_of(file, entry), entry.filename.removesuffix(".npy")
    with archive.open(entry) as member:
        return _of_npy(member, entry.file_size, name, start)


def _of_safetensors(path: Path) -> int:
    """Return the bytes of the labels; all other tensors are mapped."""
    with path.open("rb") as file:
        (length,) = struct.unpack("<Q", file.read(8).ljust(8, b"\0"))
    if length > _MAX_HEADER:
        raise ValueError(f"its header has {length:,} bytes; {_MAX_HEADER:,} are allowed")
    with safe_open(path, framework="np") as tensors:
        names = [name for name in tensors.keys() if _is_label(name)]  # noqa: SIM118
        return sum(8 * int(math.prod(tensors.get_slice(name).get_shape())) for name in names)


def _is_label(name: str) -> bool:
    part = part_of(name)
    return part is not None and part.role == "label"


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
