"""A model's files: which they are, and the order in which they are fetched and checked."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from genzoo.errors import ConfigFileError, WeightsError
from genzoo.hub.fetching import Snapshot
from genzoo.hub.headers import remote_header
from genzoo.hub.reference import Reference
from genzoo.layouts.foreign import marker_in, read_foreign
from genzoo.layouts.own import places_in
from genzoo.storage import (
    CONFIG_FILE,
    INDEX_FILE,
    MAX_CONFIG_BYTES,
    WEIGHTS_FILE,
    build_described,
    describe_foreign,
    placed_weights,
    read_description,
    resolve_description,
)
from genzoo.weights import (
    MAX_INDEX_BYTES,
    Header,
    WeightFiles,
    missing_weights,
    read_header,
    read_index,
)


def fetch_model(
    reference: Reference,
    *,
    token: str | bool | None = None,
    cache_dir: str | os.PathLike[str] | None = None,
    verify: bool = False,
) -> Path:
    """Bring a model into the cache, and return its folder there, all of one commit.

    Each file is checked before the next one is asked for: the config against its class, then the
    weights' headers against the config, and only then are the weights fetched.

    Arguments:
        reference: Which model.
        token: The token to ask with; None takes the one of HF_TOKEN or of ``hf auth login``.
        cache_dir: The cache; None takes huggingface_hub's.
        verify: Whether files are read in full even where they are known to be unchanged.

    Raises:
        HubError: It cannot be had; the subclass and the message say why, and what to do.
        LoadError: What is there is refused.
        UnknownNameError: No installed plugin registers the model.
    """
    with Snapshot(reference, token=token, cache_dir=cache_dir, verify=verify) as snapshot:
        fetch_needed(snapshot)
    return snapshot.folder


def fetch_needed(snapshot: Snapshot) -> None:
    """Fetch the files that a model is loaded from.

    Raises:
        HubError, LoadError, UnknownNameError: As `fetch_model`.
    """
    found = _found(snapshot, check=resolve_description)
    for name in filter(snapshot.is_cached, found.names):
        snapshot.file(name)
    if not all(map(snapshot.is_cached, found.names)):
        description, files = found.described()
        build_described(description, snapshot.folder, files)
        snapshot.check_space(found.names)
    for name in found.names:
        snapshot.file(name)


def described(snapshot: Snapshot) -> tuple[dict[str, Any], WeightFiles]:
    """Return what a model's config says, and the headers of its weights, fetching no more.

    Raises:
        HubError, LoadError: As `fetch_model`.
    """
    return _found(snapshot, check=lambda *_: None).described()


@dataclass(frozen=True)
class _Found:
    """A model's weight files, and what gives its description and their headers."""

    names: list[str]
    described: Callable[[], tuple[dict[str, Any], WeightFiles]]


def _found(snapshot: Snapshot, check: Callable[[dict[str, Any], Path], Any]) -> _Found:
    """Fetch the configs of a model, in our own layout or in another library's.

    Arguments:
        snapshot: Its files.
        check: Looks at our own config, before more is fetched.
    """
    marker = marker_in(snapshot.files, CONFIG_FILE)
    if marker is not None:
        return _foreign(snapshot, marker)
    description = fetch_config(snapshot)
    check(description, snapshot.folder)
    weights = places_in(description).weights
    rest = weight_names(snapshot, is_needed=not weights)
    _check_stated(snapshot, list(weights))
    names = [*rest, *weights]
    return _Found(names, lambda: (description, _weights(snapshot, rest, weights)))


def _foreign(snapshot: Snapshot, marker: str) -> _Found:
    foreign = read_foreign(
        marker, lambda name, most: snapshot.file(name, most=most), snapshot.files.__contains__
    )
    _check_stated(snapshot, list(foreign.weights))

    def described() -> tuple[dict[str, Any], WeightFiles]:
        files = _weights(snapshot, [], foreign.weights)
        return describe_foreign(foreign, files, marker), files

    return _Found(list(foreign.weights), described)


def fetch_config(snapshot: Snapshot) -> dict[str, Any]:
    """Fetch and read ``config.json``.

    Raises:
        ConfigFileError: There is none, or it is malformed.
    """
    if CONFIG_FILE not in snapshot.files:
        raise ConfigFileError(
            f"{snapshot.reference} holds no {CONFIG_FILE}, so it is no model of genzoo. It holds "
            f"{_some(list(snapshot.files))}."
        )
    snapshot.file(CONFIG_FILE, most=MAX_CONFIG_BYTES)
    return read_description(snapshot.folder)


def weight_names(snapshot: Snapshot, *, is_needed: bool = True) -> list[str]:
    """Return the names of the weight files, having fetched the index where there is one.

    Arguments:
        snapshot: The model's files.
        is_needed: Whether there must be one; a layout may put all tensors into files of its own.

    Raises:
        WeightsError: One is not there, or the index is malformed.
    """
    names = [WEIGHTS_FILE]
    if INDEX_FILE in snapshot.files:
        names = read_index(snapshot.file(INDEX_FILE, most=MAX_INDEX_BYTES))
    elif not is_needed and WEIGHTS_FILE not in snapshot.files:
        return []
    _check_stated(snapshot, names)
    return names


def _check_stated(snapshot: Snapshot, names: list[str]) -> None:
    """Raise WeightsError where a weight file is not there."""
    for name in names:
        if name not in snapshot.files:
            raise WeightsError(missing_weights(snapshot.reference, name, snapshot.files))


def _weights(snapshot: Snapshot, rest: list[str], prefixes: Mapping[str, str]) -> WeightFiles:
    """Return the headers of the weights: of the cache's files, else asked for."""
    return placed_weights(snapshot.folder, rest, prefixes, lambda name: _header(snapshot, name))


def _header(snapshot: Snapshot, name: str) -> Header:
    if snapshot.is_cached(name):
        return read_header(snapshot.folder / name)
    return remote_header(snapshot, name)


def _some(names: list[str]) -> str:
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return f"{', '.join(names[:5])}{more}" if names else "nothing"
