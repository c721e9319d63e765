"""genzoo's own list of plugins that may not be installed."""

from __future__ import annotations

import functools
import tomllib
from importlib import resources
from typing import Any

FILE = "known_plugins.toml"


def advice_for(name: str, group: str = "models") -> str:
    """Return a remedy for a model or a space that no installed plugin has.

    Only this list says what to install, never the repository that needs it.

    Arguments:
        name: The name of the model or space.
        group: "models" or "spaces".
    """
    for distribution, entry in _known().items():
        if name in entry.get(group, ()):
            return (
                f"It is part of {distribution}: {entry['install']}. Installing a package runs its "
                "code: do so if you trust its authors."
            )
    return (
        "No plugin that genzoo knows of has it. Ask those who published the model; installing a "
        "package runs its code: do so only if you trust its authors."
    )


@functools.cache
def _known() -> dict[str, Any]:
    return tomllib.loads(resources.files("genzoo").joinpath(FILE).read_text("utf-8"))
