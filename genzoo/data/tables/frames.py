"""The columns of a DataFrame of pandas."""

from __future__ import annotations

from typing import Any

from genzoo.data.columns.column import Columns, as_column
from genzoo.errors import DataError


def is_frame(data: Any) -> bool:
    """Whether ``data`` are a DataFrame; pandas is not imported."""
    return comes_from(data, "pandas", "DataFrame")


def comes_from(data: Any, package: str, *names: str) -> bool:
    """Whether the class of ``data`` derives from one of a package, which is not imported.

    Arguments:
        data: The object.
        package: The package.
        names: The names of the classes; any class of the package if empty.
    """
    return any(
        found.__module__.partition(".")[0] == package and (not names or found.__name__ in names)
        for found in type(data).__mro__
    )


def check_index(frame: Any, values: Any, role: str) -> None:
    """Refuse a Series whose index has the order of other rows than those of a DataFrame.

    Arguments:
        frame: The DataFrame.
        values: The values of every row; only a Series is checked.
        role: What they are, in messages.

    Raises:
        DataError: Its index has the same values in another order.
    """
    if not comes_from(values, "pandas", "Series") or values.index.equals(frame.index):
        return
    if len(values) == len(frame) and set(values.index) == set(frame.index):
        raise DataError(
            f"The index of the {role} has another order than that of the table. Give "
            f"{role}.loc[table.index], or {role}.to_numpy() if the rows are in order already."
        )


def columns_of_frame(frame: Any, name: str) -> Columns:
    """Return the columns of a DataFrame; its index is left out, and that is said if it has a name.

    The categories of a categorical column of texts keep their order.

    Arguments:
        frame: The DataFrame.
        name: The name of the data in messages.

    Raises:
        DataError: Two columns have one name.
    """
    values, class_names = {}, {}
    for place, column in enumerate(map(str, frame.columns)):
        if column in values:
            raise DataError(f"{name} has two columns with the name {column!r}. Rename one.")
        series = frame.iloc[:, place]
        values[column] = as_column(series.to_numpy())
        categories = list(getattr(series.dtype, "categories", ()))
        if categories and all(isinstance(category, str) for category in categories):
            class_names[column] = tuple(categories)
    kept = {key: v for key, v in values.items() if v is not None}
    index = [str(level) for level in frame.index.names if level is not None]
    notes = (f"its index, {', '.join(index)}, is left out.",) if index else ()
    return Columns(kept, class_names, notes=notes)
