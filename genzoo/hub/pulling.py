"""Whole models copied out of the cache: the weights, and all that a repository of ours holds."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

from genzoo.errors import LoadError, OutputExistsError
from genzoo.files import atomic_folder_update
from genzoo.hub.fetching import Snapshot
from genzoo.hub.models import fetch_needed
from genzoo.hub.reference import Reference
from genzoo.hub_component import MAX_FILE_BYTES
from genzoo.layouts.own import places_in
from genzoo.storage import CONFIG_FILE, WEIGHT_FILES, read_description, written_places

MAX_PICTURE, MAX_TEXT = 20_000_000, 4_000_000
"""How many bytes a picture, and what is read as text, may have."""
BESIDES = re.compile(r"README\.md|recipe\.toml|evaluation\.json|[A-Za-z0-9_][A-Za-z0-9_-]*\.png")
"""The names of what a model's folder holds beside its config and weights, and a repository too."""
MODEL_FILES = re.compile(rf"{re.escape(CONFIG_FILE)}|{WEIGHT_FILES}")
"""The names of what a model is loaded from."""


def pull(
    reference: Reference,
    folder: str | os.PathLike[str],
    *,
    token: str | bool | None = None,
    cache_dir: str | os.PathLike[str] | None = None,
    overwrite: bool = False,
) -> Path:
    """Copy a model of the Hub into a folder, with its card, recipe, figures and pictures.

    Arguments:
        reference: Which model.
        folder: Where to; made where it does not exist.
        token: The token to ask with; None takes the one of HF_TOKEN or of ``hf auth login``.
        cache_dir: The cache; None takes huggingface_hub's.
        overwrite: Whether files there may be replaced.

    Raises:
        OutputExistsError: The folder holds something, and ``overwrite`` is False.
        HubError: It cannot be had.
        LoadError: What is there is refused.
        DiskFullError: There is no space left; the folder is as it was.
    """
    folder = Path(folder)
    if not overwrite and folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise OutputExistsError(
            f"{str(folder)!r} holds something already. Choose another folder, or replace what is "
            "there by --overwrite."
        )
    home = fetch_whole(reference, token=token, cache_dir=cache_dir)
    if not (home / CONFIG_FILE).exists():
        raise LoadError(
            f"{reference} has another library's layout, which is not copied. Load it and save it "
            f"as ours: GenModel.from_pretrained({reference.repository!r}).save_pretrained(...)."
        )
    stale = f"{MODEL_FILES.pattern}|{BESIDES.pattern}"
    places = places_in(read_description(home))
    names = [path.name for path in home.iterdir() if re.fullmatch(stale, path.name)]
    old = written_places(folder).paths
    with atomic_folder_update(
        folder, last=CONFIG_FILE, stale=stale, markers=places.markers, old=old
    ) as temporary:
        for name in (*names, *places.paths):
            (temporary / name).parent.mkdir(exist_ok=True)
            shutil.copyfile(home / name, temporary / name)
    return folder


def fetch_whole(
    reference: Reference,
    *,
    token: str | bool | None = None,
    cache_dir: str | os.PathLike[str] | None = None,
) -> Path:
    """Bring a model into the cache with all that lies beside its weights; return its folder.

    Raises:
        HubError: It cannot be had.
        LoadError: What is there is refused.
    """
    with Snapshot(reference, token=token, cache_dir=cache_dir) as snapshot:
        return fetch_all(snapshot)


def fetch_all(snapshot: Snapshot) -> Path:
    """Fetch a model with all that lies beside its weights; return its folder.

    Raises:
        HubError, LoadError: As `fetch_whole`.
    """
    fetch_needed(snapshot)
    for name in filter(BESIDES.fullmatch, snapshot.files):
        snapshot.file(name, most=MAX_PICTURE if name.endswith(".png") else MAX_TEXT)
    for name in written_places(snapshot.folder).files:
        snapshot.file(name, most=MAX_FILE_BYTES)
    return snapshot.folder
