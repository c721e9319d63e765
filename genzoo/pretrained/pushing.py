"""Pushing models to the Hub in one commit, without overwriting others."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genzoo.card import NUM_SAMPLES, draw_samples, write_card
from genzoo.description import read_description
from genzoo.errors import HubConflictError, HubError, HubMissingError, LoadError
from genzoo.files import check_inside
from genzoo.hub.fetching import Snapshot
from genzoo.hub.file_metadata import Commit, ask_commit
from genzoo.hub.reference import MAIN, Reference
from genzoo.hub.retry import ask
from genzoo.hub.source import SnapshotSource
from genzoo.layouts.foreign import check_path_inside
from genzoo.layouts.own import Places
from genzoo.model_files import CONFIG, MAX_LAYOUT_BYTES, SAMPLES, is_pushed
from genzoo.saving import save_model
from genzoo.storage import FolderSource, OwnModel, open_model
from genzoo.version import __version__

if TYPE_CHECKING:
    from huggingface_hub import HfApi

    from genzoo.pretrained import GenerativeModel


def push_model(model: GenerativeModel, repository: str, **options: Any) -> str:
    """Save a model and push it; the options are those of `push`."""
    with tempfile.TemporaryDirectory(prefix="genzoo-") as temporary:
        save_model(model, temporary)
        return push(temporary, repository, **options)


def push(
    folder: str | os.PathLike[str],
    repository: str,
    *,
    private: bool | None = None,
    revision: str | None = None,
    license: str | None = None,
    message: str | None = None,
    samples: int = NUM_SAMPLES,
    token: str | bool | None = None,
) -> str:
    """Push a model folder in one commit, and return the URL of the commit.

    Config, weights, the other files of its layout, card, recipe, figures and pictures are pushed.
    Other files in the folder, such as checkpoints, are not. Files of an earlier push that the
    model no longer has are deleted in the same commit; other files of the repository stay. The
    parent of the commit is the one that was there when the push began: if somebody else pushes in
    the meantime, nothing is overwritten. The folder's card is written or updated with the
    repository, and a picture of samples is drawn if the folder has none. The folder is loaded
    first, to check that it can be loaded. The other arguments are those of
    `GenerativeModel.push_to_hub`.

    Raises:
        HubConflictError: Somebody else pushed in the meantime.
        HubError: The push failed; the subclass and the message say why.
        LoadError: The folder is not a valid model.
        ConfigError: A name is malformed.
    """
    from huggingface_hub import HfApi

    folder, reference = Path(folder), Reference(repository, revision or MAIN)
    opened = OwnModel(FolderSource(folder))
    model = opened.check().fill().eval()
    _belonging(folder, opened.places)
    api = HfApi(token=token)
    ask(
        f"the repository {repository}",
        lambda: api.create_repo(repository, private=private, exist_ok=True),
    )
    parent = _parent(api, reference, token)
    if samples and not (folder / SAMPLES.name).exists():
        draw_samples(model, folder, num=samples)
    write_card(folder, name=repository.partition("/")[2], source=repository, license=license)
    message = message or f"{opened.description['model']}, by genzoo {__version__}"
    return _committed(api, reference, parent, _belonging(folder, opened.places), message)


def publish(
    folders: Sequence[Path], namespace: str | None = None, *, private: bool | None = None
) -> Iterator[tuple[Path, str, str]]:
    """Push each folder, after checking all of them.

    Arguments:
        folders: The model folders.
        namespace: The owner of the repositories; None means the owner of the token.
        private: Whether new repositories are private; None means the account's default.

    Yields:
        Each folder with its repository and the URL of the commit.

    Raises:
        LoadError: A folder is not a valid model.
        HubError: A push failed; the subclass and the message say why.
    """
    for folder in folders:
        read_description(folder)
    namespace = namespace or _own_name()
    for folder in folders:
        repository = f"{namespace}/{folder.resolve().name}"
        yield folder, repository, push(folder, repository, private=private)


def _own_name() -> str:
    from huggingface_hub import HfApi

    def name() -> str:
        found = HfApi().whoami().get("name")
        if not isinstance(found, str):
            raise HubError("The Hub does not say who you are. Name yourself: --namespace USER.")
        return found

    return ask("your account", name)


def _belonging(folder: Path, places: Places) -> dict[str, Path]:
    """Return the files of a folder that belong to its model.

    Raises:
        LoadError: A file is a link out of the folder, which would publish something else; or a
            file of its layout is missing, or too large to be pulled.
    """
    found = [path for path in folder.iterdir() if is_pushed(path.name)]
    for path in found:
        check_inside(path, folder)
    files = {path.name: path for path in found if path.is_file()}
    files |= {name: check_path_inside(name, folder) for name in places.weights}
    source = FolderSource(folder)
    return files | {name: source.file(name, MAX_LAYOUT_BYTES) for name in places.files}


def _parent(api: HfApi, reference: Reference, token: str | bool | None) -> Commit | None:
    """Create the branch if necessary and return its commit, or None if nothing was ever pushed.

    Raises:
        HubError: It is not available.
    """
    if reference.revision != MAIN:
        ask(
            f"the branch {reference}",
            lambda: api.create_branch(
                reference.repository, branch=reference.revision, exist_ok=True
            ),
        )
    with contextlib.suppress(HubMissingError):
        return ask_commit(reference, token)
    return None


def _committed(
    api: HfApi, reference: Reference, parent: Commit | None, files: dict[str, Path], message: str
) -> str:
    """Commit the files on top of ``parent``, and return the URL of the commit."""
    stale = [name for name in _stored(reference, parent, api.token) if name not in files]

    def commit() -> str:
        from huggingface_hub import CommitOperationAdd, CommitOperationDelete

        # Created for each attempt, because the client changes them.
        additions = [CommitOperationAdd(name, path) for name, path in sorted(files.items())]
        deletions = [CommitOperationDelete(name) for name in stale]
        info = api.create_commit(
            reference.repository,
            [*additions, *deletions],
            commit_message=message,
            revision=reference.revision,
            parent_commit=parent.sha if parent else None,
        )
        return str(info.commit_url)

    try:
        return ask(f"the push to {reference}", commit)
    except HubError as error:
        if not (isinstance(error, HubConflictError) or type(error) is HubError):
            raise
        # The commit may have arrived even if the answer did not; another attempt would then
        # conflict with it.
        with contextlib.suppress(HubError):
            landed = ask_commit(reference, api.token)
            if _are_there(files, stale, landed):
                return f"{api.endpoint}/{reference.repository}/commit/{landed.sha}"
        raise


def _stored(reference: Reference, parent: Commit | None, token: str | bool | None) -> list[str]:
    """Return the names of a commit's files that belong to its model."""
    there = parent.files if parent else {}
    places: Sequence[str] = ()
    others = [name for name in there if not (is_pushed(name) or name.startswith("."))]
    if parent and CONFIG.name in there and others:
        at = replace(reference, revision=parent.sha)
        # The layout of a refused config is unknown, so unknown files stay.
        with contextlib.suppress(LoadError), Snapshot(at, token=token) as snapshot:
            places = open_model(SnapshotSource(snapshot)).places.paths
    return [name for name in there if is_pushed(name) or name in places]


def _are_there(files: dict[str, Path], stale: list[str], commit: Commit) -> bool:
    """Whether a commit has exactly the files of a push."""
    return not any(name in commit.files for name in stale) and all(
        name in commit.files and commit.files[name].holds_for(path) for name, path in files.items()
    )
