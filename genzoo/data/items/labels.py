"""The labels of map-style datasets: listed, or in each item."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Subset

from genzoo.data.columns.classes import are_classes, classes_of
from genzoo.data.columns.label_notes import on_labels
from genzoo.data.fields import label_space
from genzoo.data.labelling import UNKNOWN
from genzoo.errors import DataError, counted
from genzoo.spaces import Label

_LISTS = ("targets", "labels")
"""The attributes in which datasets of torchvision and others list the label of every item."""


@dataclass(frozen=True)
class ItemLabels:
    """The labels of a map-style dataset.

    Arguments:
        name: The dataset's name.
        space: Their space; None if there are no labels.
        known: The label of every row, (N,) int64, if it is known.
        notes: What is unusual.
    """

    name: str
    space: Label | None = None
    known: Tensor | None = None
    notes: tuple[str, ...] = ()

    @classmethod
    def of(
        cls,
        items: Any,
        name: str,
        *,
        given: Any,
        rows: Sequence[int],
        labels: list[int] | None,
        names: tuple[str, ...] = (),
    ) -> ItemLabels:
        """Return the labels of a dataset.

        Arguments:
            items: The dataset.
            name: Its name.
            given: The label of every row, if the holder gives them.
            rows: Some rows.
            labels: Their labels, if items have labels.
            names: The names of all classes, if another split has them.

        Raises:
            DataError: The given labels are not one for each row.
        """
        if given is not None:
            return cls._given(given, name, len(items), names)
        if labels is None or max(labels) == UNKNOWN:
            return cls(name)
        known = _listed(items)
        if known is not None and known[list(rows)].tolist() != labels:
            known = None  # A transform changes them, or the attribute is something else.
        num = int(known.max()) + 1 if known is not None else max(labels) + 1
        names = names or _class_names(items)
        space = label_space(max(num, len(names)), names if len(names) >= num else ())
        return cls(name, space, known)

    @classmethod
    def _given(cls, given: Any, name: str, num: int, names: tuple[str, ...]) -> ItemLabels:
        found = classes_of(given, f"The label of {name}", names=names)
        if len(found.index) != num:
            raise DataError(
                f"{name} has {counted(num, 'row')}, and {len(found.index)} labels are given."
            )
        if found.num_without == num:
            return cls(name)
        space = label_space(max(int(found.index.max()) + 1, len(found.names)), found.names)
        return cls(name, space, torch.from_numpy(found.index), tuple(on_labels(found)))

    def checked(self, rows: Sequence[int], labels: Sequence[int]) -> Tensor:
        """Return the labels of some rows as a tensor.

        Raises:
            DataError: One is greater than those from which the number of classes is inferred.
        """
        most = self.space.num_classes if self.space is not None else 0
        for row, label in zip(rows, labels, strict=True):
            if label >= most:
                raise DataError(
                    f"Row {row} of {self.name} has the label {label}; the rows that were looked "
                    f"at have {f'labels below {most}' if most else 'none'}. Give the labels of "
                    "all rows: as_dataset(data, label=[...])."
                )
        return torch.tensor(labels, dtype=torch.long)


def _listed(items: Any) -> Tensor | None:
    """Return the labels that a dataset, or the one that it is a part of, lists."""
    if type(items) is Subset:
        inner = _listed(items.dataset)
        return None if inner is None else inner[torch.as_tensor(items.indices)]
    for name in _LISTS:
        values = getattr(items, name, None)
        values = np.asarray(values) if isinstance(values, (list, Tensor, np.ndarray)) else None
        if values is None or values.shape != (len(items),) or values.dtype.kind not in "iu":
            continue
        if are_classes(values):
            return torch.from_numpy(classes_of(values, "").index)
    return None


def _class_names(items: Any) -> tuple[str, ...]:
    """Return the names of the classes that a dataset lists; empty if it lists none."""
    if type(items) is Subset:
        return _class_names(items.dataset)
    found = getattr(items, "classes", ())
    texts = isinstance(found, (list, tuple)) and all(isinstance(name, str) for name in found)
    return tuple(found) if texts and len(set(found)) == len(found) else ()
