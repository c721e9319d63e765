"""Tar files of WebDataset: where each sample is, and its files as columns."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from genzoo.data.columns.column import Columns, as_column
from genzoo.data.images.decoding import ENDINGS as IMAGES
from genzoo.data.libraries import library
from genzoo.parsing import strict_json

TarIndex = list[dict[str, tuple[int, int]]]
"""For each sample, the offset and the bytes of each of its files, by ending."""
_LABELS, _TEXTS, _ROWS = ("cls", "cls2", "label"), ("txt", "text", "caption"), ("npy",)


def scan(path: Path) -> TarIndex:
    """Return where the samples of a tar file are, from its headers.

    The files of a sample have the same name up to the first dot, as in WebDataset.

    Raises:
        ValueError: Files of a sample do not lie next to each other, or the file is cut.
    """
    found: TarIndex = []
    keys: set[str] = set()
    last = None
    with tarfile.open(path, "r:") as opened:
        for member in opened:
            folder, slash, name = member.name.rpartition("/")
            if not member.isfile() or name.startswith("."):
                continue
            stem, _, ending = name.partition(".")
            key = f"{folder}{slash}{stem}"
            if key != last:
                if key in keys:
                    raise ValueError(f"the files of the sample {key!r} are not side by side")
                keys.add(key)
                found.append({})
                last = key
            found[-1][ending.lower()] = (member.offset_data, member.size)
            if member.offset_data + member.size > path.stat().st_size:
                raise ValueError(f"it ends inside {member.name!r}")
    return found


def read_samples(path: Path, samples: TarIndex) -> Any:
    """Return samples as a table of pyarrow if they have images, else as `Columns`.

    Images are the column "image". Class indices (.cls) are "label", texts (.txt) "text", arrays
    (.npy) "x", or what stands before the dot, as in x.npy. The keys of .json are columns.

    Raises:
        ValueError: Samples have different files, or one cannot be read.
    """
    columns: dict[str, list[Any]] = {}
    with path.open("rb") as file:
        for number, sample in enumerate(samples):
            values = _values(file, sample)
            if number and values.keys() != columns.keys():
                raise ValueError(
                    f"the sample {number} has {', '.join(values)}, and others {', '.join(columns)}"
                )
            for name, value in values.items():
                columns.setdefault(name, []).append(value)
    if "image" not in columns:
        kept = {name: as_column(values) for name, values in columns.items()}
        return Columns({name: values for name, values in kept.items() if values is not None})
    arrow = library("pyarrow", "Images of WebDataset")
    # What is not a single value cannot be a label or a caption of an image.
    single = (str, int, float, bool, type(None))
    return arrow.table(
        {
            name: values
            for name, values in columns.items()
            if name == "image" or all(isinstance(value, single) for value in values)
        }
    )


def _values(file: io.BufferedReader, sample: Mapping[str, tuple[int, int]]) -> dict[str, Any]:
    """Return the columns of one sample."""
    found: dict[str, Any] = {}
    for ending, (offset, size) in sample.items():
        file.seek(offset)
        content = file.read(size)
        if len(content) < size:
            raise ValueError("it ends inside a sample")
        before, _, kind = ending.rpartition(".")
        if f".{kind}" in IMAGES:
            found["image"] = {"bytes": content, "path": None}
        elif kind in _LABELS:
            found[before or "label"] = int(content.decode("ascii"))
        elif kind in _TEXTS:
            found[before or "text"] = content.decode("utf-8")
        elif kind in _ROWS:
            found[before or "x"] = np.load(io.BytesIO(content), allow_pickle=False)
        elif kind == "json":
            found |= _of_json(content)
    return found


def _of_json(content: bytes) -> dict[str, Any]:
    values = strict_json(content.decode("utf-8"))
    if not isinstance(values, dict):
        raise ValueError("a .json file of a sample is not a table of values")  # noqa: TRY004
    return {str(key): value for key, value in values.items()}
