"""Copying whole models from the Hub: weights and all other files of a model repository."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

from genzoo.description import written_places
from genzoo.errors import LoadError, OutputExistsError
from genzoo.files import atomic_folder_update
from genzoo.hub.fetching import Snapshot
from genzoo.hub.reference import Reference
from genzoo.hub.source import SnapshotSource
from genzoo.model_files import CONFIG, LOADED, MAX_LAYOUT_BYTES, TABLE, file_of, pattern_of
from genzoo.storage import OpenModel, open_model


def pull(
    reference: Reference,
    folder: str | os.PathLike[str],
    *,
    overwrite: bool = False,
) -> Path:
    """Copy a model from the Hub into a folder, with its card, recipe, figures and pictures.

    Arguments:
        reference: The model.
        folder: The destination; created if it does not exist.
        overwrite: Whether existing files may be replaced.

    Raises:
        OutputExistsError: The folder is not empty, and ``overwrite`` is False.
        HubError: It is not available.
        LoadError: It is refused.
        DiskFullError: No space is left; the folder is unchanged.
    """
    folder = Path(folder)
    if not overwrite and folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise OutputExistsError(
            f"{str(folder)!r} is not empty. Choose another one, or replace its model with "
            "--overwrite."
        )
    with Snapshot(reference) as snapshot:
        opened = open_model(SnapshotSource(snapshot))
        fetch_all(snapshot, opened)
    if CONFIG.name not in opened.source:
        raise LoadError(
            f"{reference} has another library's layout, which is not copied. Load and save it: "
            f"GenModel.from_pretrained({reference.repository!r}).save_pretrained(...)."
        )
    home, places = opened.source.folder, opened.places
    pushed = pattern_of(file for file in TABLE if file.pushed)
    names = [path.name for path in home.iterdir() if re.fullmatch(pushed, path.name)]
    old = written_places(folder).paths
    with atomic_folder_update(
        folder, last=CONFIG.name, stale=pushed, markers=places.markers, old=old
    ) as temporary:
        for name in (*names, *places.paths):
            (temporary / name).parent.mkdir(exist_ok=True)
            shutil.copyfile(home / name, temporary / name)
    return folder


def fetch_all(snapshot: Snapshot, opened: OpenModel) -> None:
    """Fetch a model into the cache with all files of its repository.

    Raises:
        HubError: It is not available.
        LoadError: It is refused.
        UnknownNameError: No installed plugin registers the model.
    """
    opened.fetch()
    for name in snapshot.files:
        file = file_of(name)
        if file is not None and file.pushed and file not in LOADED:
            snapshot.file(name, most=file.max_bytes)
    for name in opened.places.files:
        snapshot.file(name, most=MAX_LAYOUT_BYTES)
