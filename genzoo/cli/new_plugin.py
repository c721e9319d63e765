"""genzoo new-plugin: a package to start from."""

from __future__ import annotations

from pathlib import Path

from genzoo.cli.arguments import NewPluginArguments
from genzoo.cli.texts import write
from genzoo.scaffold import make_plugin


def run(arguments: NewPluginArguments) -> None:
    """Write the package and print the next steps."""
    folder = arguments.folder or Path(f"genzoo-{arguments.name.replace('_', '-')}")
    make_plugin(arguments.name, folder, license=arguments.license)
    write(
        f"The package is in {folder}. Next steps:\n"
        f"  pip install -e '{folder}[test]'\n"
        f"  genzoo train {arguments.name} --data digits --output runs/{arguments.name}\n"
        f"  python -m pytest {folder}"
    )
