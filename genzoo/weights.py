"""Weight files: headers are checked before a tensor is read, tensors before they are used."""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import IO, Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from genzoo.config import shown
from genzoo.errors import WeightsError
from genzoo.files import read_text
from genzoo.model_files import INDEX
from genzoo.parsing import strict_json

# Parsing JSON takes about thirty times its size in memory. The bounds limit a hostile file to tens
# of megabytes, and leave ample room for the models of the zoo.
MAX_HEADER_BYTES = 2**20
MAX_TENSORS = 10_000
MAX_FILES = 1_000
DTYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}
Header = dict[str, tuple[torch.dtype, tuple[int, ...]]]
"""Type and shape of each tensor of a file."""
_FILE_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*\.safetensors")
_CHUNK = 2**24
_MAX_DIMENSIONS = 64


class WeightFiles:
    """The weight files of a folder, with their headers read and checked.

    Arguments:
        folder: Their folder, even if they are not yet fetched.
        headers: Each file with the result of `read_header`; consumed one by one, so that too many
            are noticed before all are in memory.
        prefixes: The prefix of a file's tensors in the model; none for a file that is not named.

    Raises:
        WeightsError: Two files hold the same tensor, or there are too many tensors.
    """

    def __init__(
        self,
        folder: Path,
        headers: Iterable[tuple[Path, Header]],
        prefixes: Mapping[Path, str] | None = None,
    ) -> None:
        self.folder, self.prefixes = folder, dict(prefixes or {})
        self.headers: dict[str, tuple[Path, torch.dtype, tuple[int, ...]]] = {}
        for path, header in headers:
            for own, (dtype, shape) in header.items():
                name = self.prefixes.get(path, "") + own
                if name in self.headers:
                    raise WeightsError(f"{path}: the tensor {shown(name)} is in two files.")
                self.headers[name] = path, dtype, shape
            _check_count(self.headers, folder)

    def num_bytes(self) -> int:
        """Return the memory of the tensors."""
        return sum(math.prod(shape) * dtype.itemsize for _, dtype, shape in self.headers.values())

    def check(self, expected: Mapping[str, Tensor]) -> None:
        """Compare names, shapes and types with those of the model that the config describes.

        Raises:
            WeightsError: They differ; the message names the first tensors that do.
        """
        missing = sorted(expected.keys() - self.headers.keys())
        added = sorted(self.headers.keys() - expected.keys())
        if missing or added:
            parts = [f"missing: {_some(missing)}"] * bool(missing)
            parts += [f"not the model's: {_some(added)}"] * bool(added)
            raise WeightsError(self._mismatch("; ".join(parts)))
        for name, tensor in expected.items():
            path, dtype, shape = self.headers[name]
            if shape != tuple(tensor.shape) or dtype != tensor.dtype:
                raise WeightsError(
                    self._mismatch(
                        f"{shown(name)} is {_describe(shape, dtype)} in {path.name}, and "
                        f"{_describe(tuple(tensor.shape), tensor.dtype)} by the config"
                    )
                )

    def _mismatch(self, what: str) -> str:
        return (
            f"The weights in {str(self.folder)!r} do not fit its config ({what}). The folder is "
            "damaged or mixes two models; fetch or save it again."
        )

    def read(self) -> dict[str, Tensor]:
        """Return the tensors, on the CPU.

        They are views of the mapped file at any alignment, for which some of torch's kernels sum
        in another order: results can differ in the last digits from those before the model was
        saved. An aligned copy would take 1.5 times as long as reading and checking.

        Raises:
            WeightsError: A file cannot be read.
        """
        state: dict[str, Tensor] = {}
        for path in {path: None for path, _, _ in self.headers.values()}:
            names = [name for name, (where, _, _) in self.headers.items() if where == path]
            try:
                with safe_open(path, framework="pt", device="cpu") as file:
                    own = self.prefixes.get(path, "")
                    state.update({n: file.get_tensor(n.removeprefix(own)) for n in names})
            except (SafetensorError, OSError) as error:
                raise WeightsError(f"{path} cannot be read: {error}") from error
        return state


def missing_weights(where: object, single: str, present: Iterable[str]) -> str:
    """Return the message for missing weights; other files may exist."""
    pickles = sorted(name for name in present if name.endswith((".bin", ".pt", ".pkl")))
    refused = f" {', '.join(pickles)} may run code when read, so it is not." if pickles else ""
    return (
        f"{str(where)!r} has no {single}.{refused} Only safetensors are loaded: fetch or save "
        "the model again."
    )


