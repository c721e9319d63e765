"""Conditions as vectors, which both networks take as a second input."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from genzoo.plugin import Binary, Categorical, Conditions, Label, Real, Space, Unit

SPACES: tuple[type[Space], ...] = (Binary, Categorical, Label, Real, Unit)
"""The spaces whose values can be vectors."""


def num_values(spaces: Mapping[str, Space]) -> int:
    """Return the size of the vector of all conditions; 0 if there are none.

    >>> num_values({"label": Label(num_classes=10), "y": Unit(shape=(2, 3))})
    16
    """
    return sum(_num_values(space) for space in spaces.values())


def _num_values(space: Space) -> int:
    if isinstance(space, Label):
        return space.num_classes
    if isinstance(space, Categorical):
        return space.num_dims * space.num_categories
    return space.num_dims


def vectors_of(
    conditions: Conditions, spaces: Mapping[str, Space], dtype: torch.dtype
) -> Tensor | None:
    """Return the concatenated vectors of all conditions, (B, C); None if there are none.

    They are sorted by name, because files may store them in another order.

    Arguments:
        conditions: Rows by name, in canonical form.
        spaces: The space of each.
        dtype: The type of the result.
    """
    found = (spaces[name].vectors(conditions[name]) for name in sorted(spaces))
    parts = [vectors for vectors in found if vectors is not None]
    return torch.cat(parts, dim=1).to(dtype) if parts else None
