"""What the folders in a folder of images are: splits, two domains, or classes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from genzoo.data.images.tree import Tree, entries, is_folder, is_hidden, is_image
from genzoo.data.natural_order import natural_key
from genzoo.data.split_names import SPLIT_NAMES, SPLITS
from genzoo.errors import DataError

Subfolders = Literal["splits", "classes"]
_FOLDER = re.compile(rf"({'|'.join(sorted(SPLIT_NAMES, key=len, reverse=True))})([ab]?)")


@dataclass(frozen=True)
class Layout:
    """The folders of each split.

    Arguments:
        splits: For each split, the training split first, its folder; or the folders of its two
            domains, as of trainA and trainB.
        notes: What was left out.
    """

    splits: Mapping[str, tuple[Path, ...]]
    notes: tuple[str, ...] = ()


def find_layout(home: Path, subfolders: Subfolders | None) -> Layout:
    """Return the splits and domains of a folder, by the names of its folders.

    Arguments:
        home: The folder.
        subfolders: What its folders are; None goes by their names.

    Raises:
        DataError: The names are ambiguous, or a folder cannot be read.
    """
    found = [] if subfolders == "classes" else _named(home)
    if not found:
        if subfolders == "splits":
            raise DataError(
                f"{str(home)!r} has no folder train, valid or test. Leave --data.subfolders out."
            )
        if subfolders is None:
            _refuse_deeper(home)
        return Layout({"train": (home,)})
    splits: dict[str, dict[str, Path]] = {}
    for folder, split, domain in found:
        before = splits.setdefault(split, {}).setdefault(domain, folder)
        if before is not folder:
            raise DataError(
                f"{str(home)!r} has two folders for one split, {before.name} and {folder.name}. "
                "Rename one of them."
            )
    notes = _left_out(home, [folder for folder, _, _ in found], subfolders)
    ordered = {split: splits[split] for split in SPLITS if split in splits}
    return Layout({name: _domains(home, given) for name, given in ordered.items()}, notes)


def _named(home: Path) -> list[tuple[Path, str, str]]:
    """Return the folders with a split's name; the split, and the domain "a", "b" or ""."""
    names = [e.name for e in entries(home) if not is_hidden(e.name) and is_folder(e)]
    matches = [
        (name, _FOLDER.fullmatch(name.casefold())) for name in sorted(names, key=natural_key)
    ]
    return [(home / name, SPLIT_NAMES[found[1]], found[2]) for name, found in matches if found]


def _refuse_deeper(home: Path) -> None:
    """Raise DataError if splits are one folder deeper, so that all would be read as one.

    Archives often unpack to one folder, and some datasets have splits within each class.
    """
    names = [e.name for e in entries(home) if not is_hidden(e.name) and is_folder(e)]
    for folder in (home / name for name in sorted(names, key=natural_key)):
        found = _named(folder)
        if len({split for _, split, _ in found}) < 2:
            continue
        inner = " and ".join(path.name for path, _, _ in found)
        remedy = (
            f"Give {str(folder)!r}"
            if len(names) == 1
            else "Move them up, as train/cat and test/cat"
        )
        raise DataError(
            f"{str(home)!r} has the splits {inner} one folder deeper, in {folder.name}. {remedy}, "
            "or give --data.subfolders classes to read all images as one split."
        )


def _domains(home: Path, given: Mapping[str, Path]) -> tuple[Path, ...]:
    """Return the folder of a split, or those of its two domains."""
    if set(given) in ({""}, {"a", "b"}):
        return tuple(given[domain] for domain in sorted(given))
    names = ", ".join(folder.name for folder in given.values())
    raise DataError(
        f"{str(home)!r} has the folders {names}: two domains need both, as trainA and trainB. Add "
        "the other one, or give --data.subfolders classes if they are classes."
    )


def _left_out(home: Path, taken: list[Path], subfolders: Subfolders | None) -> tuple[str, ...]:
    """Return a note of the images that are in no split."""
    found: dict[str, int] = {}
    for entry in entries(home):
        if not is_hidden(entry.name) and home / entry.name not in taken:
            num = len(Tree(Path(entry.path)).paths) if is_folder(entry) else is_image(entry.name)
            found |= {entry.name: num} if num else {}
    if not found:
        return ()
    names = sorted(found, key=natural_key)
    shown = ", ".join([*names[:3], "…"] if len(names) > 3 else names)
    if len(taken) == 1 and subfolders is None:
        raise DataError(
            f"{str(home)!r} has the folder {taken[0].name} next to other images ({shown}): is it "
            "a split or a class? Give --data.subfolders splits or --data.subfolders classes."
        )
    num = sum(found.values())
    return (f"{num} image{'s are' if num > 1 else ' is'} left out, in no split ({shown}).",)
