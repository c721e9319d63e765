"""A bar on the terminal for what takes long."""

from __future__ import annotations

import sys

from tqdm.auto import tqdm

DELAY = 1.0
"""Seconds before a bar is shown: what is done by then shows none."""


def bar(title: str, unit: str, total: int | None) -> tqdm[None]:
    """Return a bar, a context manager whose ``update`` counts one; none where no terminal is.

    Arguments:
        title: What stands before it.
        unit: What it counts.
        total: How many there will be, where that is known.
    """
    return tqdm(
        total=total,
        desc=title,
        unit=unit,
        delay=DELAY,
        leave=False,
        disable=not sys.stderr.isatty(),
    )
