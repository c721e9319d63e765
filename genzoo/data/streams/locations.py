"""Where the shards of each split are: folders, patterns, URLs and Hub repositories."""

from __future__ import annotations

import glob
import itertools
import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath

from genzoo.data.natural_order import natural_key
from genzoo.data.split_names import SPLITS, split_of
from genzoo.data.streams.config import StreamConfig
from genzoo.data.streams.disk import file_system, is_remote, patiently
from genzoo.data.streams.formats import ENDINGS, format_of
from genzoo.errors import DataError

_RANGE = re.compile(r"\{(\d+)\.\.(\d+)\}")
_PATTERN = re.compile(r"[*?\[]|\{\d+\.\.\d+\}")
_NUMBER = re.compile(r"[-_.]?\d+([-_.]of[-_.]\d+)?$")
Named = list[tuple[str, str]]
"""The name and the location of each shard."""


def is_pattern(location: str) -> bool:
    """Whether a location names several files, or one at a URL."""
    return "://" in location or _PATTERN.search(location) is not None


def find_shards(location: str, config: StreamConfig) -> tuple[dict[str, Named], tuple[str, ...]]:
    """Return the shards of each split, the training split first, and what is said of the others.

    The name of a shard, or that of its folder, names its split; without any such name, all are
    the split train. Shards are in natural order.

    Arguments:
        location: A folder, a file, a pattern such as ``shards/*.tar`` or ``a-{000..063}.tar``, a
            URL or a pattern of URLs, or a Hub repository.
        config: The subset and the revision of a repository.

    Raises:
        DataError: There are no shards, or they have several formats.
    """
    if is_repository(location):
        found, others = _of_repository(location, config), Named()
    else:
        found, others = _by_split(_expanded(location), location)
    for split, shards in found.items():
        endings = {format_of(name).endings for name, _ in shards}
        if len(endings) > 1:
            raise DataError(
                f"The split {split!r} of {location!r} has shards of several formats: "
                f"{shards[0][0]!r} and others. Name one: '{location.rstrip('/')}/*"
                f"{min(endings)[0]}'."
            )
    if not any(found.values()):
        raise DataError(
            f"{location!r} has no shards ({', '.join(ENDINGS)}). Check the path; genzoo data "
            "export writes shards."
        )
    order = [*SPLITS, *(split for split in found if split not in SPLITS)]
    names = ", ".join(name for name, _ in others[:3]) + ", …" * (len(others) > 3)
    notes = (f"no split has the rows of {names}.",) if others else ()
    return {split: found[split] for split in order if split in found}, notes


def is_repository(location: str) -> bool:
    """Whether a location is that of a Hub repository, ``user/name``."""
    return (
        re.fullmatch(r"[\w.-]+/[\w.-]+", location) is not None
        and not os.path.exists(location)
        and not is_pattern(location)
        and not location.lower().endswith(ENDINGS)
    )


def _expanded(location: str) -> list[str]:
    """Return the files that a location names."""
    every = [one for pattern in _ranges(location) for one in _files_of(pattern)]
    return sorted(dict.fromkeys(every), key=natural_key)


def _ranges(location: str) -> Iterable[str]:
    """Yield a location with each number of its ranges, such as {000..063}."""
    match = _RANGE.search(location)
    if match is None:
        yield location
        return
    first, last = match.groups()
    for number in range(int(first), int(last) + 1):
        text = str(number).zfill(len(first))
        yield from _ranges(location[: match.start()] + text + location[match.end() :])


def _files_of(pattern: str) -> Sequence[str]:
    if is_remote(pattern):
        return _remote(pattern)
    path = Path(os.path.expanduser(pattern))
    if path.is_dir():
        found = (Path(root, name) for root, _, names in os.walk(path) for name in sorted(names))
        return [
            str(one)
            for one in found
            if one.name.lower().endswith(ENDINGS)
            and not any(part.startswith((".", "__")) for part in one.relative_to(path).parts)
        ]
    if glob.has_magic(pattern):
        return sorted(glob.glob(os.path.expanduser(pattern), recursive=True))
    return [str(path)] if path.exists() or path.name.lower().endswith(ENDINGS) else []


def _remote(pattern: str) -> Sequence[str]:
    """Return the URLs that a pattern of URLs, a URL of a folder or a URL names."""
    if not glob.has_magic(pattern.partition("?")[0]) and pattern.partition("?")[
        0
    ].lower().endswith(ENDINGS):
        return [pattern]
    fs, path = file_system(pattern)
    if glob.has_magic(path):
        found = patiently(pattern, lambda: fs.glob(path))
    else:
        found = patiently(pattern, lambda: fs.find(path))
    names = [str(one) for one in found if str(one).lower().endswith(ENDINGS)]
    return [fs.unstrip_protocol(name) for name in names]


def _by_split(files: Sequence[str], location: str) -> tuple[dict[str, Named], Named]:
    """Return files by the splits that their names or their folders name, and those of none."""
    found: dict[str, Named] = {}
    paths = [PurePosixPath(Path(file).as_posix()) for file in files]
    # A folder in which all of them are says nothing: it may be anybody's test of this.
    shared = _num_shared([path.parent.parts for path in paths])
    for file, path in zip(files, paths, strict=True):
        stem = _NUMBER.sub("", path.stem)
        split = split_of(stem) or split_of("".join(path.parent.parts[shared:][-1:]))
        found.setdefault(split or "", []).append((path.name, file))
    others = found.pop("", [])
    if others and not found:
        return {"train": _named(others, location)}, []
    return {split: _named(shards, location) for split, shards in found.items()}, others


def _num_shared(parts: Sequence[Sequence[str]]) -> int:
    """Return the number of first parts that are equal."""
    equal = (len(set(column)) == 1 for column in zip(*parts, strict=False))
    return sum(1 for _ in itertools.takewhile(bool, equal))


def _named(shards: Named, location: str) -> Named:
    """Return shards whose names differ: with their folders where they would not."""
    if len({name for name, _ in shards}) == len(shards):
        return shards
    return [("/".join(PurePosixPath(file).parts[-2:]), file) for _, file in shards]


def _of_repository(repository: str, config: StreamConfig) -> dict[str, Named]:
    """Return the shards of a Hub repository, as the package `datasets` finds them."""
    from genzoo.data.hub.source import asked_of_library

    files = asked_of_library(
        repository,
        lambda datasets: (
            datasets.load_dataset_builder(
                repository, config.subset, revision=config.revision
            ).config.data_files
        ),
    )
    found = {}
    for split, several in (files or {}).items():
        urls = [str(url) for url in several]
        if kept := [url for url in urls if url.lower().endswith(ENDINGS)]:
            found[str(split)] = [(PurePosixPath(url).name, url) for url in kept]
    return found
