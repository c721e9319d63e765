"""Lazy imports of diffusers, transformers and SciPy."""

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


def linear_sum_assignment(cost: Any) -> tuple[Any, Any]:
    """Return rows and columns of the assignment of least cost, by SciPy.

    Raises:
        MissingDependencyError: It is not installed.
    """
    found: tuple[Any, Any] = _imported("scipy.optimize").linear_sum_assignment(cost)
    return found


def _imported(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise MissingDependencyError(
            f"Diffusion models need the module {error.name!r}, which is not installed. "
            "Try: pip install 'genzoo[diffusion]'"
        ) from error
