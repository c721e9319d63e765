"""Labels as a condition, as one-hot vectors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch.nn.functional as F
from torch import Tensor

from genzoo import DataError, DataSpec


def demand_labels(who: str, spec: DataSpec, overrides: Mapping[str, Any]) -> None:
    """Refuse data that do not say how many labels there are, where nobody else does.

    Raises:
        DataError: The data have no labels.
    """
    if spec.num_classes is None and "num_classes" not in overrides:
        raise DataError(
            f"{who} learns from labels; these data have none. Give labelled data, such as "
            "--data fashion-mnist."
        )


def one_hot(labels: Tensor, num_classes: int, like: Tensor) -> Tensor:
    """Return labels (B,) as one-hot vectors (B, C), of the type of ``like``.

    Raises:
        DataError: A row has no label, or one that there is not.
    """
    try:
        return F.one_hot(labels.long(), num_classes).to(like.dtype)
    except RuntimeError as error:  # torch has looked already; a look of our own would cost again.
        raise DataError(
            f"Labels must be whole numbers from 0 to {num_classes - 1}; these go from "
            f"{labels.min().item()} to {labels.max().item()}. Rows without a label (−1) are for a "
            "semi-supervised GAN."
        ) from error
