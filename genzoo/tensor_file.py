"""A safetensors file that is written tensor by tensor.

The library's writer needs all tensors at once. Here the header is written first, from names,
shapes and dtypes alone, so that a writer holds one tensor at a time.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from torch import Tensor

from genzoo.errors import WeightsError
from genzoo.weights import DTYPES

_NAMES = {dtype: name for name, dtype in DTYPES.items()}


def write_tensors(
    path: str | os.PathLike[str],
    tensors: Mapping[str, Tensor],
    whole: Callable[[Tensor], Tensor] = torch.Tensor.detach,
) -> None:
    """Write a safetensors file, one tensor after the other.

    Arguments:
        path: The path of the file.
        tensors: The tensors by name; their shapes and dtypes are those of the file.
        whole: Returns the values of a tensor, when it is written. It is called in order.

    Raises:
        WeightsError: A tensor has a dtype that the format does not have.
    """
    with Path(path).open("wb") as file:
        header = _header(tensors)
        file.write(len(header).to_bytes(8, "little"))
        file.write(header)
        for tensor in tensors.values():
            values = whole(tensor).detach().cpu().contiguous()
            # Through bytes, because NumPy has no bfloat16.
            file.write(values.reshape(-1).view(torch.uint8).numpy().data)


def _header(tensors: Mapping[str, Tensor]) -> bytes:
    """Return the header, with the offset of each tensor, padded to eight bytes."""
    entries, end = {}, 0
    for name, tensor in tensors.items():
        if tensor.dtype not in _NAMES:
            raise WeightsError(
                f"The tensor {name} has the dtype {tensor.dtype}, which the format does not "
                f"have. Use one of {', '.join(map(str, _NAMES))}."
            )
        begin, end = end, end + math.prod(tensor.shape) * tensor.dtype.itemsize
        entries[name] = {
            "dtype": _NAMES[tensor.dtype],
            "shape": list(tensor.shape),
            "data_offsets": [begin, end],
        }
    text = json.dumps(entries, ensure_ascii=False).encode()
    return text + b" " * (-len(text) % 8)
