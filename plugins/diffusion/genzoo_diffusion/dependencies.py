"""diffusers, imported when it is needed."""

from __future__ import annotations

import importlib
from typing import Any

from genzoo.errors import MissingDependencyError


def diffusers(submodule: str = "") -> Any:
    """Return diffusers, or one of its submodules; it takes seconds to import.

    Raises:
        MissingDependencyError: It is not installed.
    """
    name = f"diffusers.{submodule}" if submodule else "diffusers"
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise MissingDependencyError(
            f"Diffusion models need the module {error.name!r}, which is not installed. "
            "Try: pip install 'genzoo[diffusion]'"
        ) from error
