"""What is said of labels that were taken, because they may not mean what they were taken for."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from genzoo.data.columns.classes import Classes
from genzoo.data.labelling import UNKNOWN


def on_labels(labels: Classes, column: str = "label") -> Iterator[str]:
    """Yield notes on labels: rows without one, classes without a row, and names that are alike.

    Arguments:
        labels: The labels.
        column: Their name.
    """
    if labels.num_without:
        yield f"{labels.num_without} of {len(labels.index)} rows have no {column}."
    used = np.unique(labels.index[labels.index != UNKNOWN])
    if labels.names or not len(used):
        yield from _on_names(labels.names, column)
        return
    if labels.num_without and used.tolist() == [1]:
        yield f"−1 of {column!r} is not a class. If it is meant to be one, give (y + 1) // 2."
        return
    num = int(used[-1]) + 1
    if used[0] > 0 or num > 2 * len(used):
        yield f"the numbers of {column!r} are class indices: {len(used)} of {num} classes occur."


def _on_names(names: tuple[str, ...], column: str) -> Iterator[str]:
    alike: dict[str, str] = {}
    for name in names:
        other = alike.setdefault(name.strip().casefold(), name)
        if other != name:
            yield (
                f"{other!r} and {name!r} of {column!r} are two classes, which differ only in "
                "letter case or spaces."
            )
            return