def read_header(path: Path) -> Header:
    """Return dtype and shape of every tensor of a safetensors file, from its header only.

    Raises:
        WeightsError: The header is malformed, too large, or does not fit the file's size.
    """
    try:
        with path.open("rb") as file:
            return parse_header(file, path.stat().st_size, path)
    except OSError as error:
        raise WeightsError(f"{path} cannot be read: {error}. Fetch or save it again.") from error


def parse_header(file: IO[bytes], size: int, where: object) -> Header:
    """Return dtype and shape of every tensor of a safetensors file, reading only the header.

    Arguments:
        file: Its first bytes.
        size: Its size in bytes.
        where: What to call it.

    Raises:
        WeightsError: The header is malformed, too large, or does not fit the file's size.
    """
    try:
        (length,) = struct.unpack("<Q", file.read(8))
        if length > min(MAX_HEADER_BYTES, size):
            raise ValueError(f"a header of {length} bytes")
        header = strict_json(file.read(length).decode("utf-8"))
        return _check_header(header, size - 8 - length)
    except (ValueError, TypeError, KeyError, struct.error) as error:
        raise WeightsError(
            f"{where} is damaged or not a safetensors file ({error}). Fetch or save it again."
        ) from error


def _check_header(header: Any, num_bytes: int) -> Header:
    if not isinstance(header, dict):
        raise TypeError(f"its header is a {type(header).__name__}")
    header.pop("__metadata__", None)
    _check_count(header, "its header")
    end, found = 0, {}
    for name, entry in sorted(header.items(), key=lambda item: item[1]["data_offsets"]):
        if entry["dtype"] not in DTYPES:
            raise ValueError(f"{shown(name)} has the type {shown(entry['dtype'])}")
        dtype, shape = DTYPES[entry["dtype"]], tuple(entry["shape"])
        first, last = entry["data_offsets"]
        if len(shape) > _MAX_DIMENSIONS or not all(map(_is_count, (*shape, first, last))):
            raise ValueError(f"{shown(name)} has the shape {shown(shape)} at {shown(first)}")
        if first != end or last - first != math.prod(shape) * dtype.itemsize:
            raise ValueError(f"the bytes of {shown(name)} are not where its shape puts them")
        end, found[name] = last, (dtype, shape)
    if end != num_bytes:
        raise ValueError(f"{num_bytes} bytes of tensors, but the header states {end}")
    return found


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value < 2**63


def read_index(path: Path) -> list[str]:
    """Return the file names of an index, which must be plain names of safetensors files.

    Raises:
        WeightsError: The index is malformed or names a file elsewhere.
    """
    try:
        names = set(strict_json(read_text(path, INDEX.max_bytes))["weight_map"].values())
        if len(names) > MAX_FILES:
            raise ValueError(f"it names {len(names)} files; {MAX_FILES} are allowed")
        for name in names:
            if not (isinstance(name, str) and _FILE_NAME.fullmatch(name)):
                raise ValueError(f"{shown(name)} is not a plain name of a safetensors file")
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise WeightsError(f"{path} is not an index of weights ({error}).") from error
    return sorted(names)


def check_finite(state: dict[str, Tensor], source: object) -> None:
    """Raise WeightsError if a tensor contains NaN or infinity.

    It takes one pass over each tensor, in pieces, without a copy: the minimum and maximum of a
    piece are finite exactly if all its values are.
    """
    for name, tensor in state.items():
        if not tensor.is_floating_point() or tensor.numel() == 0:
            continue
        for piece in torch.split(tensor.reshape(-1), _CHUNK):
            low, high = torch.aminmax(piece)
            if not (math.isfinite(low.item()) and math.isfinite(high.item())):
                raise WeightsError(
                    f"The tensor {name!r} of {str(source)!r} holds NaN or infinity: the file is "
                    "damaged, or its training diverged."
                )


def _check_count(tensors: Mapping[str, Any], where: object) -> None:
    if len(tensors) > MAX_TENSORS:
        raise WeightsError(f"{where} has {len(tensors)} tensors; {MAX_TENSORS} are allowed.")


def _some(names: list[str]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(map(shown, names[:3])) + more


def _describe(shape: tuple[int, ...], dtype: torch.dtype) -> str:
    return f"{str(dtype).removeprefix('torch.')} {shape}"
