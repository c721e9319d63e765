"""Arrays that are mapped from files, so that only what is used is read."""

from __future__ import annotations

import errno
import struct
import zipfile
from pathlib import Path
from typing import IO, Any, Literal

import numpy as np
from numpy.lib import format as npy

HEADERS: dict[tuple[int, int], Any] = {
    (1, 0): npy.read_array_header_1_0,
    (2, 0): npy.read_array_header_2_0,
}
"""The readers of the headers of .npy by their versions."""
_ZIP = (b"PK\x03\x04", b"PK\x05\x06")
_LOCAL_HEADER = 30
_ENCRYPTED = 1


def is_archive(file: IO[bytes]) -> bool:
    """Whether a file is a .npz and not a .npy; its position becomes the begin."""
    file.seek(0)
    found = file.read(4) in _ZIP
    file.seek(0)
    return found


def can_map(dtype: np.dtype[Any], offset: int) -> bool:
    """Whether values of a type at an offset of a file can be used where they are.

    Others are read: in another byte order, not aligned, or of Python objects.
    """
    return not dtype.hasobject and dtype.isnative and offset % dtype.alignment == 0


def start_of(file: IO[bytes], entry: zipfile.ZipInfo) -> int | None:
    """Return where a file in an archive begins; None if it is packed."""
    if entry.compress_type != zipfile.ZIP_STORED or entry.flag_bits & _ENCRYPTED:
        return None
    file.seek(entry.header_offset)
    header = file.read(_LOCAL_HEADER)
    name, extra = struct.unpack_from("<2H", header, _LOCAL_HEADER - 4)
    return entry.header_offset + _LOCAL_HEADER + int(name) + int(extra)


def map_npy(path: Path, file: IO[bytes], start: int = 0) -> np.ndarray[Any, Any] | None:
    """Return an array in the form of .npy that is mapped; None if it must be read.

    Arguments:
        path: The path.
        file: The same file, open.
        start: Where the array's header begins.
    """
    file.seek(start)
    shape, fortran, dtype = HEADERS[npy.read_magic(file)](file)
    offset = file.tell()
    if not can_map(dtype, offset) or 0 in shape:
        return None
    return _mapped(path, dtype, shape, offset, "F" if fortran else "C")


def _mapped(
    path: Path, dtype: Any, shape: tuple[int, ...], offset: int, order: Literal["C", "F"]
) -> np.ndarray[Any, Any]:
    # Copy on write, because a change of rows in memory must not reach the file, and one of a
    # read-only mapping would end the process. The system grants that only up to its memory.
    try:
        return np.memmap(path, dtype, "c", offset, shape, order)
    except OSError as error:
        if error.errno != errno.ENOMEM:
            raise
        return np.memmap(path, dtype, "r", offset, shape, order)
