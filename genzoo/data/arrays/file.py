"""Arrays in files: .npz, .npy, .safetensors."""

from __future__ import annotations

import struct
import tokenize
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import IO, Annotated, Any

import numpy as np
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from genzoo.config import Bounds
from genzoo.data.arrays.from_array import from_array
from genzoo.data.arrays.mapping import is_archive, map_npy, start_of
from genzoo.data.arrays.names import Contents, contents_of
from genzoo.data.arrays.splits import is_counted, shared_space
from genzoo.data.columns.classes import Classes, are_classes, classes_of
from genzoo.data.columns.column import as_numpy
from genzoo.data.columns.label_notes import on_labels
from genzoo.data.config import DataConfig
from genzoo.data.dataset import Dataset, DataSource
from genzoo.data.fields import label_space
from genzoo.data.labelling import UNKNOWN
from genzoo.data.natural_order import natural_key
from genzoo.data.unpacking import MAX_BYTES, MaxBytes, check_file, check_size, size_of
from genzoo.errors import DataError
from genzoo.spaces import Space

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

    scale: Annotated[float | None, Bounds(1e-30, 1e30)] = None
    """The divisor of all values, such as 255 (default: inferred)."""
    max_bytes: MaxBytes = MAX_BYTES
    """Arrays that unpack to more bytes are refused; those that are mapped need no memory."""


class Arrays(DataSource[ArraysConfig]):
    """An array file. Arrays named train, valid and test are splits, label_train etc. their labels.

    Names such as ``x_train``, ``train_images``, ``X``, ``y``, ``labels`` and ``captions`` are
    understood in any case. A file with one array has only the split "train". An array that is
    stored without compression is mapped: only rows that are used are read, and the file must not
    be changed while it is in use. Nothing in a file is unpickled.
    """

    Config = ArraysConfig
    located = True

    def splits(self) -> tuple[str, ...]:
        """Return the splits that the file holds."""
        return tuple(self._contents.rows)

    def load(self, split: str) -> Dataset:
        """Return the rows of one split."""
        contents, numbers = self._contents, self._numbers(split)
        dataset = from_array(
            self._arrays[contents.rows[split]],
            self._name(split),
            label=None if numbers else self._label(split),
            label_names=self._class_names,
            text=self._text(split),
            scale=self.config.scale,
            space=self.config.reading,
            like=self._like(split),
        )
        if "label" in dataset.info and not self._class_names:
            space = label_space(max(map(self._num_classes, self.splits())))
            dataset.info = dataset.info.with_field("label", space)
        if dataset.label is not None:
            known = Classes(dataset.label.numpy(), tuple(self._class_names))
            dataset.notes = (*dataset.notes, *on_labels(known))
        left_out = [
            *contents.left_out,
            *(f"{key} (not one class for each row)" for key in numbers),
        ]
        if left_out:
            dataset.notes += (f"left out of the file: {', '.join(left_out)}",)
        return dataset

    def _name(self, split: str) -> str:
        return f"{Path(self.location).name}:{self._contents.rows[split]}"

    def _like(self, split: str) -> Space | None:
        """Return the space that the rows of a split must have; None if it follows from them."""
        counted = is_counted(self.config.reading, self.config.scale) and len(self.splits()) > 1
        return self._space if counted or split != self.splits()[0] else None

    @cached_property
    def _space(self) -> Space:
        """The space of all splits."""
        arrays = [self._arrays[key] for key in self._contents.rows.values()]
        config, name = self.config, self._name(self.splits()[0])
        return shared_space(arrays, name, scale=config.scale, space=config.reading)

    def _numbers(self, split: str) -> list[str]:
        """Return the name of a split's targets if they are numbers or rows, and not classes."""
        key = self._contents.labels.get(split)
        if key is None or "label" in key.lower() or _are_classes(self._arrays[key]):
            return []
        return [key]

    def _label(self, split: str) -> Any:
        key = self._contents.labels.get(split)
        given = None if key is None else self._arrays[key]
        if given is None:
            return None
        if _is_float(given):
            return classes_of(_numpy(given), f"The array {key!r} of {self.location}").index
        if not _is_text(given):
            return given
        index = {name: i for i, name in enumerate(self._class_names)}
        return np.array([index.get(name, UNKNOWN) for name in given.tolist()])

    def _num_classes(self, split: str) -> int:
        label = self._label(split)
        return 1 if label is None or self._numbers(split) else int(label.max()) + 1

    @cached_property
    def _class_names(self) -> list[str]:
        """The names of the classes of all splits, if labels are texts; the empty text is none."""
        arrays = [self._arrays[key] for key in self._contents.labels.values()]
        names = {name for array in arrays if _is_text(array) for name in array.tolist()}
        return sorted(names - {""}, key=natural_key)

    def _text(self, split: str) -> list[str] | None:
        key = self._contents.texts.get(split)
        return None if key is None else list(map(str, self._arrays[key]))

    @cached_property
    def _contents(self) -> Contents:
        return contents_of(self._arrays, self.location)

    @cached_property
    def _arrays(self) -> Mapping[str, Any]:
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


def _is_text(array: Any) -> bool:
    return isinstance(array, np.ndarray) and array.dtype.kind == "U" and array.ndim == 1


def _are_classes(array: Any) -> bool:
    """Whether values can be classes: one text or whole number for each row."""
    if tuple(array.shape[1:]) not in ((), (1,)):
        return False
    if _is_float(array):
        return are_classes(_numpy(array))
    return _is_text(array) or _numpy(array).dtype.kind in "bui"


def _is_float(array: Any) -> bool:
    return bool(_numpy(array).dtype.kind == "f") and tuple(array.shape[1:]) in ((), (1,))


def _numpy(array: Any) -> np.ndarray[Any, Any]:
    return as_numpy(array) if isinstance(array, Tensor) else np.asarray(array)


def _read(path: Path) -> Mapping[str, Any]:
    """Return the arrays of a file, mapped where that is possible."""
    if path.suffix.lower() == ".safetensors":
        return dict(load_file(path))
    with path.open("rb") as file:
        if not is_archive(file):
            found = map_npy(path, file)
            return {"x": np.load(path, allow_pickle=False) if found is None else found}
        with zipfile.ZipFile(file) as archive, np.load(path, allow_pickle=False) as packed:
            names = zip(packed.files, archive.infolist(), strict=True)
            mapped = {name: _mapped_member(path, file, entry) for name, entry in names}
            return {name: packed[name] if x is None else x for name, x in mapped.items()}


def _mapped_member(path: Path, file: IO[bytes], entry: zipfile.ZipInfo) -> Any:
    start = start_of(file, entry) if entry.filename.endswith(".npy") else None
    return None if start is None else map_npy(path, file, start)
