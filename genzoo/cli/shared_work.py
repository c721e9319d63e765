"""Commands whose work several processes divide, as torchrun starts them."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator

from genzoo.cli.texts import write
from genzoo.process_group import divided_work, is_main


@contextlib.contextmanager
def shared(device: str) -> Iterator[None]:
    """Divide the work inside among the processes of a launcher; only the main one logs notes.

    Arguments:
        device: The device of the command.
    """
    logger = logging.getLogger("genzoo")
    before = logger.level
    # Split off its number: an unknown device is refused where the model is loaded.
    with divided_work("cpu" if device.partition(":")[0] in ("cpu", "mps") else "cuda"):
        if not is_main():
            logger.setLevel(logging.ERROR)
        try:
            yield
        finally:
            logger.setLevel(before)


def say_on_main(text: object) -> None:
    """Write a line to the standard output of the main process."""
    if is_main():
        write(text)
