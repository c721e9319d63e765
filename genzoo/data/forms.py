"""The forms of data that people hold, told by their types and shapes."""

from __future__ import annotations

from collections.abc import Mapping, Sized
from typing import Any

import numpy as np
from PIL import Image

from genzoo.data.tables.frames import is_frame

# Objects of other packages are told by their attributes: to ask for their classes would import
# pandas, scipy and others, which may not be installed.


def has_images(values: Any) -> bool:
    """Whether a column is a list of images of Pillow."""
    some = values[0] if isinstance(values, (list, tuple)) and len(values) else None
    return isinstance(some, Image.Image)


def has_length(values: Any, num: int) -> bool:
    """Whether values are ``num`` values, and not a text."""
    text = isinstance(values, (str, bytes))
    return isinstance(values, Sized) and not text and len(values) == num


def are_labels(values: Any, num: int) -> bool:
    """Whether a tensor has one whole number for each of ``num`` rows."""
    shape = tuple(values.shape)
    whole = not (values.is_floating_point() or values.is_complex())
    return shape in ((num,), (num, 1)) and whole


def is_pair(data: Any) -> bool:
    """Whether ``data`` are (X, y), and not an array of two rows.

    A list of two arrays is such a pair if it cannot be two rows.
    """
    if not isinstance(data, (tuple, list)) or len(data) != 2:
        return False
    x, y = data
    if isinstance(data, list):
        arrays = hasattr(x, "shape") and hasattr(y, "shape")
        return arrays and len(x.shape) > 1 and tuple(y.shape) in ((len(x),), (len(x), 1))
    if is_frame(x) or isinstance(x, Mapping) or has_images(x):
        return True
    return not isinstance(x, tuple) and num_dims(x) > 1 and num_dims(y) > 0


def is_flat_pair(data: Any) -> bool:
    """Whether ``data`` are a pair of one number and one class for each row."""
    if not isinstance(data, tuple) or len(data) != 2:
        return False
    if not all(hasattr(part, "shape") and len(part.shape) == 1 for part in data):
        return False
    x, y = (np.asarray(part).dtype.kind for part in data)
    return x in "iuf" and y in "iubOUS" and x != y


def are_splits(data: Any) -> bool:
    """Whether ``data`` are ((x_train, y_train), (x_test, y_test))."""
    return isinstance(data, tuple) and len(data) > 1 and all(map(is_pair, data))


def num_dims(values: Any) -> int:
    """Return the number of dimensions of values; of ragged ones, that of the regular part."""
    if hasattr(values, "shape"):
        return len(values.shape)
    if not isinstance(values, (list, tuple)) or not values:
        return 0
    return 1 + num_dims(values[0])


def are_records(data: Any) -> bool:
    """Whether ``data`` are a list of mappings, one for each row."""
    return isinstance(data, (list, tuple)) and bool(data) and isinstance(data[0], Mapping)


def are_items(data: Any) -> bool:
    """Whether ``data`` are a list of images, or of tuples such as (x, label)."""
    if not isinstance(data, (list, tuple)) or not data:
        return False
    first = data[0]
    if isinstance(first, Image.Image):
        return True
    if not isinstance(first, (tuple, list)):
        return False
    rows = [isinstance(p, Image.Image) or getattr(p, "ndim", 0) > 0 for p in first]
    return any(rows) and (isinstance(first, tuple) or not all(rows))


def is_structured(data: Any) -> bool:
    """Whether ``data`` are an array of numpy with named columns."""
    return isinstance(data, np.ndarray) and data.dtype.names is not None


def is_array(data: Any) -> bool:
    """Whether ``data`` are an array, or a list of rows."""
    if isinstance(data, (Image.Image, str, bytes)):
        return False
    return isinstance(data, (list, tuple)) or hasattr(data, "__array__")


def is_map_style(data: Any) -> bool:
    """Whether ``data`` have a length and items by index."""
    if isinstance(data, (Image.Image, str, bytes)):
        return False
    return hasattr(data, "__len__") and hasattr(data, "__getitem__")
