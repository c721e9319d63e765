"""genzoo publish: many folders, each to a repository of its own name."""

from __future__ import annotations

from genzoo.cli.arguments import PublishArguments
from genzoo.cli.texts import write
from genzoo.errors import ConfigError, HubError
from genzoo.hub.pushing import push_folder
from genzoo.hub.retry import ask
from genzoo.storage import read_description


def run(arguments: PublishArguments) -> None:
    """Push each folder, having looked at all of them before the first is pushed."""
    # The shell makes files of folder/* too; a name that is not there is a mistake.
    folders = [path for path in arguments.folders if not path.is_file()]
    if not folders:
        raise ConfigError("Which folders? genzoo publish FOLDER... takes one or more.")
    for folder in folders:
        read_description(folder)
    namespace = arguments.namespace or _own_name()
    for folder in folders:
        repository = f"{namespace}/{folder.resolve().name}"
        address = push_folder(folder, repository, private=arguments.private or None)
        write(f"{folder} is in {repository}: {address}")


def _own_name() -> str:
    from huggingface_hub import HfApi

    def name() -> str:
        found = HfApi().whoami().get("name")
        if not isinstance(found, str):
            raise HubError("The Hub does not say who you are. Name yourself: --namespace USER.")
        return found

    return ask("your account", name)
