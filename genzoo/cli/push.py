"""genzoo push."""

from __future__ import annotations

from genzoo.cli.folders import unpublished_figures
from genzoo.cli.sharing_arguments import PushArguments
from genzoo.cli.texts import write
from genzoo.pretrained.pushing import push


def run(arguments: PushArguments) -> None:
    """Push a model folder and print its URL."""
    address = push(
        arguments.folder,
        arguments.repository,
        private=arguments.private or None,
        revision=arguments.revision,
        license=arguments.license,
        message=arguments.message,
        samples=arguments.samples,
    )
    write(f"{arguments.folder} is in {arguments.repository}: {address}")
    if note := unpublished_figures(arguments.folder):
        write(note)
