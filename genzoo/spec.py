"""DataInfo: the description of data that a dataset gives to a model."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, Self

from torch import Tensor

from genzoo.config import Bounds, shown
from genzoo.errors import ConfigError, DataError
from genzoo.means import ComputedMean, Means
from genzoo.spaces import Space

Batch = Mapping[str, Any]
"""Rows by field, each in the canonical form of its space. ``"x"`` is always there; ``"label"``
(B,) int64 (−1 for a row without one), ``"text"`` (a list of B strings) and ``"y"`` (a second
domain) if the data have them."""

FIELD = re.compile(r"[a-z][a-z0-9_]{0,31}")
"""The pattern of a field's name, which becomes a flag and the name of a module."""


@dataclass(frozen=True)
class FieldNames(Bounds):
    """An annotation for at most 16 names of fields, of a mapping or a sequence."""

    low: float = 0
    high: float = 16

    def check(self, value: Any, where: str) -> None:
        """Raise ConfigError if there are too many names, or one is malformed."""
        super().check(value, where)
        for name in value:
            if not (isinstance(name, str) and FIELD.fullmatch(name)):
                raise ConfigError(
                    f"{where} has the field {shown(name)}. A name has small letters, digits and "
                    "underscores, 32 at most, and begins with a letter."
                )


ConditionSpaces = Annotated[Mapping[str, Space], FieldNames()]
"""The type of a config's field ``conditions``: the space of each condition by its name."""


@dataclass(frozen=True, eq=False)
class Mixture:
    """A mixture of Gaussians with equal weights and widths, from which data were drawn.

    Arguments:
        means: Their means, (M, *event_shape).
        sigma: Their standard deviation in every direction.
    """

    means: Tensor
    sigma: float


@dataclass(frozen=True, kw_only=True, eq=False)
class DataInfo:
    """The description of data that a dataset gives to a model.

    Arguments:
        fields: The space of each field of a batch. "x" are the rows, "y" those of a second
            domain; "label" and "text" belong to x.
        mean: The mean row of the *training* split, for fields whose mean is known. A function that
            returns it is called when the mean is first asked for.
        range: The least and greatest possible value, for fields whose range is known.
        mixture: The mixture that the rows of a field were drawn from, if it is known.
        aligned: Whether row i of the second domain is the true translation of row i of the first.

    Raises:
        ConfigError: There is no field "x", or a name is malformed.

    >>> from genzoo.spaces import Label, Unit
    >>> info = DataInfo(fields={"x": Unit(shape=(1, 28, 28)), "label": Label(num_classes=10)})
    >>> info["x"].event_shape, "text" in info
    ((1, 28, 28), False)
    """

    fields: Mapping[str, Space]
    mean: Mapping[str, Tensor] = field(default_factory=dict)
    range: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    mixture: Mapping[str, Mixture] = field(default_factory=dict)
    aligned: bool = False

    def __post_init__(self) -> None:
        given = self.fields
        fits = isinstance(given, Mapping) and all(isinstance(s, Space) for s in given.values())
        if not fits or "x" not in given:
            raise ConfigError(
                "DataInfo.fields maps the name of each field to its space, and has a field x; got "
                f"{shown(given)}."
            )
        FieldNames().check(given, "DataInfo.fields")
        object.__setattr__(self, "mean", Means(self.mean))

    def __getitem__(self, name: str) -> Space:
        """Return the space of a field.

        Raises:
            DataError: The data have no such field.
        """
        if name not in self.fields:
            raise DataError(
                f"The data have no field {shown(name)}. They have {', '.join(self.fields)}."
            )
        return self.fields[name]

    def __contains__(self, name: object) -> bool:
        return name in self.fields

    def with_field(self, name: str, space: Space) -> Self:
        """Return a copy with a field added, or with another space for it."""
        return replace(self, fields={**self.fields, name: space})

    def with_mean(self, mean: Tensor | ComputedMean | None, name: str = "x") -> Self:
        """Return a copy with the mean row of a field, or None if it is not known.

        Arguments:
            mean: The row, or a function that returns it, which is called when it is first needed.
            name: The field.
        """
        entries: dict[str, Any] = {k: v for k, v in self._means.items() if k != name}
        if mean is not None:
            entries[name] = mean
        return replace(self, mean=entries)

    def with_default_mean(self, compute: ComputedMean) -> Self:
        """Return a copy with the mean row of x, unless it has one."""
        return self if "x" in self._means else self.with_mean(compute)

    @property
    def _means(self) -> Mapping[str, Any]:
        """The mean rows, or the functions that return them; nothing is computed."""
        return Means(self.mean).entries

    def only(self, names: Mapping[str, Any] | tuple[str, ...]) -> Self:
        """Return a copy with some of the fields only."""
        return replace(self, fields={name: self.fields[name] for name in names})
