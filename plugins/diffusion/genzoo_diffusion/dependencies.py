"""Lazy imports of diffusers and transformers."""

from __future__ import annotations

import importlib
from typing import Any

from genzoo.plugin import MissingDependencyError


def diffusers(submodule: str = "") -> Any:
    """Return diffusers or one of its submodules; the import takes seconds.

    Raises:
        MissingDependencyError: It is not installed.
    """
    return _imported(f"diffusers.{submodule}" if submodule else "diffusers")


def transformers() -> Any:
    """Return transformers; the import takes seconds.

    Raises:
        MissingDependencyError: It is not installed.
    """
    return _imported("transformers")


def _imported(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise MissingDependencyError(
            f"Diffusion models need the module {error.name!r}, which is not installed. "
            "Try: pip install 'genzoo[diffusion]'"
        ) from error
