"""The Hub: models fetched, inspected, pulled and pushed. A repository is data, never code."""

from __future__ import annotations

import os
from pathlib import Path

from genzoo.errors import ConfigError
from genzoo.hub.reference import MAIN, Reference, names_repository


def local_folder(
    source: str | os.PathLike[str],
    *,
    revision: str | None = None,
    subfolder: str | None = None,
    token: str | bool | None = None,
    cache_dir: str | os.PathLike[str] | None = None,
    verify: bool = False,
) -> Path:
    """Return the folder of a model: itself, or of the cache, having fetched a repository.

    Arguments:
        source: A folder, or a repository ``user/name`` where there is no such folder.
        revision: The repository's branch, tag or commit; "main" by default.
        subfolder: The folder in it that holds the model.
        token: The token to ask with; None takes the one of HF_TOKEN or of ``hf auth login``.
        cache_dir: The cache; None takes huggingface_hub's.
        verify: Whether fetched files are read in full even where they are known to be unchanged.

    Raises:
        HubError: It cannot be had; the subclass and the message say why, and what to do.
        LoadError: What is there is refused.
        ConfigError: A name is malformed, or a folder of this machine is given a revision.
    """
    if names_repository(source):
        from genzoo.hub.models import fetch_model

        reference = Reference(str(source), revision or MAIN, subfolder or "")
        return fetch_model(reference, token=token, cache_dir=cache_dir, verify=verify)
    if revision is not None:
        raise ConfigError(
            f"{str(source)!r} is a folder of this machine, or no repository (user/name): only "
            f"those have a revision such as {revision!r}."
        )
    # Checked as a repository's is, though here it only says which folder is meant.
    inside = Reference("any/any", subfolder=subfolder or "").subfolder
    return Path(source, *filter(None, inside.split("/")))


__all__ = ["Reference", "local_folder", "names_repository"]
