"""Commands of genzoo, for tests of packages."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import metadata


def run_command(args: Sequence[str]) -> None:
    """Run a command in this process, such as ``["list", "models"]``.

    Raises:
        SystemExit: The command has ended; the code is that of the process.
    """
    # The command line is in a higher layer, so it is found like a shell finds it.
    (command,) = metadata.entry_points(group="console_scripts", name="genzoo")
    command.load()(args)
