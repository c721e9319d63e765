"""Pushing several model folders, each to a repository with its name."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from genzoo.description import read_description
from genzoo.errors import HubError
from genzoo.hub.retry import ask
from genzoo.pretrained.pushing import push


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
