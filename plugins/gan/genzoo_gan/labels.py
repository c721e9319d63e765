"""Labels as one-hot conditions, and as targets of training."""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from genzoo.plugin import Conditions, DataError, DataInfo, Label, Space


def demand_labels(who: str, info: DataInfo) -> Label:
    """Return the space of the data's labels.

    Raises:
        DataError: The data have no labels.
    """
    space = info.fields.get("label")
    if not isinstance(space, Label):
        raise DataError(
            f"{who} learns from labels; these data have none. Give labelled data, such as "
            "--data fashion-mnist."
        )
    return space


def num_labels(spaces: Mapping[str, Space]) -> int:
    """Return the total size of the one-hot vectors of all conditions.

    >>> num_labels({"label": Label(num_classes=3)}), num_labels({})
    (3, 0)
    """
    return sum(space.num_classes for space in spaces.values() if isinstance(space, Label))


def one_hot(conditions: Conditions, spaces: Mapping[str, Space], like: Tensor) -> Tensor | None:
    """Return labels by name as concatenated one-hot vectors, (B, C); None without labels.

    They are sorted by name, because files may store them in another order.

    Arguments:
        conditions: Labels (B,) by name.
        spaces: The space of each.
        like: A tensor of the type of the result.

    Raises:
        DataError: A row has no label, or one that is out of range.
    """
    found = [
        _one_hot(conditions[name], num_labels({name: spaces[name]})) for name in sorted(spaces)
    ]
    return torch.cat(found, dim=1).to(like.dtype) if found else None


def _one_hot(labels: Tensor, num_classes: int) -> Tensor:
    try:
        return F.one_hot(labels.long(), num_classes)
    except RuntimeError as error:  # torch has checked already; checking again would cost time.
        raise DataError(
            f"Labels must be integers from 0 to {num_classes - 1}; these range from "
            f"{labels.min().item()} to {labels.max().item()}. Rows without a label (−1) are for a "
            "semi-supervised GAN."
        ) from error
