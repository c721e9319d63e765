"""genzoo pull."""

from __future__ import annotations

from genzoo.cli.sharing_arguments import PullArguments
from genzoo.cli.texts import write
from genzoo.hub.reference import MAIN, Reference
from genzoo.pretrained.pulling import pull


def run(arguments: PullArguments) -> None:
    """Copy a model of the Hub into a folder."""
    reference = Reference(arguments.repository, arguments.revision or MAIN)
    folder = pull(reference, arguments.folder, overwrite=arguments.overwrite)
    write(f"{reference} is in {folder}.")
