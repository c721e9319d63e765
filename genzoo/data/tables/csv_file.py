"""CSV files as people and spreadsheets write them, through pandas."""

from __future__ import annotations

import csv
import re
import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from genzoo.data.libraries import library
from genzoo.errors import DataError

_DELIMITERS = (",", ";", "\t", "|")
_SAMPLE = 2**16
"""The number of characters that show how a file is written."""
_DECIMAL_COMMA, _DECIMAL_POINT = re.compile(r"\d,\d"), re.compile(r"\d\.\d")
_UNNAMED = re.compile(r"Unnamed: \d+")
"""How pandas calls a column without a name."""


@dataclass(frozen=True)
class Dialect:
    """How a CSV file is written.

    Arguments:
        delimiter: What separates values.
        decimal: What separates whole numbers from decimals.
        header: The names of the columns; None if the first line is a row.
    """

    delimiter: str
    decimal: str
    header: tuple[str, ...] | None


def read_csv(path: Path) -> tuple[Any, tuple[str, ...]]:
    """Return the DataFrame of a CSV file, and notes.

    Values are separated by commas, semicolons, tabs or bars. A first line of numbers is a row, and
    columns are then named 0, 1, …. Only an empty value is missing. A first column without a name
    that has another whole number in each row, as the index that pandas writes, is left out.

    Raises:
        DataError: It is not such a file; the message names the line.
    """
    pd = library("pandas", "Tables")
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            dialect = dialect_of(file.read(_SAMPLE))
        with warnings.catch_warnings():
            # Further values of a line would be dropped with a mere warning.
            warnings.simplefilter("error", pd.errors.ParserWarning)
            frame = pd.read_csv(
                path,
                sep=dialect.delimiter,
                decimal=dialect.decimal,
                header=None if dialect.header is None else 0,
                index_col=False,
                na_values=[""],
                keep_default_na=False,
                skipinitialspace=True,
                low_memory=False,
                compression=None,
                encoding="utf-8-sig",
            )
    except UnicodeDecodeError as error:
        raise DataError(
            f"{str(path)!r} is not text in UTF-8 ({error.reason} at byte {error.start}). Save it "
            "in UTF-8."
        ) from error
    except pd.errors.EmptyDataError as error:
        raise DataError(f"{str(path)!r} is empty: it has no rows.") from error
    except pd.errors.ParserWarning as error:
        raise DataError(
            f"{str(path)!r} has lines with more values than names of columns. Name every column."
        ) from error
    except (OSError, ValueError, csv.Error) as error:
        first = str(error).strip().partition("\n")[0].rstrip(".")
        raise DataError(
            f"{str(path)!r} cannot be read as CSV: {first}. Give every line the same number of "
            "values."
        ) from error
    return _named(frame, dialect, path)


def dialect_of(sample: str) -> Dialect:
    """Return how a CSV file is written, from its beginning."""
    lines = [line for line in sample.splitlines() if line.strip()]
    cells = {mark: _cells(lines[0], mark) if lines else [] for mark in _DELIMITERS}
    delimiter = max(_DELIMITERS, key=lambda mark: len(cells[mark]))
    text = "\n".join(lines[1:] or lines)
    comma = delimiter != "," and _DECIMAL_COMMA.search(text) and not _DECIMAL_POINT.search(text)
    decimal = "," if comma else "."
    found = tuple(cell.lstrip("# ").strip() for cell in cells[delimiter])
    below = [_cells(line, delimiter) for line in lines[1:]]
    return Dialect(delimiter, decimal, found if _are_names(found, decimal, below) else None)


def _are_names(cells: tuple[str, ...], decimal: str, below: Sequence[Sequence[str]]) -> bool:
    """Whether the cells of the first line name columns.

    Arguments:
        cells: The cells.
        decimal: What separates whole numbers from decimals.
        below: The cells of the lines below.
    """
    texts = [place for place, cell in enumerate(cells) if not _is_number(cell, decimal)]
    if texts or not cells:  # A row has decimals, and its texts occur again, as classes do.
        some = any(decimal in cell for place, cell in enumerate(cells) if place not in texts)
        return not some or not all(_occurs(cells[place], place, below) for place in texts)
    # 0, 1, 2, … are the names that pandas gives, unless they may be whole numbers of a row.
    counted = cells == tuple(str(place) for place in range(len(cells)))
    return counted and (len(cells) > 2 or any(decimal in cell for row in below for cell in row))


def _occurs(text: str, place: int, rows: Sequence[Sequence[str]]) -> bool:
    return any(len(row) > place and row[place].strip() == text for row in rows)


def _cells(line: str, delimiter: str) -> list[str]:
    return next(csv.reader([line], delimiter=delimiter, skipinitialspace=True), [])


def _is_number(text: str, decimal: str) -> bool:
    try:
        float(text.replace(decimal, "."))
    except ValueError:
        return False
    return True


def _named(frame: Any, dialect: Dialect, path: Path) -> tuple[Any, tuple[str, ...]]:
    """Return a DataFrame with tidy names and without an index, and notes."""
    notes: list[str] = []
    if dialect.decimal == ",":
        notes.append("commas in numbers are read as decimal points.")
    if dialect.header is None:
        notes.append("the first line holds numbers, so columns are named 0, 1, ….")
        return frame, tuple(notes)
    # Pandas would rename the second one.
    double = [name for name, num in Counter(dialect.header).items() if name and num > 1]
    if double:
        raise DataError(f"{str(path)!r} has two columns with the name {double[0]!r}. Rename one.")
    frame.columns = [str(column).lstrip("# ").strip() for column in frame.columns]
    if frame.shape[1] and _UNNAMED.fullmatch(frame.columns[0]):
        first = frame.iloc[:, 0]
        if first.is_unique and first.dtype.kind in "iu":
            notes.append("the first column has no name and numbers the rows: it is left out.")
            return frame.iloc[:, 1:], tuple(notes)
        notes.append("the first column has no name. It is not an index, because values repeat.")
    return frame, tuple(notes)
