"""Examples as networks see them: categories as one-hot codes, other values as they are."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from genzoo.plugin import Categorical, Space


def network_shape(event: Space) -> tuple[int, ...]:
    """Return the shape of an example for a network.

    The K numbers of a category are channels: (K · s_1, s_2, …) for rows (s_1, s_2, …).

    >>> network_shape(Categorical(shape=(1, 8, 8), num_categories=17))
    (17, 8, 8)
    """
    if not isinstance(event, Categorical):
        return event.event_shape
    first, *rest = event.event_shape
    return (event.num_categories * first, *rest)


def network_values(event: Space, x: Tensor, dtype: torch.dtype) -> Tensor:
    """Return examples (B, *event_shape) for a network, (B, *network_shape).

    Arguments:
        event: The space of the examples.
        x: The examples.
        dtype: The type of one-hot codes.
    """
    if not isinstance(event, Categorical):
        return x
    one_hot = F.one_hot(x, event.num_categories).movedim(-1, 1)
    return one_hot.flatten(1, 2).to(dtype)
