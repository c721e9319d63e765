"""genzoo new-plugin: a package to start from."""

from __future__ import annotations

from pathlib import Path

from genzoo.cli.arguments import NewPluginArguments
from genzoo.cli.texts import command_line, write_steps
from genzoo.scaffold import make_plugin


def run(arguments: NewPluginArguments) -> None:
    """Write the package and print the next steps."""
    folder = arguments.folder or Path(f"genzoo-{arguments.name.replace('_', '-')}")
    parts = [word for text in arguments.parts for word in text.split(",") if word]
    make_plugin(arguments.name, folder, license=arguments.license, parts=parts)
    name = arguments.name
    steps = [
        command_line("pip", "install", "-e", f"{folder}[test]"),
        command_line("genzoo", "train", name, "--data", "digits", "--output", f"runs/{name}"),
        command_line("python", "-m", "pytest", folder),
    ]
    write_steps(f"The package is in {folder}.", steps)
