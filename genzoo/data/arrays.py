"""Arrays in files: .npz, .npy, .safetensors."""

from __future__ import annotations

import struct
import tokenize
import zipfile
import zlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from safetensors import SafetensorError
from safetensors.torch import load_file

from genzoo.config import Bounds
from genzoo.data.dataset import DataConfig, Dataset, DataSource
from genzoo.data.from_array import from_array
from genzoo.data.unpacking import MAX_BYTES, MaxBytes, check_file, check_size, size_of
from genzoo.errors import DataError

_SPLITS = ("train", "valid", "test")
_SINGLE = ("x", "data", "images")
_UNREADABLE = (
    OSError,
    ValueError,
    EOFError,
    MemoryError,
    OverflowError,
    RuntimeError,
    SyntaxError,
    TypeError,
    SafetensorError,
    struct.error,
    tokenize.TokenError,
    zipfile.BadZipFile,
    zlib.error,
)


@dataclass(frozen=True, kw_only=True)
class ArraysConfig(DataConfig):
    """Arrays in a file."""

    scale: Annotated[float, Bounds(1e-30, 1e30)] = 1.0
    """The divisor of all values, such as 255."""
    max_bytes: MaxBytes = MAX_BYTES
    """Arrays with more bytes are refused before they are unpacked."""


class Arrays(DataSource[ArraysConfig]):
    """An array file. Arrays named train, valid and test are splits, label_train etc. their labels.

    A file with one array, or with one named x, data or images (and possibly ``label``), has only
    the split "train". Nothing in a file is unpickled.
    """

    Config = ArraysConfig
    located = True

    def splits(self) -> tuple[str, ...]:
        """Return the splits that the file holds."""
        named = tuple(split for split in _SPLITS if split in self._arrays)
        return named or ("train",)

    def load(self, split: str) -> Dataset:
        """Return the rows of one split."""
        key = split if split in self._arrays else self._single()
        label = self._arrays.get(f"label_{split}", self._arrays.get("label"))
        name = f"{Path(self.location).name}:{key}"
        return from_array(self._arrays[key], name, label=label, scale=self.config.scale)

    def _single(self) -> str:
        named = [name for name in _SINGLE if name in self._arrays]
        found = named or [name for name in self._arrays if not name.startswith("label")]
        if len(found) != 1:
            raise DataError(
                f"{self.location} holds {', '.join(self._arrays) or 'no array'}: it is not clear "
                "which are the rows. Name them train, valid and test, or x."
            )
        return found[0]

    @cached_property
    def _arrays(self) -> dict[str, Any]:
        path = Path(self.location)
        if not path.exists():
            raise DataError(f"There is no file {self.location!r}. Check the path.")
        try:
            check_file(path)
            check_size(size_of(path), self.config.max_bytes, path)
            return _read(path)
        except _UNREADABLE as error:
            raise DataError(
                f"{self.location!r} cannot be read: {error}. Write it again, with numpy.savez or "
                "safetensors, without Python objects."
            ) from error


def _read(path: Path) -> dict[str, Any]:
    if path.suffix == ".safetensors":
        return dict(load_file(path))
    found = np.load(path, allow_pickle=False)
    if isinstance(found, np.ndarray):
        return {"x": found}
    with found:
        return dict(found)
