"""Values that are missing in columns: None, NaN, and the marks of pandas."""

from __future__ import annotations

from typing import Any

import numpy as np

_MARKS = ("NAType", "NaTType")
"""The types of pandas' marks, by name, because pandas need not be installed."""


def is_missing(value: Any) -> bool:
    """Whether a single value is missing."""
    if value is None or type(value).__name__ in _MARKS:
        return True
    return isinstance(value, (float, np.floating)) and bool(np.isnan(value))


def missing_in(values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Return which entries of a column are missing, (N,) bool."""
    found = np.zeros(len(values), dtype=bool)
    if values.dtype.kind in "fc" and values.ndim == 1:
        np.isnan(values, out=found)
    elif values.dtype.kind in "mM" and values.ndim == 1:
        np.isnat(values, out=found)
    elif values.dtype.kind == "O":
        found[:] = [is_missing(value) for value in values]
    return found
