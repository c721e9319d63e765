"""Packages of the extra ``data``, imported when they are needed."""

from __future__ import annotations

import importlib
from typing import Any

from genzoo.errors import MissingDependencyError


def library(name: str, what: str) -> Any:
    """Return a package.

    Arguments:
        name: The name of its module.
        what: What needs it, which begins the message.

    Raises:
        MissingDependencyError: It is not installed.
    """
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise MissingDependencyError(
            f"{what} need the package {name.partition('.')[0]}. Try: pip install 'genzoo[data]'"
        ) from error
