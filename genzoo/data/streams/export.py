"""Datasets written as shards, which `genzoo` and other libraries stream."""

from __future__ import annotations

import io
import os
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from genzoo.data.dataset import Dataset
from genzoo.data.domains import TwoDomains
from genzoo.data.libraries import library
from genzoo.data.streams.sheet import write_sheet
from genzoo.errors import DataError, GenzooError
from genzoo.files import disk_full_named, own_folder
from genzoo.progress import progress_bar
from genzoo.spaces import Space
from genzoo.spec import DataInfo

Format = Literal["parquet", "webdataset"]
"""The formats of shards that are written."""
_ENDINGS: dict[str, str] = {"parquet": ".parquet", "webdataset": ".tar"}
_AT_ONCE = 2**22
"""The bytes of rows that are written at once; of Parquet, a row group."""
_WHOLE = (np.uint8, np.uint16, np.int32, np.int64)


def export(splits: dict[str, Dataset], folder: Path, kind: Format, num_rows: int) -> list[Path]:
    """Write the splits of a dataset as shards into a new folder, and return their paths.

    Images of bytes are written as PNG, other values as the whole numbers of their levels or as
    float32. What decides their spaces is written next to the shards, so that the rows that are
    streamed back are equal.

    Arguments:
        splits: The rows of each split.
        folder: The folder, which must not exist.
        kind: The format of the shards.
        num_rows: The most rows of a shard.

    Raises:
        GenzooError: The folder exists.
        DataError: A dataset has two domains.
        DiskFullError: No space is left; the folder is not made.
    """
    if folder.exists():
        raise GenzooError(f"{str(folder)!r} exists. Give another folder, or remove it.")
    for data in splits.values():
        if isinstance(data, TwoDomains):
            raise DataError(f"{data.name} has two domains. Export each of them by itself.")
    folder.parent.mkdir(parents=True, exist_ok=True)
    total = sum(map(len, splits.values()))
    with (
        disk_full_named(folder),
        own_folder(folder.parent) as work,
        progress_bar("Writing rows", "row", total) as shown,
    ):
        made = work / folder.name
        made.mkdir()
        names = []
        for split, data in splits.items():
            num = max(1, -(-len(data) // num_rows))
            ends = [len(data) * (shard + 1) // num for shard in range(num)]
            for shard, (first, last) in enumerate(zip([0, *ends], ends, strict=False)):
                name = f"{split}-{shard:05d}-of-{num:05d}{_ENDINGS[kind]}"
                _WRITERS[kind](made / name, data, range(first, last), split)
                names.append(name)
                shown.update(last - first)
        write_sheet(made, next(iter(splits.values())).info.fields)
        made.chmod(0o755)
        os.replace(made, folder)
    return [folder / name for name in names]


def _write_parquet(path: Path, data: Dataset, rows: range, split: str) -> None:
    datasets = library("datasets", "Parquet shards")
    arrow, parquet = library("pyarrow", "Parquet shards"), library("pyarrow.parquet", "shards")
    features = {name: _feature(name, data.info) for name in data.info.fields}
    schema = datasets.Features(features).arrow_schema
    with parquet.ParquetWriter(path, schema, compression="zstd") as writer:
        for batch in _batches(data, rows):
            columns = {
                name: _column(values, data.info[name], schema.field(name).type)
                for name, values in batch.items()
            }
            writer.write_table(arrow.table(columns, schema=schema), row_group_size=len(rows))


def _feature(name: str, info: DataInfo) -> Any:
    """Return the feature of the package `datasets` for a field."""
    datasets, space = library("datasets", "Parquet shards"), info[name]
    if _holds_texts(space):
        return datasets.Value("string")
    if name == "x" and _are_pictures(info):
        return datasets.Image()
    if not space.event_shape and space.value_names():
        return datasets.ClassLabel(names=list(space.value_names()))
    kind = datasets.Value(str(_stored(torch.zeros(1, *space.event_shape), space).dtype))
    shape = space.event_shape if space.event_shape != (1,) or name == "x" else ()
    for size in reversed(shape):
        kind = datasets.List(kind, length=size)
    return kind


def _column(values: Any, space: Space, kind: Any) -> Any:
    """Return values as an array of pyarrow."""
    arrow, types = library("pyarrow", "Parquet shards"), library("pyarrow.types", "shards")
    if _holds_texts(space):
        return arrow.array(list(values), kind)
    if types.is_struct(kind):
        return arrow.array([{"bytes": png, "path": None} for png in _pngs(values)], kind)
    stored = _stored(values, space)
    sizes, found = [], arrow.array(stored.reshape(-1))
    while types.is_fixed_size_list(kind):
        sizes.append(kind.list_size)
        kind = kind.value_type
    for size in reversed(sizes):
        found = arrow.FixedSizeListArray.from_arrays(found, size)
    return found


def _write_tar(path: Path, data: Dataset, rows: range, split: str) -> None:
    number = rows.start
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as tar:
        for batch in _batches(data, rows):
            columns = [
                (ending, files)
                for name, values in batch.items()
                for ending, files in [_files(name, values, data.info)]
            ]
            for place in range(len(batch["x"])):
                for ending, files in columns:
                    member = tarfile.TarInfo(f"{split}-{number:09d}.{ending}")
                    member.size = len(files[place])
                    tar.addfile(member, io.BytesIO(files[place]))
                number += 1


def _files(name: str, values: Any, info: DataInfo) -> tuple[str, list[bytes]]:
    """Return the ending of the files of a field, and the content of each."""
    space = info[name]
    if _holds_texts(space):
        return ("txt" if name == "text" else f"{name}.txt"), [v.encode() for v in values]
    if name == "x" and _are_pictures(info):
        return "png", _pngs(values)
    stored = _stored(values, space)
    if not space.event_shape and stored.dtype.kind in "iu":
        ending = "cls" if name == "label" else f"{name}.cls"
        return ending, [str(int(value)).encode() for value in stored]
    return ("npy" if name == "x" else f"{name}.npy"), [_npy(row) for row in stored]


def _npy(row: np.ndarray[Any, Any]) -> bytes:
    file = io.BytesIO()
    np.save(file, row, allow_pickle=False)
    return file.getvalue()


def _pngs(values: Tensor) -> list[bytes]:
    """Return images as files of PNG."""
    found = []
    for row in (values * 255).round().to(torch.uint8).numpy():
        file = io.BytesIO()
        plain = row[0] if len(row) == 1 else np.ascontiguousarray(row.transpose(1, 2, 0))
        Image.fromarray(plain).save(file, "PNG")
        found.append(file.getvalue())
    return found


def _holds_texts(space: Space) -> bool:
    """Whether rows are strings."""
    return isinstance(space.null, str)


def _are_pictures(info: DataInfo) -> bool:
    """Whether rows are images of bytes, which PNG holds exactly, without further fields."""
    space, shape = info["x"], info["x"].event_shape
    channels = len(shape) == 3 and shape[0] in (1, 3)
    levels = space.num_values == 256 and space.bounds == (0, 1)
    return channels and levels and set(info.fields) <= {"x", "label", "text"}


def _stored(values: Tensor, space: Space) -> np.ndarray[Any, Any]:
    """Return values as they are stored: levels and categories as the smallest whole numbers."""
    if space.dtype.is_floating_point and (space.num_values is None or space.bounds is None):
        return values.numpy().astype(np.float32)
    if not space.event_shape:
        return values.numpy().astype(np.int64)  # Labels, of which −1 stands for none.
    if space.dtype.is_floating_point and space.bounds is not None and space.num_values:
        low, high = space.bounds
        values = ((values - low) * (space.num_values - 1) / (high - low)).round()
    most = (space.num_values or 2**31) - 1
    kind = next(one for one in _WHOLE if most <= np.iinfo(one).max)
    return values.numpy().astype(kind)


def _batches(data: Dataset, rows: range) -> Iterator[dict[str, Any]]:
    """Yield rows, about 4 MiB at a time."""
    values = data.batch([rows.start])["x"]
    size = max(1, values.numel() * values.element_size() // 4)
    at_once = max(1, _AT_ONCE // size)
    for first in range(rows.start, rows.stop, at_once):
        yield data.batch(range(first, min(first + at_once, rows.stop)))


_WRITERS = {"parquet": _write_parquet, "webdataset": _write_tar}
