"""Tables of pandas, which is imported when one is asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from genzoo.errors import MissingDependencyError


def frame_of(rows: Sequence[Mapping[str, Any]], *, index: str | None = None) -> Any:
    """Return a `pandas.DataFrame` of rows.

    Arguments:
        rows: The rows.
        index: The column that becomes the index; None numbers the rows.

    Raises:
        MissingDependencyError: pandas is not installed.
    """
    try:
        import pandas
    except ImportError as error:
        raise MissingDependencyError("to_frame needs pandas: pip install pandas") from error
    frame = pandas.DataFrame(list(rows))
    return frame if index is None else frame.set_index(index)
