"""What data are, in one value: how a dataset speaks to a model."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from torch import Tensor

Kind = Literal["binary", "unit", "real", "categorical"]
"""Zeros and ones; real numbers in [0, 1]; any real numbers; class indices."""

Batch = Mapping[str, Any]
"""``"x"`` of shape (B, *event_shape) always; where the data have them ``"label"`` (B,) int64, −1
for a row without one, ``"text"`` (B) strings, ``"y"`` (B, *y.event_shape) of a second domain."""


@dataclass(frozen=True, eq=False)
class Mixture:
    """Gaussians of equal weight and one width, where data were drawn from such a mixture.

    Arguments:
        means: Where they are, (M, *event_shape).
        sigma: Their standard deviation in every direction.
    """

    means: Tensor
    sigma: float


@dataclass(frozen=True, kw_only=True, eq=False)
class DataSpec:
    """What a dataset tells a model.

    Arguments:
        event_shape: The shape of one example; (C, H, W) for images.
        kind: What the values are.
        range: The least and greatest value that can occur.
        num_classes: The number of labels, or None where there are none.
        class_names: The names of the labels, where known.
        captions: The templates that the captions are made from, or None where there are none.
        mean: The mean of the *training* split, of shape ``event_shape``, where known.
        levels: How many equally spaced values there can be in ``range``, the ends included, such
            as 256 for images of bytes; None where the values are no such steps.
        mixture: The mixture that the rows were drawn from, where it is known.
        y: What the rows of a second domain are, where there is one.
        aligned: Whether row i of the second domain is what row i of the first one should become.
    """

    event_shape: tuple[int, ...]
    kind: Kind
    range: tuple[float, float] = (-math.inf, math.inf)
    num_classes: int | None = None
    class_names: tuple[str, ...] = ()
    captions: tuple[str, ...] | None = None
    mean: Tensor | None = None
    levels: int | None = None
    mixture: Mixture | None = None
    y: DataSpec | None = None
    aligned: bool = False

    def facts(self) -> dict[str, Any]:
        """Return the facts that a config field of the same name can take.

        ``y_event_shape`` is the shape of an example of the second domain.
        """
        names = ("event_shape", "num_classes", "class_names", "captions", "levels")
        facts = {name: getattr(self, name) for name in names}
        facts["y_event_shape"] = None if self.y is None else self.y.event_shape
        return {name: value for name, value in facts.items() if value not in (None, ())}
