"""Many model folders pushed, each to a repository of its own name."""

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
    """Push each folder, having looked at all of them before the first is pushed.

    Arguments:
        folders: The model folders.
        namespace: Whose repositories they become; None asks the Hub whose the token is.
        private: Whether repositories that are made are private; None takes the account's default.

    Yields:
        Each folder with its repository and the commit's address.

    Raises:
        LoadError: A folder is not a sound model.
        HubError: One cannot be pushed; the subclass and the message say why.
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
