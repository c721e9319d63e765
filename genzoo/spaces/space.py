"""Space: what a value of the data, or a condition, can be; abstract."""

from __future__ import annotations

import abc
import math
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from genzoo import registry
from genzoo.config import Config, required_fields, shown
from genzoo.errors import ConditionError, ConfigError, DataError, GenzooError
from genzoo.spaces.numbers import parsed
from genzoo.spaces.rules import renumbered
from genzoo.spaces.stored import registered, stored
from genzoo.values import is_trusted

MAX_COUNT = 2**20
"""The most values that `Space.enumerate` lists."""


@dataclass(frozen=True, kw_only=True)
class Space(Config, abc.ABC):
    """A set of values, as a config that can be checked and stored; abstract.

    Values come as *rows*: B of them are one tensor (B, *event_shape) of the type `dtype`, their
    *canonical form*. A space of another form, such as texts, overrides the methods that say so.

    A subclass is a frozen, keyword-only dataclass. It is registered in the entry-point group
    ``genzoo.spaces`` and is stored by its name there. It writes `check`, `cast`, `num_dims`,
    `is_discrete`, `reference` and `accepts`; what follows from these and from the tensor has a
    default that it may override.
    """

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> typing.Self:
        """Make a space from its stored form, ``{"name": …, "config": {…}}``.

        Raises:
            UnknownNameError: No installed package registers a space of that name; the message
                says which one has it, where genzoo's own list knows.
            ConfigError: It is not of this class, or its config is refused.
        """
        given = stored(values)
        found = registered(given.name)
        if not issubclass(found, cls):
            raise ConfigError(f"The space {given.name!r} is not a {cls.__name__}.")
        return typing.cast("typing.Self", found.from_fields(given.config))

    @classmethod
    def from_fields(cls, values: Mapping[str, Any]) -> typing.Self:
        """Make a space of this class from plain values of its fields.

        Raises:
            ConfigError: An unknown or missing key, a wrong type, a value out of bounds.
        """
        return super().from_dict(values)

    def to_dict(self) -> dict[str, Any]:
        """Return the stored form, in which fields that have their defaults are left out."""
        values = super().to_dict()
        needed = required_fields(type(self))
        usual = {f: d for f, d in self._defaults().items() if f not in needed}
        given = {k: v for k, v in values.items() if k in needed or v != usual.get(k)}
        return {"name": registry.name_of("spaces", type(self)), "config": given}

    @classmethod
    def _defaults(cls) -> dict[str, Any]:
        """Return the plain default of each field that has one."""
        fields = cls.__dataclass_fields__.values()
        made = {f.name: getattr(cls, f.name, None) for f in fields}
        return {k: list(v) if isinstance(v, tuple) else v for k, v in made.items()}

    @classmethod
    def example(cls, shape: tuple[int, ...]) -> Space:
        """Return a small space of this class, if possible of that shape, for checks of models.

        Raises:
            ConfigError: It needs fields of other names; then a subclass overrides this.
        """
        known = {"shape": shape, "num_classes": 3, "num_categories": 3}
        return cls.from_fields(
            {name: known[name] for name in required_fields(cls) if name in known}
        )

    # What a subclass writes

    @abc.abstractmethod
    def check(self, values: Any, *, noun: str = "row") -> None:
        """Raise DataError where a row is outside of the space.

        The message begins with the first such row and its value and ends with the remedy, such as
        "row 3 holds 255. Divide by 255?". `require` has compared the form before.

        Arguments:
            values: Rows, a tensor (B, *event_shape) of any real type.
            noun: What one of them is called in the message.
        """

    @abc.abstractmethod
    def cast(self, values: Any) -> Any:
        """Return rows, or one row, in canonical form, without a change of what they say.

        Arguments:
            values: What people hold: numbers, lists, arrays, tensors.

        Raises:
            DataError: They cannot be brought into that form.
        """

    @property
    @abc.abstractmethod
    def num_dims(self) -> int:
        """The number D of dimensions that bits per dimension are counted in."""

    @property
    @abc.abstractmethod
    def is_discrete(self) -> bool:
        """Whether probabilities are those of single values, and not densities."""

    @abc.abstractmethod
    def reference(self, num: int, generator: torch.Generator) -> tuple[Any, Tensor]:
        """Draw from a distribution that gives every value of the space a known probability.

        Arguments:
            num: The number of rows.
            generator: Where the randomness comes from, on the CPU.

        Returns:
            The rows, and the logarithm of the mass or density of each, (num,), in float64.

        Raises:
            DataError: There is no such distribution.
        """

    @abc.abstractmethod
    def accepts(self, other: Space) -> str | None:
        """Say why values of ``other`` do not fit a model of this space; None where they do.

        A space accepts none of another class.
        """

    # What follows from these

    @property
    def event_shape(self) -> tuple[int, ...]:
        """The shape of one row."""
        return ()

    @property
    def dtype(self) -> torch.dtype:
        """The type of the canonical tensor."""
        return torch.float32

    def require(
        self,
        values: Any,
        who: str,
        *,
        noun: str = "row",
        at_least: int = 0,
        error: type[GenzooError] = DataError,
    ) -> None:
        """Raise ``error`` unless ``values`` are rows of this space.

        The values themselves are not read on the meta device, which has none, nor within
        `genzoo.values.trusted`.

        Arguments:
            values: The rows. Any real type will do: ``bool`` and ``uint8`` are numbers too.
            who: Whose rows they are; the message begins with it.
            noun: What one of them is called in the message.
            at_least: How many rows there must be.
            error: What is raised.
        """
        self._require_form(values, who, noun, error)
        if len(values) < at_least:
            raise error(
                f"{who} got {len(values)} {noun}s{self._of_shape(values)}; at least {at_least} "
                f"{'is' if at_least == 1 else 'are'} needed. A mean over nothing is not a number."
            )
        if not self._is_read(values):
            return
        try:
            self.check(values, noun=noun)
        except DataError as wrong:
            raise error(f"{who} takes {self}; {wrong}") from wrong

    def _require_form(self, values: Any, who: str, noun: str, error: type[GenzooError]) -> None:
        try:
            self.check_form(values, who, noun=noun)
        except DataError as wrong:
            raise error(str(wrong)) from wrong

    def check_form(self, values: Any, who: str, *, noun: str = "row") -> None:
        """Raise DataError unless ``values`` have the form of rows, whatever they hold."""
        if not isinstance(values, Tensor):
            raise DataError(
                f"{who} takes {noun}s as a torch.Tensor, got {type(values).__name__}. Give "
                "torch.as_tensor(...)."
            )
        if values.is_complex():
            raise DataError(
                f"{who} takes real numbers; these {noun}s are {values.dtype}. Give their real "
                "parts, or their magnitudes."
            )
        if tuple(values.shape[1:]) != self.event_shape or values.ndim == 0:
            single = tuple(values.shape) == self.event_shape
            raise DataError(
                f"{who} takes shape {self.event_shape} for each {noun}, stacked along a first "
                f"dimension; got a tensor of shape {tuple(values.shape)}. "
                f"{f'Give one {noun} as x[None].' if single else 'Reshape or resize them.'}"
            )

    def _is_read(self, values: Any) -> bool:
        return not (is_trusted() or values.is_meta or values.numel() == 0)

    def _of_shape(self, values: Any) -> str:
        return f", of shape {tuple(values.shape)}"

    def is_one(self, values: Any) -> bool:
        """Whether what `cast` returns is one row and not several."""
        found: bool = values.ndim == len(self.event_shape)
        return found

    def repeat(self, row: Any, num: int) -> Any:
        """Return one row ``num`` times."""
        return row.expand(num, *row.shape)

    def take(self, values: Any, index: Sequence[int] | Tensor) -> Any:
        """Return the rows at ``index``."""
        return values[torch.as_tensor(index, device=values.device)]

    def pad(self, values: Any, first: int, num: int) -> Any:
        """Return ``num`` rows from ``first`` on; after the last row it stands again."""
        last = len(values) - 1
        return self.take(values, [min(i, last) for i in range(first, first + num)])

    def collate(self, rows: Sequence[Any]) -> Any:
        """Return single rows as one value."""
        return torch.stack(list(rows))

    def concatenate(self, parts: Sequence[Any]) -> Any:
        """Return the rows of all parts as one value."""
        return torch.cat(list(parts))

    def place(self, values: Any, device: torch.device, dtype: torch.dtype) -> Any:
        """Return rows on a device; real numbers of the type ``dtype``."""
        return values.to(device, dtype if self.dtype.is_floating_point else self.dtype)

    @property
    def count(self) -> int | None:
        """How many values there are; None where there are more than 2^20, or no end of them."""
        return None

    def value_names(self) -> tuple[str, ...]:
        """Return the name of each value, in order; empty where they have none."""
        return ()

    def enumerate(self) -> Any:
        """Return every value once, as rows.

        Raises:
            DataError: There are more than 2^20, or no end of them.
        """
        raise DataError(f"{self.describe()}: these values cannot be listed.")

    @property
    def null(self) -> Any:
        """The row that stands for "not given"; None where the space has none."""
        return None

    def is_null(self, values: Any) -> Tensor:
        """Return which rows stand for "not given", (B,) bool."""
        if self.null is None:
            return torch.zeros(len(values), dtype=torch.bool)
        null = torch.as_tensor(self.null, device=values.device)
        found: Tensor = (values == null).reshape(len(values), math.prod(values.shape[1:])).all(1)
        return found

    def nullable(
        self, values: Any, who: str, *, noun: str = "row", error: type[GenzooError] = DataError
    ) -> None:
        """Raise ``error`` unless each row is in the space, or null; see `require`."""
        self._require_form(values, who, noun, error)
        if not self._is_read(values):
            return
        rows = (~self.is_null(values)).nonzero().flatten()
        try:
            self.require(self.take(values, rows), who, noun=noun, error=error)
        except GenzooError as wrong:  # The number of a row is that among all rows.
            raise error(renumbered(str(wrong), noun, rows.tolist())) from wrong

    @classmethod
    def made_from(cls, other: Space, low: float, high: float) -> str:
        """Say how data of another space, in [low, high], become of this one; empty if unknown."""
        return ""

    def into(self, name: str) -> tuple[Space, Callable[[Any], Any]]:
        """Return the space of that registered name that these values can be written in, and how.

        Raises:
            DataError: They cannot.
        """
        raise DataError(f"{self.describe()}: these values cannot be written as {shown(name)}.")

    @property
    def bounds(self) -> tuple[float, float] | None:
        """The least and the greatest number that there is, where the numbers are magnitudes."""
        return None

    def templates_of_texts(self) -> tuple[str, ...]:
        """Return the templates that texts are made from; empty where there are none."""
        return ()

    @property
    def bits_of_density(self) -> float:
        """What bits per dimension of a density gain where values are steps; log₂ L for levels."""
        return 0.0

    def with_null(self, values: Any, dropped: Tensor) -> Any:
        """Return rows that are null where ``dropped``, (B,) bool, on the rows' device.

        Raises:
            DataError: The space has no row that stands for "not given".
        """
        if self.null is None:
            raise DataError(
                f"{self.describe()}: no row of these stands for one that is not given."
            )
        null = torch.as_tensor(self.null, dtype=values.dtype, device=values.device)
        mask = dropped.reshape(-1, *[1] * (values.ndim - 1))
        return torch.where(mask, null, values)

    def vectors(self, values: Any) -> Tensor | None:
        """Return rows as vectors (B, D) of float32, for distances; None where there are none."""
        found: Tensor = values.float().reshape(len(values), -1)
        return found

    def images(self, values: Any) -> Tensor | None:
        """Return rows as a picture takes them: images, points in the plane, or vectors.

        None where they are not shown as a picture; then see `lines`.
        """
        found: Tensor = values.float() if values.ndim > 1 else values.float()[:, None]
        return found

    def lines(self, values: Any) -> list[str] | None:
        """Return rows as lines of text; None where they are shown as a picture."""
        return None

    def reference_around(
        self, rows: Any, num: int, generator: torch.Generator
    ) -> tuple[Any, Tensor]:
        """Draw as `reference` does, if possible more often near ``rows``."""
        return self.reference(num, generator)

    @property
    def has_means(self) -> bool:
        """Whether the mean of values can stand for draws of them, as that of real numbers can.

        It cannot for zeros and ones, of which 0.5 is another kind of thing.
        """
        return False

    def relaxed(self) -> Space:
        """Return the space of a density over these values; the space itself by default."""
        return self

    def parse(self, text: str) -> Any:
        """Return one row from a text of the command line.

        Raises:
            ConditionError: The text is not understood; the message says what is.
        """
        numbers = parsed(text, math.prod(self.event_shape), self.describe())
        given = torch.tensor(numbers, dtype=torch.float64).reshape(self.event_shape)
        row = given.to(self.dtype)
        for values in (given, row):  # 1.5 becomes a whole number, 1e300 infinity.
            self.require(values[None], "A condition", noun="condition", error=ConditionError)
        return row

    def describe(self) -> str:
        """Return the space in words, with its shape."""
        shape = " × ".join(map(str, self.event_shape))
        return f"{shape}: {self}" if shape else str(self)

    @abc.abstractmethod
    def __str__(self) -> str:
        """Return the values in words, such as "zeros and ones"."""
