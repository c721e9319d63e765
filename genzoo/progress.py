"""A progress bar on the terminal."""

from __future__ import annotations

import sys

from tqdm.auto import tqdm

DELAY = 1.0
"""Seconds before a bar is shown."""


def bar(title: str, unit: str, total: int | None) -> tqdm[None]:
    """Return a progress bar, a context manager with ``update``; silent without a terminal.

    Arguments:
        title: Its title.
        unit: The unit that it counts.
        total: The total number, if it is known.
    """
    return tqdm(
        total=total,
        desc=title,
        unit=unit,
        delay=DELAY,
        leave=False,
        disable=not sys.stderr.isatty(),
    )
