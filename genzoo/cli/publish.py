"""genzoo publish: push several folders, each to a repository with its name."""

from __future__ import annotations

from genzoo.cli.sharing_arguments import PublishArguments
from genzoo.cli.texts import write
from genzoo.errors import ConfigError
from genzoo.pretrained.pushing import publish


def run(arguments: PublishArguments) -> None:
    """Push each folder and print its URL."""
    # The shell expands folder/* to files too; a name that does not exist is an error.
    folders = [path for path in arguments.folders if not path.is_file()]
    if not folders:
        raise ConfigError("Which folders? genzoo publish FOLDER... takes one or more.")
    pushed = publish(folders, arguments.namespace, private=arguments.private or None)
    for folder, repository, address in pushed:
        write(f"{folder} is in {repository}: {address}")
