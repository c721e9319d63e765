"""Commands of genzoo, for tests of what they say of a package."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import metadata


def run_command(args: Sequence[str]) -> None:
    """Run a command in this process, such as ``["list", "models"]``.

    Raises:
        SystemExit: The command is over; its code is that of the process.
    """
    # The command line lies above this package, so it is found as a shell finds it.
    (command,) = metadata.entry_points(group="console_scripts", name="genzoo")
    command.load()(args)
