"""Files of tables: their endings, and their splits by their names."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from genzoo.data.natural_order import natural_key
from genzoo.data.split_names import SPLITS, split_of
from genzoo.errors import DataError

PARQUET = (".parquet",)
ENDINGS = (".csv", ".tsv", *PARQUET)
"""The endings of files with tables, in any letter case."""


def is_table(name: str) -> bool:
    """Whether a file's name is that of a table."""
    return name.lower().endswith(ENDINGS) and not name.startswith(".")


def find_tables(path: Path) -> tuple[dict[str, list[Path]], tuple[str, ...]]:
    """Return the tables of each split, the training split first, and notes.

    The name of a file, or that of its folder, names the split.

    Arguments:
        path: A file, or a folder with such files.

    Raises:
        DataError: There is no file, or several without the name of a split.
    """
    if not path.exists():
        raise DataError(f"There is no file {str(path)!r}. Check the path.")
    if not path.is_dir():
        return {"train": [path]}, _on_others(path)
    found: dict[str | None, list[Path]] = {}
    for table in sorted(_tables(path), key=lambda table: natural_key(str(table))):
        own = table.parent.name if table.parent != path else ""
        found.setdefault(split_of(table.stem) or split_of(own), []).append(table)
    others = found.pop(None, [])
    names = ", ".join(table.name for table in others[:3]) + ", …" * (len(others) > 3)
    if found:
        notes = (f"no split has the rows of {names}.",) if others else ()
        return {split: found[split] for split in SPLITS if split in found}, notes
    if len(others) > 1:
        raise DataError(
            f"{str(path)!r} has several tables without the name of a split ({names}). Give one "
            "file, or name them as train.csv, valid.csv and test.csv."
        )
    return {"train": others}, ()


def _tables(folder: Path) -> Iterator[Path]:
    """Yield the tables in a folder and its subfolders."""
    for root, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith((".", "__"))]
        yield from (Path(root, name) for name in names if is_table(name))


def _on_others(path: Path) -> tuple[str, ...]:
    """Return what is said of other splits next to a file that is given by itself."""
    if split_of(path.stem) is None or not path.is_file():
        return ()
    others = sorted(
        name
        for name in os.listdir(path.parent)
        if is_table(name) and split_of(Path(name).stem) not in (None, split_of(path.stem))
    )
    if not others:
        return ()
    return (f"{', '.join(others[:3])} next to it: give the folder to read all splits.",)
