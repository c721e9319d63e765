"""genzoo publish: many folders, each to a repository of its own name."""

from __future__ import annotations

from genzoo.cli.arguments import PublishArguments
from genzoo.cli.texts import write
from genzoo.errors import ConfigError
from genzoo.pretrained.publishing import publish


def run(arguments: PublishArguments) -> None:
    """Push each folder, and say where it is."""
    # The shell makes files of folder/* too; a name that is not there is a mistake.
    folders = [path for path in arguments.folders if not path.is_file()]
    if not folders:
        raise ConfigError("Which folders? genzoo publish FOLDER... takes one or more.")
    pushed = publish(folders, arguments.namespace, private=arguments.private or None)
    for folder, repository, address in pushed:
        write(f"{folder} is in {repository}: {address}")
