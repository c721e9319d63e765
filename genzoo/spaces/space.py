"""Space: the abstract base class of kinds of data and conditions."""

from __future__ import annotations

import abc
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from genzoo.config import required_fields, shown
from genzoo.errors import ConditionError, DataError, GenzooError
from genzoo.spaces.numbers import parsed
from genzoo.spaces.rules import renumbered
from genzoo.spaces.stored import StoredByName
from genzoo.values import is_trusted

MAX_COUNT = 2**20
"""The maximum number of values that `Space.enumerate` lists."""


@dataclass(frozen=True, kw_only=True)
class Space(StoredByName, abc.ABC):
    """Abstract base class of spaces: a set of values, as a config that can be checked and stored.

    Values come as *rows*: B of them are one tensor (B, *event_shape) of the type `dtype`, their
    *canonical form*. A space with another form, such as texts, overrides the methods that depend
    on it.

    A subclass is a frozen, keyword-only dataclass. It is registered in the entry-point group
    ``genzoo.spaces`` and stored by its name. It implements `check`, `cast`, `num_dims`,
    `is_discrete`, `reference` and `accepts`; the other methods have defaults that it may override.
    """

    @classmethod
    def example(cls, shape: tuple[int, ...]) -> Space:
        """Return a small space of this class, if possible with the given shape, to check models.

        Raises:
            ConfigError: It needs other fields; a subclass must then override this method.
        """
        known = {"shape": shape, "num_classes": 3, "num_categories": 3}
        return cls.from_fields(
            {name: known[name] for name in required_fields(cls) if name in known}
        )

    # Implemented by subclasses

    @abc.abstractmethod
    def check(self, values: Any, *, noun: str = "row") -> None:
        """Raise DataError if a row is outside of the space.

        The message begins with the first bad row and its value and ends with the remedy, such as
        "row 3 holds 255. Divide by 255?". `require` checks the form before.

        Arguments:
            values: Rows, a tensor (B, *event_shape) of any real dtype.
            noun: The word for a row in the message.
        """

    @abc.abstractmethod
    def cast(self, values: Any) -> Any:
        """Return rows, or one row, in canonical form, without changing their meaning.

        Arguments:
            values: Numbers, lists, arrays or tensors.

        Raises:
            DataError: They cannot be converted.
        """

    @property
    @abc.abstractmethod
    def num_dims(self) -> int:
        """The number D of dimensions, for bits per dimension."""

    @property
    @abc.abstractmethod
    def is_discrete(self) -> bool:
        """Whether single values have probabilities; otherwise models have densities."""

    @abc.abstractmethod
    def reference(self, num: int, generator: torch.Generator) -> tuple[Any, Tensor]:
        """Draw from a distribution with full support and known probabilities.

        Arguments:
            num: The number of rows.
            generator: The generator, on the CPU.

        Returns:
            The rows, and the log of the mass or density of each, (num,), in float64.

        Raises:
            DataError: There is no such distribution.
        """

    @abc.abstractmethod
    def accepts(self, other: Space) -> str | None:
        """Return why values of ``other`` do not fit a model of this space; None if they fit.

        A space never accepts another class.
        """

    # Derived from these

    @property
    def event_shape(self) -> tuple[int, ...]:
        """The shape of one row."""
        return ()

    @property
    def dtype(self) -> torch.dtype:
        """The dtype of the canonical tensor."""
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

        The values themselves are not read on the meta device and inside `genzoo.values.trusted`.

        Arguments:
            values: The rows, of any real dtype, including ``bool`` and ``uint8``.
            who: The receiver of the rows, which begins the message.
            noun: The word for a row in the message.
            at_least: The minimum number of rows.
            error: The class of the error.
        """
        self._require_form(values, who, noun, error)
        # Not the len() of a tensor, which torch.export would take for a constant.
        num = values.shape[0] if isinstance(values, Tensor) else len(values)
        if num < at_least:
            raise error(
                f"{who} got {len(values)} {noun}s{self._of_shape(values)}; at least {at_least} "
                f"{'is' if at_least == 1 else 'are'} needed. A mean over no rows is undefined."
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
        """Raise DataError unless ``values`` have the form of rows; the values are not checked."""
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
        """Whether the result of `cast` is one row and not several."""
        found: bool = values.ndim == len(self.event_shape)
        return found

    def repeat(self, row: Any, num: int) -> Any:
        """Return one row ``num`` times."""
        return row.expand(num, *row.shape)

    def take(self, values: Any, index: Sequence[int] | Tensor) -> Any:
        """Return the rows at ``index``."""
        return values[torch.as_tensor(index, device=values.device)]

    def pad(self, values: Any, first: int, num: int) -> Any:
        """Return ``num`` rows from ``first`` on; the last row is repeated if there are too few."""
        last = len(values) - 1
        return self.take(values, [min(i, last) for i in range(first, first + num)])

    def collate(self, rows: Sequence[Any]) -> Any:
        """Stack single rows into one value."""
        return torch.stack(list(rows))

    def concatenate(self, parts: Sequence[Any]) -> Any:
        """Concatenate the rows of all parts."""
        return torch.cat(list(parts))

    def place(self, values: Any, device: torch.device, dtype: torch.dtype) -> Any:
        """Return rows on a device; floating-point rows get the type ``dtype``."""
        return values.to(device, dtype if self.dtype.is_floating_point else self.dtype)

    @property
    def count(self) -> int | None:
        """The number of values, or None if there are more than 2^20 or infinitely many."""
        return None

    def value_names(self) -> tuple[str, ...]:
        """Return the name of each value, in order; empty if they have none."""
        return ()

    def enumerate(self) -> Any:
        """Return all values, as rows.

        Raises:
            DataError: There are more than 2^20 or infinitely many.
        """
        raise DataError(f"{self.describe()}: these values cannot be listed.")

    @property
    def null(self) -> Any:
        """The row that means "not given"; None if the space has none."""
        return None

    def is_null(self, values: Any) -> Tensor:
        """Return which rows mean "not given", (B,) bool."""
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
        except GenzooError as wrong:  # Number the row among all rows.
            raise error(renumbered(str(wrong), noun, rows.tolist())) from wrong

    @classmethod
    def made_from(cls, other: Space, low: float, high: float) -> str:
        """Return how to convert data of another space to this one; empty if unknown."""
        return ""

    @classmethod
    def of_rows(cls, shape: tuple[int, ...], low: float, high: float, steps: int | None) -> Space:
        """Return the space of this class for the rows of an array that ``--data.space`` names.

        By default a class with the required field ``shape`` only is made with it. The rows are
        then converted with `cast` and checked with `check`.

        Arguments:
            shape: The shape of one row.
            low: The least value.
            high: The greatest value.
            steps: The values are whole multiples of 1/steps; None for other numbers.

        Raises:
            DataError: The class does not have such rows.
        """
        if required_fields(cls) != ["shape"]:
            raise DataError(f"arrays of numbers cannot be read as {cls.__name__}.")
        return cls.from_fields({"shape": shape})

    def into(self, name: str) -> tuple[Space, Callable[[Any], Any]]:
        """Return the space with a registered name that these values can be converted to, and how.

        Raises:
            DataError: They cannot be converted.
        """
        raise DataError(f"{self.describe()}: these values cannot be written as {shown(name)}.")

    def rounded(self, levels: int) -> tuple[Space, Callable[[Any], Any]]:
        """Return the space of these values at fewer levels, and how to round to it.

        Raises:
            DataError: They have no levels to round to, or fewer already.
        """
        raise DataError(f"{self.describe()}: these values cannot be rounded to {levels} levels.")

    @property
    def num_values(self) -> int | None:
        """The number of values at one place; None if there are infinitely many."""
        return None

    @property
    def bounds(self) -> tuple[float, float] | None:
        """The least and the greatest possible number, if the numbers are magnitudes."""
        return None

    def templates_of_texts(self) -> tuple[str, ...]:
        """Return the templates that texts are made from; empty if there are none."""
        return ()

    @property
    def bits_of_density(self) -> float:
        """The term that bits per dimension of a density add for levels: log₂ L."""
        return 0.0

    def with_null(self, values: Any, dropped: Tensor) -> Any:
        """Return rows with null where ``dropped``, (B,) bool, on the rows' device.

        Raises:
            DataError: The space has no row that means "not given".
        """
        if self.null is None:
            raise DataError(f'{self.describe()}: there is no value for "not given".')
        null = torch.as_tensor(self.null, dtype=values.dtype, device=values.device)
        mask = dropped.reshape(-1, *[1] * (values.ndim - 1))
        return torch.where(mask, null, values)

    def fill_missing(self, values: Tensor, missing: Tensor) -> Tensor:
        """Return rows with a value where one is missing, so that what there is can be checked.

        Rows are in the space if what there is can be part of a row of it. By default the value
        is 0; override it if 0 does not fit everywhere.

        Arguments:
            values: Rows, with any values where one is missing.
            missing: Where a value is missing, bool, in the shape of the rows.
        """
        return torch.where(missing, torch.zeros_like(values), values)

    def vectors(self, values: Any) -> Tensor | None:
        """Return rows as vectors (B, D) of float32 for distances, or None if there are none."""
        found: Tensor = values.float().reshape(len(values), -1)
        return found

    def images(self, values: Any) -> Tensor | None:
        """Return rows for a picture: images, points in the plane, or vectors.

        It is None if they are shown as text; see `lines`.
        """
        found: Tensor = values.float() if values.ndim > 1 else values.float()[:, None]
        return found

    def lines(self, values: Any) -> list[str] | None:
        """Return rows as lines of text, or None if they are shown as a picture."""
        return None

    def reference_around(
        self, rows: Any, num: int, generator: torch.Generator
    ) -> tuple[Any, Tensor]:
        """Draw like `reference`, if possible more often near ``rows``."""
        return self.reference(num, generator)

    @property
    def has_means(self) -> bool:
        """Whether the mean of values can replace draws of them, as for real numbers.

        It cannot for zeros and ones, because 0.5 is not a valid value.
        """
        return False

    def relaxed(self) -> Space:
        """Return the space of a density over these values; the space itself by default."""
        return self

    def parse(self, text: str) -> Any:
        """Return one row from a text of the command line.

        Raises:
            ConditionError: The text is invalid; the message says what is expected.
        """
        numbers = parsed(text, math.prod(self.event_shape), self.describe())
        given = torch.tensor(numbers, dtype=torch.float64).reshape(self.event_shape)
        row = given.to(self.dtype)
        for values in (given, row):  # 1.5 would become an integer, 1e300 infinity.
            self.require(values[None], "A condition", noun="condition", error=ConditionError)
        return row

    def describe(self) -> str:
        """Return the space in words, with its shape."""
        shape = " × ".join(map(str, self.event_shape))
        return f"{shape}: {self}" if shape else str(self)

    @abc.abstractmethod
    def __str__(self) -> str:
        """Return the values in words, such as "zeros and ones"."""
